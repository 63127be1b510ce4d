"""The final training: a trial's configuration on all training and validation tracks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import spaces
from data.analysis.embeddings import ENCODERS
from data.analysis.kinds import Kind
from data.cache.cache import Cache
from data.dataset.task import Task, locked_task, refit_task
from data.errors import CacheError
from data.io.folder import Folder
from data.io.keras_import import import_keras
from data.io.stages import NO_STAGES, Stages
from results.evaluation.trials import Trial
from spaces.training.family import Fitted
from spaces.training.mean_weights import fitted_mean


@dataclass(frozen=True)
class Refit:
    """A network trained on training and validation tracks.

    Attributes
    ----------
    fitted : Fitted
        The network and its fitted preparation.
    n_tracks : int
        Number of tracks that it was trained on.
    locked : Task or None
        Rows of the held-out test set; None if the run has none.
    trained : Task
        The rows that it was trained on.
    kind : str
        The kind of input of those rows.
    encoders : Folder
        Folder of the cache's encoders; empty if it has none.
    """

    fitted: Fitted
    n_tracks: int
    locked: Task | None
    trained: Task
    kind: Kind
    encoders: Folder


def refit(trial: Trial, *, cache: str | None = None, stages: Stages = NO_STAGES) -> Refit:
    """Train a trial's configuration on training and validation tracks, with the run's seed.

    The training stops at the trial's best epoch; the learning rate's schedule keeps its horizon. The weights
    are averaged over the epochs whose mean probabilities were the trial's score.

    Parameters
    ----------
    trial : Trial
        The trial to train.
    cache : str, optional
        Location of the run's cache; by default that of ``run.json``.
    stages : Stages
        Shows the epochs; by default, nothing is shown.

    Raises
    ------
    CacheError
        If the cache does not exist or holds other data than the run.
    """
    info = trial.info
    stages(f"Training {trial.name}")
    opened_cache = Cache.open(cache or info.cache.uri)
    family = spaces.get(info.family).as_recorded(info.baseline, info.weights)
    if not info.cache.is_in(opened_cache, family.reads):
        raise CacheError(
            f"{opened_cache.folder.uri}: holds other data than run {trial.run.name!r} used (fingerprint"
            f" {opened_cache.collection[:8]}, not {info.cache.data[:8]}, or lacks its inputs); name the"
            " right cache with --cache"
        )
    kind = family.kind_for(trial.config, info.cache.kind(family.reads))
    rows, split = opened_cache.rows(kind), trial.run.split()
    task = replace(refit_task(rows, split), class_weight=info.class_weight)
    import_keras()
    learner = family.learner(trial.config, task, seed=info.seed)
    epochs = trial.best_epoch

    def show(done: int) -> None:
        stages.count(done, epochs, "epochs")

    fitted = fitted_mean(learner, epochs=epochs, window=trial.score_epochs, on_epoch=show)
    locked = locked_task(rows, split) if info.n_test else None
    return Refit(fitted, len(task.track_id), locked, task, kind, opened_cache.folder / ENCODERS)
