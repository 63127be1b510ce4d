"""Two trials against each other, on the same validated tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from data.dataset.intervals import accuracy_interval
from data.dataset.paired_tests import Paired, paired
from data.dataset.track_groups import TrackGroups
from data.errors import RunError
from results.evaluation.columns import read_columns
from results.evaluation.groups import groups_by_track, track_groups
from results.evaluation.trials import Trial
from search.storage.run_folder import RunFolder


@dataclass(frozen=True)
class Comparison:
    """A paired comparison.

    Attributes
    ----------
    a, b : Trial
        The two.
    right_a, right_b : int
        Tracks that each gets right.
    test : Paired
        The test.
    same_split : bool
        Whether both saw the same folds.
    left_out : int
        Tracks that only one of the two validated, and which do not count.
    intervals : dict of str to (float, float)
        95 % interval of the accuracy of ``a`` and ``b``.
    """

    a: Trial
    b: Trial
    right_a: int
    right_b: int
    test: Paired
    same_split: bool
    left_out: int
    intervals: dict[str, tuple[float, float]]

    def record(self) -> dict[str, Any]:
        """As JSON-like content; shares from 0 to 1, the difference in points."""
        test = self.test
        sides = {}
        for name, trial, right in (("a", self.a, self.right_a), ("b", self.b, self.right_b)):
            low, high = self.intervals[name]
            sides[name] = {
                "run": trial.run.name,
                "family": trial.info.family,
                "trial_id": trial.trial_id,
                "baseline": trial.baseline,
                "best_of": trial.best_of,
                "accuracy": right / test.n,
                "low": float(low),
                "high": float(high),
            }
        return {
            **sides,
            "n": test.n,
            "left_out": self.left_out,
            "same_split": self.same_split,
            "synthetic": self.a.info.cache.synthetic,
            "only_a_right": test.only_a,
            "only_b_right": test.only_b,
            "n_groups": test.n_groups if test.clustered else None,
            "test": test.test_name,
            "p_value": test.p_value,
            "mcnemar_p": None if test.clustered else test.p_value,
            "difference": 100 * test.difference,
            "difference_low": 100 * test.low,
            "difference_high": 100 * test.high,
            "distinct": test.distinct,
        }


def compare(a: Trial, b: Trial, *, seed: int = 0) -> Comparison:
    """Compare two trials.

    Parameters
    ----------
    a, b : Trial
        Trials on the same data; of different splits only the tracks count that both validated.
    seed : int
        Seed of the bootstrap.

    Raises
    ------
    RunError
        If they are on different data, or share no validated track.
    """
    if not a.info.cache.same_collection(b.info.cache):
        raise RunError(
            f"--compare: {a.run.name} and {b.run.name} are on different data"
            f" ({a.info.cache.uri} and {b.info.cache.uri}), so their tracks cannot be paired"
        )
    right_a, right_b = (
        right_tracks(one.run, one.trial_id, one.info.classes, one.best_epoch) for one in (a, b)
    )
    both = sorted(right_a.keys() & right_b.keys())
    if not both:
        raise RunError(f"--compare: {a.run.name} and {b.run.name} validated no track in common")
    hits_a, hits_b = (np.array([right[track] for track in both]) for right in (right_a, right_b))
    groups = track_groups(both, groups_by_track(a.run) or groups_by_track(b.run))
    low, high = accuracy_interval(
        np.column_stack([hits_a, hits_b]), groups or TrackGroups.independent(len(both))
    )
    return Comparison(
        a=a,
        b=b,
        right_a=int(hits_a.sum()),
        right_b=int(hits_b.sum()),
        test=paired(hits_a, hits_b, groups, seed=seed),
        same_split=a.info.split_fingerprint == b.info.split_fingerprint,
        left_out=len(right_a.keys() ^ right_b.keys()),
        intervals={side: (float(low[number]), float(high[number])) for number, side in enumerate(("a", "b"))},
    )


def right_tracks(run: RunFolder, trial_id: str, classes: list[str], epoch: int) -> dict[str, bool]:
    """Whether a trial gets each validated track right, at the epoch of its score.

    Raises
    ------
    RunError
        If the trial's judgement was not kept.
    """
    shares = [f"p.{genre}" for genre in classes]
    columns = read_columns(run, f"predictions/{trial_id}.parquet", ["track_id", "label", *shares], epoch)
    chosen = np.array([columns[share] for share in shares], dtype=np.float64).argmax(axis=0)
    return {
        track: classes[number] == label
        for track, label, number in zip(columns["track_id"], columns["label"], chosen.tolist(), strict=True)
    }
