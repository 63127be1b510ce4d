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
from results.evaluation.predictions import OutOfFoldPredictions
from results.evaluation.trials import Trial, find_trial
from results.ranking.boards import Board
from search.storage.run_folder import RunFolder

MAX_CANDIDATES = 25
"""Maximum number of best trials from which members are selected."""


@dataclass(frozen=True)
class SelectedEnsemble:
    """The members of an ensemble, and the score of their vote.

    Attributes
    ----------
    trials : list of Trial
        The members, by descending weight.
    weights : list of float
        Their weights, which sum to 1.
    choice : EnsembleChoice
        The selection, scored by cross-fitting.
    n_tracks : int
        Number of tracks that all candidates validated.
    """

    trials: list[Trial]
    weights: list[float]
    choice: EnsembleChoice
    n_tracks: int

    def sentence(self) -> str:
        """Compare the vote with the best single trial and with the members' mean."""
        vote, single = self.choice.scores.accuracy, self.choice.single_scores.accuracy
        verdict = "recommended" if self.choice.recommended else "not recommended: the best alone does as well"
        return (
            f"An ensemble of {len(self.trials)} scores {100 * vote:.1f} % by cross-fitting, the best single"
            f" trial {100 * single:.1f} % in the same way; the members' mean is"
            f" {100 * self.choice.members_mean:.1f} % ({verdict})."
        )


def candidates(board: Board, runs: str) -> list[Trial]:
    """Find the trials of a board with stored predictions, best first, without repeated networks.

    Parameters
    ----------
    board : Board
        A board with at least its `MAX_CANDIDATES` best entries.
    runs : str
        Folder of the runs.
    """
    trials: list[Trial] = []
    networks = set()
    for entry in board.entries:
        try:
            trial = find_trial(RunFolder.at(runs, entry.run), entry.trial_id)
            OutOfFoldPredictions.of(trial)
        except HarnessError:
            continue
        network = (trial.info.family, repr(sorted(trial.config.items())), trial.best_epoch, trial.info.seed)
        if network not in networks:
            networks.add(network)
            trials.append(trial)
    return trials


def select(trials: Sequence[Trial], *, seed: int = 0) -> SelectedEnsemble:
    """Select members and weights greedily, and score the vote by cross-fitting over groups of tracks.

    Parameters
    ----------
    trials : sequence of Trial
        Candidates on the same data and split.
    seed : int
        Seed of the cross-fitting partition.

    Raises
    ------
    RunError
        If there are fewer than two candidates, or they validated no track in common.
    """
    if len(trials) < 2:
        raise RunError(f"--ensemble: {len(trials)} trials with stored predictions are too few; search more")
    predictions = [OutOfFoldPredictions.of(trial) for trial in trials]
    common = sorted(set.intersection(*(set(prediction.track_id) for prediction in predictions)))
    groups = track_groups(common, _group_of(trials)) or TrackGroups.independent(len(common))
    if groups.n_groups < 2:
        raise RunError("--ensemble: the trials validated fewer than two groups of tracks in common")
    rows = []
    for prediction in predictions:
        row_of = {track: row for row, track in enumerate(prediction.track_id)}
        rows.append([row_of[track] for track in common])
    models = np.array(
        [prediction.probabilities[row] for prediction, row in zip(predictions, rows, strict=True)]
    )
    choice = select_ensemble(models, predictions[0].truth[rows[0]], groups, seed=seed)
    members = choice.members
    return SelectedEnsemble(
        [trials[number] for number in members],
        [float(choice.weights[number]) for number in members],
        choice,
        len(common),
    )


def _group_of(trials: Sequence[Trial]) -> dict[str, str]:
    """Read the groups of the tracks from the first run that stored them."""
    return next(filter(None, (groups_by_track(trial.run) for trial in trials)), {})


def out_of_fold_vote(
    trials: Sequence[Trial], weights: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, TrackGroups | None, dict[str, Any]]:
    """Average the members' out-of-fold probabilities on the tracks of the first member.

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
    """
    first, *others = (OutOfFoldPredictions.of(trial) for trial in trials)
    total = weights[0] * first.probabilities
    for weight, other in zip(weights[1:], others, strict=True):
        row_of = {track: number for number, track in enumerate(other.track_id)}
        total = total + weight * other.probabilities[[row_of[track] for track in first.track_id]]
    groups = first.groups
    return total, first.truth, groups, judge(total, first.truth, trials[0].info.classes, groups)
