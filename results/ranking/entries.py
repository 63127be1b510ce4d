"""The content of a leaderboard: entries and boards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from data.dataset.scores import Metric
from results.evaluation.correction import ChoiceCorrection
from search.storage.predictions import Candidate
from search.storage.run_info import RunInfo

MAX_CANDIDATES = 25
"""Maximum number of best trials from which the members of an ensemble are selected."""


@dataclass(frozen=True)
class Entry:
    """One row of a leaderboard.

    Attributes
    ----------
    rank : int
        Rank among all scored trials of the table, from 1; equal accuracies are ordered by loss. On a board
        with `FamilyOrder`, the rank in its family.
    name : str
        The trial as typed in commands: ``RUN:NUMBER``.
    run, family, trial_id : str
        Run, family, and name of the trial's files.
    baseline : bool
        Whether the trial is the BASELINE of its run.
    val_accuracy, low, high : float
        Fraction of the validated tracks that are classified correctly, and its 95 % interval.
    n : int
        Number of validated tracks.
    lift : float or None
        Percentage points above the BASELINE of its run; None if the BASELINE has no score.
    epochs, best_epoch, params : int
        Epochs trained, the epoch of the score, trainable parameters.
    seconds : float
        Training time.
    status : str
        ``COMPLETE``, or ``PRUNED`` for a trial that was stopped early.
    synthetic : bool
        Whether the data was synthesised.
    tied : bool or None
        Whether the paired test, on the tracks that both trials validated, finds no difference from the first
        entry; None for the first entry itself, and where predictions were not stored.
    val_loss, val_macro_f1, val_balanced_accuracy, train_accuracy : float or None
        Further scores at the same epoch; None where the run did not store them.
    """

    rank: int
    name: str
    run: str
    family: str
    trial_id: str
    baseline: bool
    val_accuracy: float
    low: float
    high: float
    n: int
    lift: float | None
    epochs: int
    best_epoch: int
    params: int
    seconds: float
    status: str
    synthetic: bool
    tied: bool | None = None
    val_loss: float | None = None
    val_macro_f1: float | None = None
    val_balanced_accuracy: float | None = None
    train_accuracy: float | None = None


@dataclass(frozen=True)
class FamilyOrder:
    """Order of families that validated different tracks, by their winners on the tracks that all judged.

    Attributes
    ----------
    scores : dict of str to float
        Score of each family's winner on the common tracks, by the metric of the runs, best first.
    n_common : int
        Number of tracks that all winners validated.
    n_validated : dict of str to int
        Number of tracks on which each family ranks its trials.
    metric : str
        The metric.
    of_all_folds : dict of str to (float, int)
        Score and number of tracks of winners that validated one fold and were trained on the others too.
    """

    scores: dict[str, float]
    n_common: int
    n_validated: dict[str, int]
    metric: Metric = "accuracy"
    of_all_folds: Mapping[str, tuple[float, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Board:
    """One table of the leaderboard: trials on the same data that can be compared.

    They have the same split, or each family has its own and all have the same held-out test set.

    Attributes
    ----------
    number : int
        Number of the table, from 1.
    info : RunInfo
        Record of the first run; its data and split are those of all runs of the table.
    why : str
        Why the trials are not in an earlier table; empty for the first table.
    entries : list of Entry
        The best trials, the best of each family and the BASELINE of each run, by rank.
    ranked, unranked : int
        Number of trials with a score, and without one (failed or unfinished).
    n_groups : int or None
        Number of groups of the validated tracks, used by intervals and tests; None if no group holds several
        tracks, so that tracks are treated as independent.
    correction : ChoiceCorrection or None
        The score of the first entry, corrected for its selection.
    family_order : FamilyOrder or None
        How families were ordered; None if all trials validated the same tracks.
    runs : list of str
        Names of the ranked runs.
    single_epoch_runs : list of str
        Names of older runs whose scores are those of single epochs, if the others score windows of epochs.
    candidates : list of Candidate
        The best scored trials, at most `MAX_CANDIDATES`, from which an ensemble is selected.
    metric : str
        The metric that ranks the trials.
    """

    number: int
    info: RunInfo
    why: str
    entries: list[Entry]
    ranked: int
    unranked: int
    n_groups: int | None = None
    correction: ChoiceCorrection | None = None
    family_order: FamilyOrder | None = None
    runs: list[str] = field(default_factory=list)
    single_epoch_runs: list[str] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    metric: Metric = "accuracy"
