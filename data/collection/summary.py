"""The summary of a collection: what was read, how labels, groups and sides were found, what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from data.cache.partition import GIVEN_SPLIT, stored_sides
from data.cache.writer import GIVEN_GROUP, OK
from data.collection.collect import Collected
from data.collection.groups import kept_groups
from data.io.folder import Folder

NO_GROUPS = (
    "none named: tracks of one artist may be on both sides of a split, which makes accuracies too high (by"
    " about eight points in one measurement); name them with --groups or --groups-from artist"
)
"""Message where no group is known; the figure is that of docs/results.md, section "Leakage"."""


@dataclass(frozen=True)
class Contents:
    """Counts of a collection, from its scan or from its cache.

    Attributes
    ----------
    tracks : int
        Tracks that can be used.
    genres : dict of str to int
        Tracks per genre, sorted.
    groups : dict of str to int
        Tracks per group that the user gave.
    sides : dict of str to int
        Tracks per side of the partition that came with the files.
    incomplete : int
        Tracks that lack up to 50 ms at their end.
    """

    tracks: int
    genres: dict[str, int]
    groups: dict[str, int]
    sides: dict[str, int]
    incomplete: int = 0

    @classmethod
    def of_scan(cls, collected: Collected, cache: Folder) -> Contents:
        """Count what a scan found; without groups and sides, those of the cache would be kept."""
        tracks = [file.track_id for file in collected.files]
        groups, sides = collected.groups, collected.splits
        if groups is None or sides is None:
            groups = kept_groups(cache) if groups is None else groups
            sides = stored_sides(cache) if sides is None else sides
        return cls(
            len(tracks),
            _counts(file.label for file in collected.files),
            _counts(groups[track] for track in tracks if track in groups),
            _counts(sides[track] for track in tracks if track in sides),
        )

    @classmethod
    def of_cache(cls, cache: Folder) -> Contents:
        """Count the usable tracks of a cache."""
        table = cache.parquet("manifest.parquet")
        columns = ["label", "status", GIVEN_GROUP, GIVEN_SPLIT, "missing_s"]
        present = [name for name in columns if name in table.schema_arrow.names]
        rows = [row for row in table.read(present).to_pylist() if row["status"] == OK]
        return cls(
            len(rows),
            _counts(row["label"] for row in rows),
            _counts(row.get(GIVEN_GROUP) for row in rows),
            _counts(row.get(GIVEN_SPLIT) for row in rows),
            sum((row.get("missing_s") or 0) > 0 for row in rows),
        )

    def lines(self) -> list[str]:
        """Describe the counts, one line per kind."""
        lines = [f"genres: {_listed(self.genres)}"]
        if self.incomplete:
            lines.append(f"incomplete: {self.incomplete} files lack up to 50 ms at their end; they are used")
        named = sum(self.groups.values())
        lines.append(
            f"groups: {len(self.groups)}, which contain {named} of {self.tracks} tracks"
            if named
            else f"groups: {NO_GROUPS}"
        )
        if self.sides:
            lines.append(f"partition: {_listed(self.sides)}")
        return lines


def skipped_lines(skipped: Iterable[tuple[str, str]]) -> list[str]:
    """Count skipped files by their reason, with an example each.

    Parameters
    ----------
    skipped : iterable of (str, str)
        Path and reason of each file.
    """
    examples: dict[str, str] = {}
    reasons: Counter[str] = Counter()
    for path, reason in skipped:
        # Details in brackets or after a colon differ from file to file.
        kind = reason.partition(" (")[0].partition(":")[0]
        reasons[kind] += 1
        examples.setdefault(kind, path)
    return [f"skipped {count}: {kind}, such as {examples[kind]}" for kind, count in reasons.most_common()]


def _counts(values: Iterable[str | None]) -> dict[str, int]:
    return dict(sorted(Counter(value for value in values if value is not None).items()))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
