"""Ray Tune around the trials of a run, whose study says what is still to do.

A search that is begun, resumed or extended is the same thing: the study in the journal knows every trial
that was ever begun, so unfinished ones are gone on with from their checkpoints, the sampler knows the rest,
and the scheduler's rungs are made again from the reported scores. Tune's own snapshots, which are some
seconds late and forget the rungs, are not needed.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import ConcurrencyLimiter

import spaces
from data.console import err
from data.dataset.task import Task
from search.plan import now, space_of, starting_points
from search.progress.live_view import LiveView
from search.progress.loggers import make_loggers
from search.sampling.samplers import make_sampler
from search.settings import SearchSettings
from search.storage.checkpoint import tidy_checkpoints
from search.storage.journal_mirror import JournalMirror, working_folder
from search.storage.lock import disk_full, out_of_reach
from search.storage.run_folder import STUDY, RunFolder, RunInfo
from search.storage.study import begin_study, count_ended, storage
from search.tune.concurrency import Capacity
from search.tune.optuna_searcher import TruthfulOptunaSearch
from search.tune.recorder import SECONDS, Recorder, write_tables
from search.tune.schedulers import make_scheduler
from search.tune.stopper import NO_SPACE, NO_STORAGE, Ending
from search.tune.trial import TRIAL_ID, GenreTrial

_METRIC = "val_accuracy"
_STATE = "ray"
"""Folder of Tune's own state inside the run's."""
_RESTARTS = 2
"""How often a trial whose process died goes on from its checkpoint."""
REPORT_SECONDS = 5.0
"""Long trials report, and write a checkpoint, as often."""
_LEAST_SPACE = 256 << 10
"""Bytes: a disk with less is full."""


def search(run: RunFolder, info: RunInfo, settings: SearchSettings, task: Task, concurrent: int) -> RunFolder:
    """Do what the study says is left, then bring the record up to date, whatever happened.

    Parameters
    ----------
    run : RunFolder
        A run that this process has claimed.
    info : RunInfo
        Its record.
    settings : SearchSettings
        How to search.
    task : Task
        The rows that trials see.
    concurrent : int
        Trials at the same time.

    Raises
    ------
    RunError
        If the disk is full, or the run's folder cannot be reached.
    """
    told, info = _begin(run, info, settings)
    ended = [trial for trial in told if trial.state.is_finished()]
    started = time.monotonic()
    tuner, searcher, ending = _tuner(run, info, settings, task, concurrent, told)
    failure: Exception | None = None
    try:
        if len(ended) < info.trials and ending.reason is None:
            with _sigterm_as_sigint():
                tuner.fit()
    except Exception as error:  # noqa: BLE001 - a full disk shows in many ways; anything else is raised again
        failure = error
    finally:
        err().show_cursor()
    waits = None
    if ending.reason == NO_STORAGE:
        waits = out_of_reach(run, ending.told)
    elif ending.reason == NO_SPACE or shutil.disk_usage(working_folder(run)).free < _LEAST_SPACE:
        waits = disk_full(run, ending.told)
    if waits is not None:
        # A bucket may have room where this machine's disk has none.
        with contextlib.suppress(OSError):
            JournalMirror(run).send()
        raise waits from failure
    seconds = info.seconds + time.monotonic() - started
    reason = ending.reason or _reason(info, ended=count_ended(searcher.study), seconds=seconds)
    status = "interrupted" if reason == "interrupted" else "finished"
    if status == "finished":
        searcher.settle()
        if searcher.failure is not None:
            # What the journal lacks must not be recorded as done.
            raise searcher.failure
        trials = searcher.study.get_trials(deepcopy=False)
        scored = [one.user_attrs for one in trials if "best_epoch" in one.user_attrs]
        run.settle_predictions({one[TRIAL_ID]: one["best_epoch"] for one in scored})
    JournalMirror(run).send()
    write_tables(run, searcher.study)
    run.write_info(
        info.model_copy(update={"status": status, "ended": now(), "reason": reason, "seconds": seconds})
    )
    if failure is not None:
        raise failure
    if status == "finished":
        tidy_checkpoints(run, [trial.number for trial in trials if not trial.state.is_finished()])
    return run


def _begin(run: RunFolder, info: RunInfo, settings: SearchSettings) -> tuple[list[FrozenTrial], RunInfo]:
    """Enqueue what the search begins with, where that was not done.

    Returns the trials that were begun, and the record with the seconds of a sitting that was killed.
    """
    study = begin_study(run, optuna.samplers.RandomSampler(seed=settings.seed))
    for point in starting_points(info)[len(study.get_trials(deepcopy=False)) :]:
        study.enqueue_trial(point)
    waiting = optuna.trial.TrialState.WAITING
    spent = max(info.seconds, study.user_attrs.get(SECONDS, 0.0))
    begun = [trial for trial in study.get_trials() if trial.state != waiting]
    return begun, info.model_copy(update={"seconds": spent})


def _reason(info: RunInfo, *, ended: int, seconds: float) -> str:
    # Tune returns in peace after Ctrl-C as well: what is missing tells. A time budget leaves some too.
    if ended >= info.trials:
        return "all trials"
    budget = info.settings["time_budget"]
    return "time budget" if budget is not None and seconds >= budget else "interrupted"


@contextlib.contextmanager
def _sigterm_as_sigint() -> Iterator[None]:
    """End a search whose node is preempted as Ctrl-C does: in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _trainable(settings: SearchSettings, run: RunFolder, info: RunInfo, task: Task) -> type[tune.Trainable]:
    """Bind what all trials share to the trial: one copy a node, which all of them read."""
    shared = tune.with_parameters(
        GenreTrial,
        task=task,
        family=spaces.get(info.family).as_recorded(info.baseline, info.weights),
        run=run,
        seed=settings.seed,
        milestones=settings.milestones,
        patience=settings.patience,
        report_seconds=REPORT_SECONDS,
        checkpoint_seconds=REPORT_SECONDS,
    )
    return tune.with_resources(shared, {"cpu": settings.cpus_per_trial, "gpu": settings.gpus_per_trial})


def _scheduler(settings: SearchSettings, told: list[FrozenTrial]) -> Any:
    """Make the scheduler, with what the trials of the study reported."""
    scheduler = make_scheduler(
        settings.scheduler,
        max_epochs=settings.max_epochs,
        grace_period=settings.grace,
        reduction_factor=settings.reduction_factor,
        brackets=settings.brackets,
        seed=settings.seed,
    )
    if hasattr(scheduler, "replay"):
        scheduler.replay((trial.number, trial.intermediate_values) for trial in told)
    return scheduler


def _tuner(
    run: RunFolder,
    info: RunInfo,
    settings: SearchSettings,
    task: Task,
    concurrent: int,
    told: list[FrozenTrial],
) -> tuple[tune.Tuner, TruthfulOptunaSearch, Ending]:
    """Put searcher, scheduler, record and view together for the trials that are left."""
    ended = [trial for trial in told if trial.state.is_finished()]
    searcher = TruthfulOptunaSearch(
        space=space_of(info),
        metric=_METRIC,
        mode="max",
        sampler=make_sampler(settings.searcher, seed=settings.seed, told=len(told)),
        study_name=STUDY,
        storage=storage(run),
        unfinished=[trial for trial in told if not trial.state.is_finished()],
        target=settings.target,
    )
    ending = Ending(searcher, target=settings.target, stagnation=settings.stagnation)
    budget = None if settings.time_budget is None else max(1.0, settings.time_budget - info.seconds)
    failed = optuna.trial.TrialState.FAIL
    scores = [trial.user_attrs.get(_METRIC, 0.0) for trial in ended if trial.state != failed]
    limiter = ConcurrencyLimiter(searcher, max_concurrent=concurrent)
    tuner = tune.Tuner(
        _trainable(settings, run, info, task),
        tune_config=tune.TuneConfig(
            search_alg=limiter,
            scheduler=_scheduler(settings, told),
            metric=_METRIC,
            mode="max",
            num_samples=max(1, info.trials - len(ended)),
            time_budget_s=budget,
            reuse_actors=True,
            trial_dirname_creator=_folder_name,
        ),
        run_config=tune.RunConfig(
            name=_STATE,
            storage_path=str(working_folder(run)),
            verbose=0,
            stop=ending,
            # Trials write their own, which a resumed search finds too.
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=_RESTARTS),
            callbacks=[
                Recorder(run, searcher, seconds=info.seconds),
                *_followers(settings, limiter),
                LiveView(
                    run.name,
                    trials=info.trials,
                    time_budget=budget,
                    ended=len(ended),
                    best=max(scores, default=0.0),
                ),
                *make_loggers(
                    run.name,
                    state=working_folder(run) / _STATE,
                    tensorboard=settings.tensorboard,
                    mlflow=settings.mlflow,
                    wandb=settings.wandb,
                ),
            ],
        ),
    )
    return tuner, searcher, ending


def _followers(settings: SearchSettings, limiter: ConcurrencyLimiter) -> list[tune.Callback]:
    """On a cluster, of which nodes come and go, let the limit follow."""
    if settings.address is None:
        return []
    return [
        Capacity(
            limiter,
            cpus=settings.cpus_per_trial,
            gpus=settings.gpus_per_trial,
            wanted=settings.max_concurrent,
        )
    ]


def _folder_name(trial: Trial) -> str:
    return str(trial.trial_id)
