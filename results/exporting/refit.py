"""The best configuration, trained once more on all that its search saw."""

from __future__ import annotations

from dataclasses import dataclass

import spaces
from data.analysis.embeddings import ENCODERS
from data.analysis.kinds import Kind
from data.cache.cache import Cache
from data.dataset.task import Task, locked_task, refit_task
from data.errors import CacheError
from data.io.folder import Folder
from results.evaluation.trials import Trial
from results.quiet import import_keras
from spaces.training.family import Fitted


@dataclass(frozen=True)
class Refit:
    """A network that was trained on training and validation tracks.

    Attributes
    ----------
    fitted : Fitted
        The network and its preparation.
    n_tracks : int
        Tracks that it was trained on.
    locked : Task or None
        Rows of the locked test; None if the run locked nothing away.
    trained : Task
        The rows that it was trained on.
    kind : str
        The kind of input of those rows.
    encoders : Folder
        The files of the cache's encoders, if it has any.
    """

    fitted: Fitted
    n_tracks: int
    locked: Task | None
    trained: Task
    kind: Kind
    encoders: Folder


def refit(trial: Trial, *, cache: str | None = None) -> Refit:
    """Train a trial's configuration on training and validation tracks, with the run's seed.

    It is trained for as many epochs as validation chose; the learning rate's schedule keeps its horizon.

    Parameters
    ----------
    trial : Trial
        The trial.
    cache : str, optional
        Where the run's cache lies; where ``run.json`` says by default.

    Raises
    ------
    CacheError
        If the cache is not there, or is not the one that the run saw.
    """
    info = trial.info
    opened = Cache.open(cache or info.cache.uri)
    family = spaces.get(info.family).as_recorded(info.baseline, info.weights)
    if not info.cache.is_in(opened, family.reads):
        raise CacheError(
            f"{opened.folder.uri}: holds other data than run {trial.run.name!r} searched on (fingerprint"
            f" {opened.collection[:8]}, not {info.cache.data[:8]}, or other inputs of it); name the right"
            " one by --cache"
        )
    kind = family.kind_for(trial.config, info.cache.kind(family.reads))
    rows, split = opened.rows(kind), trial.run.split()
    task = refit_task(rows, split)
    import_keras()
    learner = family.learner(trial.config, task, seed=info.seed)
    for epoch in range(trial.best_epoch):
        learner.run_epoch(epoch)
    locked = locked_task(rows, split) if info.n_test else None
    return Refit(learner.fitted(), len(task.track_id), locked, task, kind, opened.folder / ENCODERS)
