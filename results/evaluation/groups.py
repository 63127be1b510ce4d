"""Groups of dependent tracks of a run, for intervals and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from data.dataset.track_groups import TrackGroups
from data.errors import RunError
from results.evaluation.columns import read_columns
from search.storage.run_folder import RunFolder

INDEPENDENT = (
    "No groups of tracks (artists, albums) are known, so tracks are treated as independent; intervals are too"
    " narrow if some are related. 'python -m data.prepare --groups FILE' defines groups."
)


def groups_by_track(run: RunFolder) -> dict[str, str]:
    """Read the group of each track of a run; empty for runs of older versions, which stored no groups."""
    try:
        columns = read_columns(run, "splits.parquet", ["track_id", "group"])
    except RunError:
        return {}
    return dict(zip(columns["track_id"], columns["group"], strict=True))


def track_groups(tracks: Sequence[str], group_of: Mapping[str, str]) -> TrackGroups | None:
    """Group the tracks; None if no group holds two of them."""
    groups = TrackGroups.of([group_of.get(track, track) for track in tracks])
    return groups if groups.clustered else None
