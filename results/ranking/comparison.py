"""Compare two trials on the tracks that both validated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from data.dataset.intervals import accuracy_interval
from data.dataset.paired_tests import Paired, paired
from data.dataset.track_groups import TrackGroups
from data.errors import RunError
from results.evaluation.groups import groups_by_track, track_groups
from results.evaluation.trials import Trial
from search.storage.predictions import PredictionReader


@dataclass(frozen=True)
class Comparison:
    """A paired comparison of two trials.

    Attributes
    ----------
    a, b : Trial
        The compared trials.
    right_a, right_b : int
        Number of common tracks that each trial classifies correctly.
    test : Paired
        The result of the paired test.
    same_split : bool
        Whether both used the same folds.
    left_out : int
        Number of tracks that only one trial validated; they are ignored.
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
        """Return the content for JSON; accuracies from 0 to 1, the difference in percentage points."""
        test = self.test
        sides = {}
        for name, trial, n_correct in (("a", self.a, self.right_a), ("b", self.b, self.right_b)):
            low, high = self.intervals[name]
            sides[name] = {
                "name": trial.name,
                "run": trial.run.name,
                "family": trial.info.family,
                "trial_id": trial.trial_id,
                "baseline": trial.baseline,
                "best_of": trial.best_of,
                "accuracy": n_correct / test.n,
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
        Trials on the same data; with different splits, only the tracks that both validated count.
    seed : int
        Seed of the bootstrap.

    Raises
    ------
    RunError
        If the trials are on different data, or share no validated track.
    """
    if not a.info.cache.same_collection(b.info.cache):
        raise RunError(
            f"--compare: {a.run.name} and {b.run.name} are on different data"
            f" ({a.info.cache.uri} and {b.info.cache.uri}), so their tracks cannot be paired"
        )
    reader = PredictionReader()
    correct_a, correct_b = (
        reader.read(trial.run, trial.trial_id, trial.info.classes, trial.best_epoch).correct()
        for trial in (a, b)
    )
    common = sorted(correct_a.keys() & correct_b.keys())
    if not common:
        raise RunError(f"--compare: {a.run.name} and {b.run.name} validated no track in common")
    hits_a, hits_b = (np.array([correct[track] for track in common]) for correct in (correct_a, correct_b))
    groups = track_groups(common, groups_by_track(a.run) or groups_by_track(b.run))
    low, high = accuracy_interval(
        np.column_stack([hits_a, hits_b]), groups or TrackGroups.independent(len(common))
    )
    return Comparison(
        a=a,
        b=b,
        right_a=int(hits_a.sum()),
        right_b=int(hits_b.sum()),
        test=paired(hits_a, hits_b, groups, seed=seed),
        same_split=a.info.split_fingerprint == b.info.split_fingerprint,
        left_out=len(correct_a.keys() ^ correct_b.keys()),
        intervals={side: (float(low[number]), float(high[number])) for number, side in enumerate(("a", "b"))},
    )
