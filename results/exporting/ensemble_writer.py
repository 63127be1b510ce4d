"""Select the members of an ensemble, train them on training + validation tracks, and export them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np

from data.dataset.calibration import apply_temperature
from data.dataset.metrics import judge
from data.dataset.task import Task
from data.dataset.track_scores import vote
from data.errors import HarnessError, RunError
from data.io.stages import NO_STAGES, Stages
from results.evaluation.groups import groups_by_track, track_groups
from results.evaluation.predictions import OutOfFoldPredictions
from results.evaluation.trials import Trial, find_trial
from results.exporting.calibration_report import fitted_calibration
from results.exporting.ensemble_card import ensemble_card
from results.exporting.formats import check_available
from results.exporting.refit import Refit, refit
from results.exporting.scoring_record import locked_tracks, recorded_scoring
from results.exporting.writer import new_folder, write_evaluation, write_model, writing
from results.model import files
from results.model.classifier import Classifier
from results.model.ensemble import EnsembleConfig
from results.ranking.entries import Board
from results.ranking.selection import out_of_fold_vote
from search.storage.run_folder import RunFolder


def choose_members(board: Board, count: int, runs: str) -> list[Trial]:
    """Select trials of a board: the best of each family first, then the next best of all.

    Families come first because their networks make different errors, which helps the vote more than a
    slightly better network of the same family. A network that several runs trained is selected once. A trial
    without readable predictions is skipped with a warning on standard error.

    Parameters
    ----------
    board : Board
        A board with more than `count` of its best entries, as replacements, and the best of each family.
    count : int
        Number of members.
    runs : str
        Folder of the runs.

    Raises
    ------
    RunError
        If the board has fewer such trials.
    """
    remaining = list(board.entries)
    selected: list[Trial] = []
    while remaining and len(selected) < count:
        families = {trial.info.family for trial in selected}
        entry = next((entry for entry in remaining if entry.family not in families), remaining[0])
        remaining.remove(entry)
        trial = find_trial(RunFolder.at(runs, entry.run), entry.trial_id)
        if _identity(trial) not in map(_identity, selected) and _has_predictions(trial):
            selected.append(trial)
    if len(selected) < count:
        raise RunError(
            f"--top {count}: only {len(selected)} different trials have a score and predictions; use a"
            " smaller number"
        )
    return selected


def _identity(trial: Trial) -> tuple[Any, ...]:
    """Return what determines the exported network, given data and split."""
    info = trial.info
    return info.family, trial.config, trial.best_epoch, trial.score_epochs, info.seed, info.weights


def _has_predictions(trial: Trial) -> bool:
    """Whether the trial's predictions can be read; print a warning if not."""
    try:
        OutOfFoldPredictions.of(trial)
    except HarnessError as error:
        click.echo(f"Skipped as a member: {' '.join(str(error).split())}", err=True)
        return False
    return True


def export_ensemble(
    trials: Sequence[Trial],
    out: str | Path,
    *,
    runs: str,
    among: int,
    cache: str | None = None,
    formats: Sequence[str] | None = (),
    weights: Sequence[float] | None = None,
    selection: str = "",
    stages: Stages = NO_STAGES,
) -> dict[str, Any]:
    """Export trials on the same data and split as an ensemble.

    The ensemble is evaluated once on the held-out test set; the members are not evaluated individually.

    Parameters
    ----------
    trials : sequence of Trial
        The members, at least two.
    out : str or Path
        The folder to create; it appears at the end, when it is complete.
    runs, cache, formats
        See `results.exporting.writer.export_trial`.
    among : int
        Number of scored trials from which the members were selected.
    weights : sequence of float, optional
        Weight of each member's probabilities; equal by default.
    selection : str
        How members and weights were selected, for the card.
    stages : Stages
        Shows what is being done; by default, nothing is shown.

    Returns
    -------
    dict
        The metrics, as in ``metrics.json``.

    Raises
    ------
    RunError
        If the trials are on different data or have different held-out test sets.
    ExportError
        If the folder exists or cannot be written.
    """
    info = trials[0].info
    for trial in trials[1:]:
        if not trial.info.cache.same_collection(info.cache):
            raise RunError(
                f"an ensemble needs members on the same data, but {trials[0].name} is on {info.cache.uri}"
                f" ({info.cache.data[:8]}) and {trial.name} on {trial.info.cache.uri}"
                f" ({trial.info.cache.data[:8]}); leave one of them out"
            )
        if locked_tracks(trial.run) != locked_tracks(trials[0].run):
            raise RunError(
                f"an ensemble needs members with the same held-out test set, but those of {trials[0].name}"
                f" and {trial.name} differ; leave one of them out, or search with the same --seed and"
                " --test-fraction"
            )
    with new_folder(out) as folder:
        check_available(formats)
        member_weights = [1 / len(trials)] * len(trials) if weights is None else list(weights)
        probabilities, truth, groups, numbers = out_of_fold_vote(trials, member_weights)
        metrics = {"validation": numbers}
        calibration = fitted_calibration(probabilities, truth, groups)
        temperature = 1.0 if calibration is None else calibration.temperature
        names = [f"{number}-{trial.info.family}" for number, trial in enumerate(trials, start=1)]
        created = datetime.now(UTC).isoformat(timespec="seconds")
        locked: list[np.ndarray] = []
        trained: Refit | None = None
        for name, trial in zip(names, trials, strict=True):
            trained = refit(trial, cache=cache, stages=stages)
            with writing(out):
                (folder / name).mkdir()
                write_model(trial, trained, folder / name, formats)
            if trained.locked is not None:
                task = trained.locked
                rows = Classifier.load(folder / name).predict_rows(task.X)
                locked.append(vote(rows, task.track, len(task.track_id)))
        if trained is None:
            raise RunError("an ensemble needs members")
        config = EnsembleConfig(
            members=names,
            synthetic=info.cache.synthetic,
            cache_fingerprint=info.cache.data,
            split_fingerprint=info.split_fingerprint,
            created=created,
            weights=[] if weights is None else list(weights),
            temperature=temperature,
        )
        earlier: list[dict[str, Any]] = []
        if trained.locked is not None:
            members = "+".join(trial.name for trial in trials)
            with recorded_scoring(trials[0], runs, run=members, trial_id="ensemble", when=created) as scoring:
                vote_on_test = np.average(locked, axis=0, weights=member_weights)
                scoring.finish(_score(trials, apply_temperature(vote_on_test, temperature), trained.locked))
            metrics["test"], earlier = scoring.result, scoring.earlier
        card = ensemble_card(
            trials,
            metrics,
            n_trained=trained.n_tracks,
            among=among,
            earlier_scorings=earlier,
            weights=member_weights,
            calibration=calibration,
            selection=selection,
        )
        with writing(out):
            files.write_json(folder, files.CONFIG, config.model_dump(mode="json"))
            files.write_json(folder, files.LABELS, info.classes)
            write_evaluation(folder, metrics, card, info, f"ensemble of {len(trials)}", calibration)
    return metrics


def _score(trials: Sequence[Trial], probabilities: np.ndarray, locked: Task) -> dict[str, Any]:
    """Evaluate the vote on the held-out test set."""
    groups = track_groups(locked.track_id.tolist(), groups_by_track(trials[0].run))
    return judge(probabilities, locked.track_label, trials[0].info.classes, groups)
