"""Correct the score of the best trial for its selection among many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data.dataset.choice_correction import MAX_TRIALS
from data.dataset.scores import Metric, score_text
from results.evaluation.groups import groups_by_track
from results.evaluation.trials import Trial
from search.storage.choice import CorrectedChoice, correct_choice
from search.storage.predictions import Candidate, candidates_of


@dataclass(frozen=True, kw_only=True)
class ChoiceCorrection(CorrectedChoice):
    """The corrected score of a best trial, as numbers and as text.

    Attributes
    ----------
    n_ranked : int
        Number of scored trials from which the best was selected.
    """

    n_ranked: int

    def record(self) -> dict[str, Any]:
        """Return the content for JSON; scores by the metric of the runs, accuracies from 0 to 1."""
        return {
            "raw": self.corrected.raw,
            "corrected": self.corrected.corrected,
            "chosen_among": self.n_ranked,
            "trials_read": self.corrected.n_trials,
            "epochs_corrected": self.corrected.epochs,
            "without_predictions": self.n_unread,
        }

    def sentence(self) -> str:
        """Describe the raw and the corrected score."""
        metric = self.corrected.metric
        selected_from = "trials and their epochs" if self.corrected.epochs else "trials"
        common = "" if self.n_tracks is None else f" on the {self.n_tracks} tracks that all trials validated"
        text = (
            f"The best scores {score_text(self.corrected.raw, metric)}{common},"
            f" {score_text(self.corrected.corrected, metric)} after correction for choosing among"
            f" {self.n_ranked} {selected_from}"
        )
        if self.n_ranked > MAX_TRIALS:
            text += f"; only the {self.corrected.n_trials} best are used"
        if not self.corrected.epochs:
            text += " (the choice of the epoch is not corrected)"
        if self.n_unread:
            text += f"; the predictions of {self.n_unread} are missing"
        return text + "."


def correct_best(
    candidates: Sequence[Candidate],
    group_of: Mapping[str, str],
    *,
    n_ranked: int,
    metric: Metric = "accuracy",
) -> ChoiceCorrection | None:
    """Correct the score of the best trial for the choice among all, by groups of tracks.

    Parameters
    ----------
    candidates : sequence of Candidate
        The scored trials on the same data and split, best first; the best `MAX_TRIALS` are enough.
    group_of : mapping of str to str
        Group of each track; a track without an entry forms its own group.
    n_ranked : int
        Number of all scored trials.
    metric : str
        The metric of the choice.

    Returns
    -------
    ChoiceCorrection or None
        None if there was nothing to choose from, or the predictions of the best trial are missing.
    """
    choice = correct_choice(candidates, group_of, metric=metric)
    if choice is None:
        return None
    return ChoiceCorrection(**vars(choice), n_ranked=n_ranked)


def correct_run(trial: Trial) -> ChoiceCorrection | None:
    """Correct the score of the best trial of a run for its selection among the run's trials."""
    candidates = candidates_of(trial.run, trial.info, trial.run.trials())
    group_of = groups_by_track(trial.run)
    return correct_best(candidates, group_of, n_ranked=len(candidates), metric=trial.info.metric)
