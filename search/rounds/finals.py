"""Train the best trial of a family that validated one fold on all folds, to compare families on all tracks.

A slow family validates fold 0 of the common deal only. At the end of a search, its best trial is trained on
the other folds too, each as the trial was: with the epoch that fold 0 chose, so nothing is chosen on them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import spaces
from data.dataset.score_window import ScoreWindow, window_epochs
from data.dataset.task import Fold, Task, row_folds
from data.errors import RunError
from search.judgement import JudgedTrial, best_trial
from search.settings import SearchSettings
from search.storage.predictions import PredictionReader, all_folds_name
from search.storage.run_folder import RunFolder
from search.storage.run_info import RunInfo
from search.tune.reports import EPOCHS
from search.tune.worker import set_up_device
from spaces.training.family import Config, Family

_MARGIN = 1.2
"""Factor on the estimated time, for the start of the workers and folds of unequal size."""


@dataclass(frozen=True)
class Final:
    """The best trial of a family that validated one fold, and the folds that it lacks.

    Attributes
    ----------
    run : RunFolder
        The run of the family.
    settings : SearchSettings
        Its settings.
    trial : JudgedTrial
        The best trial.
    seconds : float
        Estimated time.
    task : Task
        The rows of the search.
    folds : tuple of Fold
        The folds that the trial lacks.
    """

    run: RunFolder
    settings: SearchSettings
    trial: JudgedTrial
    seconds: float
    task: Task
    folds: tuple[Fold, ...]


def missing_final(
    run: RunFolder, settings: SearchSettings, task: Task, others: Sequence[RunFolder], *, concurrent: int
) -> Final | None:
    """Return what is to be trained for a family; None if its best trial lacks no fold.

    Parameters
    ----------
    run : RunFolder
        The run of the family.
    settings : SearchSettings
        Its settings.
    task : Task
        The rows of its search.
    others : sequence of RunFolder
        The runs of the search; one of the same deal with several folds says which tracks are in which fold.
    concurrent : int
        Folds that are trained at the same time.
    """
    info = run.info()
    if len(task.folds) > 1 or info.deal is None or not run.folder.exists("trials.parquet"):
        return None
    trial = best_trial(run)
    if trial is None:
        return None
    if PredictionReader().read_all_folds(run, trial.trial_id, info.classes, trial.epoch) is not None:
        return None
    whole = next((other.split() for other in others if _has_folds_of(other.info(), info.deal)), None)
    if whole is None:
        return None
    folds = tuple(fold for fold in row_folds(task, whole)[1:] if len(fold.valid))
    passes = math.ceil(len(folds) / concurrent)
    row: dict[Any, Any] = run.trials().loc[trial.number].to_dict()
    seconds = _MARGIN * passes * row["seconds"] * trial.epoch / max(1, row["epochs"])
    task = replace(task, class_weight=settings.class_weight)
    return Final(run, settings, trial, seconds, task, folds)


def _has_folds_of(info: RunInfo, deal: str) -> bool:
    return info.folds > 1 and info.deal == deal


def train_final(final: Final, *, seconds: float | None = None) -> Iterator[int]:
    """Train the missing folds on the cluster, and store the predictions of all tracks in the run.

    Parameters
    ----------
    final : Final
        What to train.
    seconds : float or None
        Seconds after which the training is given up; None for no limit.

    Yields
    ------
    int
        Number of folds that are done, each time one ends.

    Raises
    ------
    RunError
        If a fold cannot be trained, or the time is over; nothing is stored then.
    KeyboardInterrupt
        After Ctrl-C; nothing is stored then.
    """
    import ray

    info, settings = final.run.info(), final.settings
    family = spaces.get(info.family).as_recorded(info.baseline, info.weights)
    work = ray.remote(num_cpus=settings.cpus_per_trial, num_gpus=settings.gpus_per_trial, max_retries=1)(
        _train_fold
    )
    options = {
        "config": final.trial.config,
        "epochs": final.trial.epoch,
        "seed": settings.seed,
        "window": window_epochs(info.score_window, int(final.trial.config[EPOCHS])),
        "deterministic": settings.deterministic,
    }
    task = ray.put(final.task)
    references = [work.remote(family, task, fold, **options) for fold in final.folds]
    end = math.inf if seconds is None else time.monotonic() + seconds
    with _cancelled_at_exit(references):
        waiting = list(references)
        while waiting:
            left = None if seconds is None else max(0.0, end - time.monotonic())
            ended, waiting = ray.wait(waiting, timeout=left)
            if not ended:
                raise RunError(f"training {final.trial.name} on all folds took longer than the time left")
            try:
                ray.get(ended)
            except ray.exceptions.RayError as error:
                cause = str(getattr(error, "cause", error)).strip().splitlines()[-1]
                raise RunError(f"{final.trial.name} cannot be trained on all folds: {cause}") from error
            yield len(references) - len(waiting)
        _store(final, ray.get(references))


@contextmanager
def _cancelled_at_exit(references: Sequence[Any]) -> Iterator[None]:
    """Stop the tasks that are not done when the block ends."""
    import ray

    try:
        yield
    finally:
        for reference in references:
            ray.cancel(reference, force=True)


def _train_fold(
    family: Family,
    task: Task,
    fold: Fold,
    *,
    config: Config,
    epochs: int,
    seed: int,
    window: int,
    deterministic: bool,
) -> np.ndarray:
    """Train one fold to an epoch; return the mean probabilities of the window that ends there.

    Returns
    -------
    ndarray of float64, shape (n_validated, n_classes)

    Raises
    ------
    RunError
        If the probabilities are not finite.
    """
    from data.dataset.track_scores import track_probabilities

    set_up_device(family, deterministic=deterministic)
    task = replace(task, folds=(fold,))
    learner = family.learner(config, task, seed=seed)
    recent, mean = ScoreWindow(window), np.empty(0)
    epoch = 0
    while epoch < epochs:
        probabilities = track_probabilities(task, learner.run_epoch(epoch).probabilities)
        if not np.isfinite(probabilities).all():
            again = learner.in_full_precision()
            if again is None:
                raise RunError(f"the predictions were not finite in epoch {epoch + 1}")
            learner, recent, epoch = again, ScoreWindow(window), 0
            continue
        mean = recent.add(probabilities)
        epoch += 1
    return mean


def _store(final: Final, folds: Sequence[np.ndarray]) -> None:
    """Write the predictions of all tracks: those of fold 0 by the trial, the others by these trainings."""
    trial, task = final.trial, final.task
    rows = np.concatenate([replace(task, folds=(fold,)).validated for fold in final.folds])
    tracks = np.concatenate([trial.track_id, task.track_id[rows]])
    truth = np.concatenate([trial.truth, task.track_label[rows]])
    probabilities = np.concatenate([trial.probabilities, *folds])
    order = np.argsort(tracks.astype(str), kind="stable")
    genres = np.array(task.classes, dtype=object)
    final.run.write_predictions(
        all_folds_name(trial.trial_id),
        tracks[order],
        genres[truth[order]],
        task.classes,
        probabilities[order],
        epoch=trial.epoch,
    )
