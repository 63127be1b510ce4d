"""The split of a search by the partition that came with the collection; see `data.cache.partition`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.cache import partition
from data.dataset.splits import TEST, TRAIN, UNUSED, Split, make_split, require_training_tracks
from data.errors import SplitError

if TYPE_CHECKING:
    import pandas as pd

_ASIDE = "--splits none sets the cache's partition aside"
_SIDE_ORDER = {partition.TEST: 0, partition.VALID: 1}
"""A group on several sides stays on the first of these, so that a published test set stays whole."""


@dataclass(frozen=True)
class GivenSplit:
    """A split by a given partition.

    Attributes
    ----------
    split : Split
        The side of each track.
    left_out : list of str
        Tracks that are not used because another track of their group is on another side.
    without_side : list of str
        Tracks that are not used because the partition does not name them.
    """

    split: Split
    left_out: list[str]
    without_side: list[str]

    def summary(self) -> str:
        """Describe the sides in one line."""
        counts = {
            "training": int((self.split.fold == TRAIN).sum()),
            "validation": int((self.split.fold >= 0).sum()),
            "test": int(self.split.test.sum()),
        }
        text = ", ".join(f"{count} {side}" for side, count in counts.items() if count)
        folds = f" in {self.split.n_folds} folds" if self.split.n_folds > 1 else ""
        unused = ""
        if self.left_out:
            unused += (
                f"; {len(self.left_out)} tracks are left out because their group is also on another side,"
                f" such as {self.left_out[0]}"
            )
        if self.without_side:
            unused += f"; {len(self.without_side)} tracks have no side, such as {self.without_side[0]}"
        return f"Tracks by the partition of the cache: {text}{folds}{unused}; {_ASIDE}"


def given_split(
    tracks: pd.DataFrame,
    sides: Mapping[str, str],
    *,
    folds: int | None,
    test_fraction: float | None,
    default_folds: int,
    default_test_fraction: float,
    seed: int,
) -> GivenSplit:
    """Split tracks by a given partition; deal what it leaves open.

    Without ``valid`` and numbered folds, the training tracks are divided into folds. Without those and
    ``test``, a test set is locked away too.

    Parameters
    ----------
    tracks : DataFrame
        One row per track: ``track_id``, ``label``, ``group``.
    sides : mapping of str to str
        Side of each track that has one; see `data.cache.partition`.
    folds : int or None
        Number of folds that the user requests; None for the default.
    test_fraction : float or None
        Fraction of the locked test set that the user requests; None for the default.
    default_folds, default_test_fraction : number
        Used where the user requests nothing and the partition leaves it open.
    seed : int
        Seed of the shuffling of tracks that are divided.

    Raises
    ------
    SplitError
        If the partition cannot be used, or a requested number contradicts it.
    """
    names = tracks["track_id"].tolist()
    side = np.array([sides.get(name, "") for name in names], dtype=object)
    present = set(side) - {""}
    reason = partition.contradiction(present)
    if reason is not None:
        raise SplitError(f"the partition of the cache cannot be used: {reason}; {_ASIDE}")
    numbers = sorted(present - {partition.TRAIN, partition.VALID, partition.TEST}, key=int)
    validated = bool(numbers) or partition.VALID in present
    if folds is not None and validated:
        raise SplitError(f"--folds {folds}: the partition of the cache defines the validation; {_ASIDE}")
    if test_fraction is not None and (validated or partition.TEST in present):
        raise SplitError(
            f"--test-fraction {test_fraction:g}: the partition of the cache defines the test set; {_ASIDE}"
        )
    kept = _one_side_per_group(side, tracks["group"].to_numpy(object))
    left_out = [name for name, before, after in zip(names, side, kept, strict=True) if before and not after]
    fold_of = {number: index for index, number in enumerate(numbers)}
    fold_of |= {"": UNUSED, partition.TRAIN: TRAIN, partition.VALID: 0, partition.TEST: TEST}
    fold = np.array([fold_of[name] for name in kept], dtype=np.int64)
    if not validated:
        share = default_test_fraction if test_fraction is None else test_fraction
        rest = np.flatnonzero(fold == TRAIN)
        dealt = make_split(
            tracks.iloc[rest].reset_index(drop=True),
            folds=folds or default_folds,
            test_fraction=0.0 if partition.TEST in present else share,
            seed=seed,
        )
        fold[rest] = dealt.fold
    columns = {name: tracks[name].to_numpy(object) for name in ("track_id", "label", "group")}
    split = Split(fold=fold, **columns)
    _require_tracks(split)
    return GivenSplit(split, left_out, [name for name in names if name not in sides])


def _one_side_per_group(side: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Keep one side per group: test before valid before the side with most of its tracks."""
    sides_of: dict[str, Counter[str]] = {}
    for name, track_side in zip(group.tolist(), side.tolist(), strict=True):
        if track_side:
            sides_of.setdefault(name, Counter())[track_side] += 1
    chosen = {
        name: min(counts, key=lambda option: (_SIDE_ORDER.get(option, 2), -counts[option], option))
        for name, counts in sides_of.items()
    }
    return np.array(
        [own if chosen.get(name) == own else "" for name, own in zip(group, side, strict=True)],
        dtype=object,
    )


def _require_tracks(split: Split) -> None:
    if not (split.fold >= 0).any():
        raise SplitError(f"the partition of the cache leaves no validation tracks; {_ASIDE}")
    try:
        require_training_tracks(split)
    except SplitError as error:
        raise SplitError(f"the partition of the cache cannot be used: {error}; {_ASIDE}") from error
