"""Choose the members of an ensemble, train each once more, and export them as one model that votes."""

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
from results.evaluation.groups import groups_by_track, track_groups
from results.evaluation.predictions import OutOfFoldPredictions
from results.evaluation.trials import Trial, find_trial
from results.exporting.calibration_report import fitted_calibration
from results.exporting.ensemble_card import ensemble_card
from results.exporting.formats import check_available
from results.exporting.refit import Refit, refit
from results.exporting.writer import (
    earlier_scorings,
    new_folder,
    record_scoring,
    write_account,
    write_model,
    writing,
)
from results.model import files as bundle
from results.model.classifier import Classifier
from results.model.ensemble import EnsembleConfig
from results.ranking.boards import Board
from results.ranking.selection import out_of_fold_vote
from search.storage.run_folder import RunFolder


def choose_members(board: Board, count: int, runs: str) -> list[Trial]:
    """Choose trials of a board: the best of each family first, then the next best of all.

    Members that err in different ways help each other more than the next best of one family would, and
    networks of different families do. A network has one vote, whichever runs trained it; a trial whose
    judgement cannot be read is left out, which is told on standard error.

    Parameters
    ----------
    board : Board
        With at least its `count` best entries, some to take the place of others, and the best of each family.
    count : int
        How many to choose.
    runs : str
        Folder of the runs.

    Raises
    ------
    RunError
        If there are fewer such trials.
    """
    left = list(board.entries)
    chosen: list[Trial] = []
    while left and len(chosen) < count:
        families = {trial.info.family for trial in chosen}
        entry = next((one for one in left if one.family not in families), left[0])
        left.remove(entry)
        trial = find_trial(RunFolder.at(runs, entry.run), entry.trial_id)
        if _network(trial) not in map(_network, chosen) and _is_judged(trial):
            chosen.append(trial)
    if len(chosen) < count:
        raise RunError(
            f"--top {count}: only {len(chosen)} different trials with a score and its judgement are here;"
            " ask for fewer"
        )
    return chosen


def _network(trial: Trial) -> tuple[Any, ...]:
    """Gather what an exported network follows from, on one data set and split."""
    info = trial.info
    return info.family, trial.config, trial.best_epoch, info.seed, info.weights


def _is_judged(trial: Trial) -> bool:
    """Whether the trial's judgement is there; told if it is not."""
    try:
        OutOfFoldPredictions.of(trial)
    except HarnessError as error:
        click.echo(f"Left out of the vote: {' '.join(str(error).split())}", err=True)
        return False
    return True


def export_ensemble(
    trials: Sequence[Trial],
    out: str | Path,
    *,
    runs: str,
    among: int,
    cache: str | None = None,
    formats: Sequence[str] = (),
    weights: Sequence[float] | None = None,
    selection: str = "",
) -> dict[str, Any]:
    """Export trials on the same data and split as one model that votes.

    The locked test is scored once, by the vote; the members alone are not scored on it.

    Parameters
    ----------
    trials : sequence of Trial
        The members, at least two.
    out : str or Path
        The folder to make; it appears whole, at the end.
    runs, cache, formats
        As for `results.exporting.writer.export_trial`.
    among : int
        Scored trials among which the members were chosen.
    weights : sequence of float, optional
        Weight of each member's probabilities; equal by default.
    selection : str
        How members and weights were selected, for the card.

    Returns
    -------
    dict
        The metrics, as in ``metrics.json``.

    Raises
    ------
    RunError
        If the trials are on different data or splits.
    ExportError
        If the folder is there already, or cannot be written.
    """
    info = trials[0].info
    same = [
        trial.info.cache.same_collection(info.cache)
        and trial.info.split_fingerprint == info.split_fingerprint
        for trial in trials
    ]
    if not all(same):
        raise RunError("the members of an ensemble must be of the same data and split")
    with new_folder(out) as folder:
        check_available(formats)
        shares = [1 / len(trials)] * len(trials) if weights is None else list(weights)
        probabilities, truth, groups, numbers = out_of_fold_vote(trials, shares)
        metrics = {"validation": numbers}
        calibration = fitted_calibration(probabilities, truth, groups)
        temperature = 1.0 if calibration is None else calibration.temperature
        names = [f"{number}-{trial.info.family}" for number, trial in enumerate(trials, start=1)]
        created = datetime.now(UTC).isoformat(timespec="seconds")
        locked: list[np.ndarray] = []
        trained: Refit | None = None
        for name, trial in zip(names, trials, strict=True):
            trained = refit(trial, cache=cache)
            with writing(out):
                (folder / name).mkdir()
                write_model(trial, trained, folder / name, formats)
            if trained.locked is not None:
                task = trained.locked
                rows = Classifier.load(folder / name).judge_rows(task.X)
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
            earlier = earlier_scorings(trials[0], runs)
            vote_on_test = apply_temperature(np.average(locked, axis=0, weights=shares), temperature)
            metrics["test"] = _score(trials, vote_on_test, trained.locked, created)
        card = ensemble_card(
            trials,
            metrics,
            n_trained=trained.n_tracks,
            among=among,
            earlier_scorings=earlier,
            weights=shares,
            calibration=calibration,
            selection=selection,
        )
        with writing(out):
            bundle.write_json(folder, bundle.CONFIG, config.model_dump(mode="json"))
            bundle.write_json(folder, bundle.LABELS, info.classes)
            write_account(folder, metrics, card, info, f"ensemble of {len(trials)}", calibration)
    return metrics


def _score(trials: Sequence[Trial], probabilities: np.ndarray, locked: Task, when: str) -> dict[str, Any]:
    """Score the locked test by the vote, and record that it was."""
    groups = track_groups(locked.track_id.tolist(), groups_by_track(trials[0].run))
    result = judge(probabilities, locked.track_label, trials[0].info.classes, groups)
    members = "+".join(f"{trial.run.name}:{trial.trial_id}" for trial in trials)
    record_scoring(trials[0], result, run=members, trial_id="ensemble", when=when)
    return result
