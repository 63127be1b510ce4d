"""Select an ensemble on the out-of-fold predictions of trials on the same data and split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.dataset.ensemble_selection import EnsembleChoice, select_ensemble
from data.dataset.metrics import judge
from data.dataset.track_groups import TrackGroups
from data.errors import HarnessError, RunError
from results.evaluation.groups import groups_by_track, track_groups
from results.evaluation.trials import Trial
from search.storage.predictions import Candidate, PredictionReader, Predictions, common_tracks


@dataclass(frozen=True)
class SelectedEnsemble:
    """The members of an ensemble, and the score of their vote.

    Attributes
    ----------
    members : list of Candidate
        The members, by descending weight.
    weights : list of float
        Their weights, which sum to 1.
    choice : EnsembleChoice
        The selection, scored by cross-fitting.
    n_tracks : int
        Number of tracks that all candidates validated.
    """

    members: list[Candidate]
    weights: list[float]
    choice: EnsembleChoice
    n_tracks: int

    def names(self) -> str:
        """List the members with their families and weights."""
        return ", ".join(
            f"{member.name} ({member.family}, {weight:.2f})"
            for member, weight in zip(self.members, self.weights, strict=True)
        )

    def record(self) -> dict[str, Any]:
        """Return the content for JSON; accuracies from 0 to 1."""
        return {
            "members": {
                member.name: weight for member, weight in zip(self.members, self.weights, strict=True)
            },
            "accuracy": self.choice.scores.accuracy,
            "single_accuracy": self.choice.single_scores.accuracy,
            "members_mean": self.choice.members_mean,
            "recommended": self.recommended,
            "n_tracks": self.n_tracks,
        }

    @property
    def recommended(self) -> bool:
        """Whether the vote of several members beats the best single trial by cross-fitting."""
        return self.choice.recommended and len(self.members) > 1

    def sentence(self) -> str:
        """Compare the vote with the best single trial and with the members' mean."""
        vote, single = self.choice.scores.accuracy, self.choice.single_scores.accuracy
        verdict = "recommended" if self.recommended else "not recommended: the best alone does as well"
        return (
            f"An ensemble of {len(self.members)} scores {100 * vote:.1f} % by cross-fitting, the best single"
            f" trial {100 * single:.1f} % in the same way; the members' mean is"
            f" {100 * self.choice.members_mean:.1f} % ({verdict})."
        )


def best_ensemble(candidates: Sequence[Candidate]) -> SelectedEnsemble | None:
    """Select an ensemble; None if no vote of several members can be selected."""
    try:
        selected = select(candidates)
    except RunError:
        return None
    return selected if len(selected.members) > 1 else None


def select(candidates: Sequence[Candidate], *, seed: int = 0) -> SelectedEnsemble:
    """Select members and weights greedily, and score the vote by cross-fitting over groups of tracks.

    Candidates without readable predictions, and repetitions of a network, are left out.

    Parameters
    ----------
    candidates : sequence of Candidate
        Trials on the same data, best first.
    seed : int
        Seed of the cross-fitting partition.

    Raises
    ------
    RunError
        If there are fewer than two candidates, or they validated too few tracks in common.
    """
    usable: list[Candidate] = []
    predictions: list[Predictions] = []
    reader = PredictionReader()
    for candidate in candidates:
        try:
            prediction = reader.read(
                candidate.run, candidate.trial_id, candidate.classes, candidate.best_epoch
            )
        except (HarnessError, OSError):
            continue
        if not any(np.array_equal(prediction.probabilities, other.probabilities) for other in predictions):
            usable.append(candidate)
            predictions.append(prediction)
    if len(usable) < 2:
        raise RunError(f"--ensemble: {len(usable)} trials with stored predictions are too few; search more")
    common, rows = common_tracks(predictions)
    group_of = next(filter(None, (groups_by_track(candidate.run) for candidate in usable)), {})
    groups = track_groups(common, group_of) or TrackGroups.independent(len(common))
    if groups.n_groups < 2:
        raise RunError("--ensemble: the trials validated fewer than two groups of tracks in common")
    models = np.array(
        [prediction.probabilities[row] for prediction, row in zip(predictions, rows, strict=True)]
    )
    choice = select_ensemble(models, predictions[0].truth[rows[0]], groups, seed=seed)
    return SelectedEnsemble(
        [usable[number] for number in choice.members],
        [float(choice.weights[number]) for number in choice.members],
        choice,
        len(common),
    )


def out_of_fold_vote(
    trials: Sequence[Trial], weights: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, TrackGroups | None, dict[str, Any]]:
    """Average the members' out-of-fold probabilities on the tracks that all members validated.

    Returns
    -------
    probabilities : ndarray of float64, shape (n_tracks, n_classes)
        The weighted vote.
    truth : ndarray of int64, shape (n_tracks,)
        Genre numbers.
    groups : TrackGroups or None
        Groups of the tracks.
    numbers : dict
        As `data.dataset.metrics.judge` returns them.

    Raises
    ------
    RunError
        If no track is common.
    """
    reader = PredictionReader()
    predictions = [
        reader.read(trial.run, trial.trial_id, trial.info.classes, trial.best_epoch) for trial in trials
    ]
    common, rows = common_tracks(predictions)
    if not common:
        raise RunError("the members of an ensemble validated no track in common")
    total = sum(
        weight * each.probabilities[row] for weight, each, row in zip(weights, predictions, rows, strict=True)
    )
    vote = np.asarray(total, dtype=np.float64)
    groups = track_groups(common, groups_by_track(trials[0].run))
    truth = predictions[0].truth[rows[0]]
    return vote, truth, groups, judge(vote, truth, trials[0].info.classes, groups)
