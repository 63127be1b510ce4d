"""Run the trials of a search with Ray Tune, starting from the state of its study.

Starting, resuming and extending a search are the same operation. The study in the journal contains every
trial: unfinished trials resume from their checkpoints, the sampler learns from the others, and the
scheduler's rungs are rebuilt from the reported scores. Tune's own snapshots are not used, because they are
some seconds old and do not contain the rungs.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import ConcurrencyLimiter

import spaces
from data.dataset.scores import merit
from data.dataset.task import Task
from data.io.activity import forget_activities
from search.plan import now, space_of, starting_points
from search.progress.live_view import LiveView
from search.progress.loggers import make_loggers
from search.progress.search_view import SearchView
from search.progress.state import FamilyProgress
from search.sampling.samplers import make_sampler
from search.settings import SearchSettings
from search.storage.checkpoint import tidy_checkpoints
from search.storage.journal_mirror import JournalMirror, working_folder
from search.storage.lock import disk_full, inputs_changed, out_of_reach
from search.storage.run_folder import STUDY, RunFolder
from search.storage.run_info import RunInfo
from search.storage.study import Curve, count_ended, create_study, storage
from search.storage.tables import write_tables
from search.tune.concurrency import Capacity
from search.tune.optuna_searcher import TruthfulOptunaSearch
from search.tune.recorder import SECONDS, Recorder
from search.tune.reports import SCORE, TRIAL_ID
from search.tune.schedulers import make_scheduler
from search.tune.stopper import NO_INPUTS, NO_SPACE, NO_STORAGE, Ending
from search.tune.trial import GenreTrial

_STATE = "ray"
"""Folder of Tune's state inside the run's folder."""
_RESTARTS = 2
"""How often a trial is restarted from its checkpoint after its process died."""
MAX_WORKER_GROWTH = 2 << 30
"""A worker process that has grown by more bytes since its first trial is replaced before the next one."""
REPORT_SECONDS = 5.0
"""Maximum time between two reports, and minimum time between two checkpoints, of a trial."""
_REGISTRY = threading.Lock()
_MIN_FREE_BYTES = 256 << 10
"""A disk with less free space counts as full."""


def search(
    run: RunFolder,
    info: RunInfo,
    settings: SearchSettings,
    task: Task,
    concurrent: int,
    *,
    view: SearchView | None = None,
) -> RunFolder:
    """Run the remaining trials of the study, then update the record in any case.

    Parameters
    ----------
    run : RunFolder
        A run that this process has locked.
    info : RunInfo
        The record of the run.
    settings : SearchSettings
        The settings of the search.
    task : Task
        The rows that trials see.
    concurrent : int
        Number of concurrent trials.
    view : SearchView, optional
        The view of a search over several families; by default, the run has a view of its own.

    Raises
    ------
    RunError
        If the disk is full, or the run's folder cannot be reached.
    """
    started_trials, info = _prepare_study(run, info, settings)
    with contextlib.ExitStack() as stack:
        if view is None:
            view = stack.enter_context(_own_view(run, info, settings, started_trials))
        progress = view.start_round(info.family)
        progress.read(started_trials)
        try:
            return _train(
                run, info, settings, task, concurrent, started_trials, LiveView(view, progress, run.folder)
            )
        finally:
            progress.pause()


def _own_view(
    run: RunFolder, info: RunInfo, settings: SearchSettings, started_trials: Sequence[FrozenTrial]
) -> SearchView:
    """Make the view of a search in one run, with what earlier sessions reached."""
    progress = FamilyProgress(run.name, info.family, info.metric, info.trials)
    progress.read(started_trials)
    return SearchView(run.name, [progress], time_budget=settings.time_budget, before=info.seconds)


def _train(
    run: RunFolder,
    info: RunInfo,
    settings: SearchSettings,
    task: Task,
    concurrent: int,
    started_trials: list[FrozenTrial],
    live_view: LiveView,
) -> RunFolder:
    """Run the remaining trials, then update the record."""
    ended = [trial for trial in started_trials if trial.state.is_finished()]
    started = time.monotonic()
    tuner, searcher, ending = _tuner(run, info, settings, task, concurrent, started_trials, live_view)
    failure: Exception | None = None
    try:
        if len(ended) < info.trials and ending.reason is None:
            with _sigterm_as_sigint():
                tuner.fit()
    except Exception as error:  # noqa: BLE001 - a full disk raises many exceptions; all others are raised below
        failure = error
    finally:
        forget_activities(run.folder)
    suspension = None
    if ending.reason == NO_STORAGE:
        suspension = out_of_reach(run, ending.details)
    elif ending.reason == NO_INPUTS:
        suspension = inputs_changed(run, ending.details)
    elif ending.reason == NO_SPACE or shutil.disk_usage(working_folder(run)).free < _MIN_FREE_BYTES:
        suspension = disk_full(run, ending.details)
    if suspension is not None:
        # The bucket may accept the journal although the local disk is full.
        with contextlib.suppress(OSError):
            JournalMirror(run).send()
        raise suspension from failure
    seconds = info.seconds + time.monotonic() - started
    reason = ending.reason or _reason(info, ended=count_ended(searcher.study), seconds=seconds)
    status = "interrupted" if reason == "interrupted" else "finished"
    if status == "finished":
        searcher.settle()
        if searcher.failure is not None:
            # Do not record as finished what the journal does not contain.
            raise searcher.failure
        trials = searcher.study.get_trials(deepcopy=False)
        scored = [trial.user_attrs for trial in trials if "best_epoch" in trial.user_attrs]
        run.settle_predictions({attributes[TRIAL_ID]: attributes["best_epoch"] for attributes in scored})
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


def _prepare_study(
    run: RunFolder, info: RunInfo, settings: SearchSettings
) -> tuple[list[FrozenTrial], RunInfo]:
    """Enqueue the first configurations unless the study contains them.

    Return the trials that were started, and the record with the duration of a killed session.
    """
    study = create_study(run, optuna.samplers.RandomSampler(seed=settings.seed))
    for point in starting_points(info)[len(study.get_trials(deepcopy=False)) :]:
        study.enqueue_trial(point)
    waiting = optuna.trial.TrialState.WAITING
    spent = max(info.seconds, study.user_attrs.get(SECONDS, 0.0))
    started_trials = [trial for trial in study.get_trials() if trial.state != waiting]
    return started_trials, info.model_copy(update={"seconds": spent})


def _reason(info: RunInfo, *, ended: int, seconds: float) -> str:
    # Tune also returns normally after Ctrl-C: missing trials show it, unless the time budget explains them.
    if ended >= info.trials:
        return "all trials"
    budget = info.settings["time_budget"]
    return "time budget" if budget is not None and seconds >= budget else "interrupted"


@contextlib.contextmanager
def _sigterm_as_sigint() -> Iterator[None]:
    """Stop a search on a preempted node as cleanly as after Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupt = signal.getsignal(signal.SIGINT)
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        # Tune leaves its handler behind, which would swallow a Ctrl-C between two rounds.
        signal.signal(signal.SIGINT, interrupt)


def _trainable(settings: SearchSettings, run: RunFolder, info: RunInfo, task: Task) -> str:
    """Bind the shared objects to the trial class: one copy per node, which all its trials read.

    Returns
    -------
    str
        Name under which the class is registered, of its own per run: two runs may train at the same time.
    """
    shared = tune.with_parameters(
        GenreTrial,
        task=replace(task, class_weight=settings.class_weight),
        family=spaces.get(info.family).as_recorded(info.baseline, info.weights),
        run=run,
        seed=settings.seed,
        metric=settings.metric,
        score_window=info.score_window,
        rungs=info.stopping,
        patience=settings.patience,
        report_seconds=REPORT_SECONDS,
        checkpoint_seconds=REPORT_SECONDS,
        max_growth=MAX_WORKER_GROWTH,
        deterministic=settings.deterministic,
    )
    trainable = tune.with_resources(shared, {"cpu": settings.cpus_per_trial, "gpu": settings.gpus_per_trial})
    name = f"{GenreTrial.__name__}-{run.name}"
    # Tune's registry is a dictionary of the process, which two threads must not fill at once.
    with _REGISTRY:
        tune.register_trainable(name, trainable)
    return name


def _scheduler(info: RunInfo, settings: SearchSettings, started_trials: list[FrozenTrial]) -> Any:
    """Make the scheduler and replay the reports of the study's trials."""
    scheduler = make_scheduler(
        settings.scheduler,
        rungs=info.stopping,
        reduction_factor=settings.reduction_factor,
        brackets=settings.brackets,
        seed=settings.seed,
    )
    if hasattr(scheduler, "replay"):
        scheduler.replay(map(Curve.of, started_trials))
    return scheduler


def _tuner(
    run: RunFolder,
    info: RunInfo,
    settings: SearchSettings,
    task: Task,
    concurrent: int,
    started_trials: list[FrozenTrial],
    live_view: LiveView,
) -> tuple[tune.Tuner, TruthfulOptunaSearch, Ending]:
    """Combine searcher, scheduler, recorder and view for the remaining trials."""
    ended = [trial for trial in started_trials if trial.state.is_finished()]
    target = None if settings.target is None else merit(settings.target, settings.metric)
    searcher = TruthfulOptunaSearch(
        space=space_of(info),
        metric=SCORE,
        mode="max",
        sampler=make_sampler(settings.searcher, seed=settings.seed, known_trials=len(started_trials)),
        study_name=STUDY,
        storage=storage(run),
        unfinished=[trial for trial in started_trials if not trial.state.is_finished()],
        target=target,
    )
    ending = Ending(searcher, target=target, stagnation=settings.stagnation, metric=settings.metric)
    budget = None if settings.time_budget is None else max(1.0, settings.time_budget - info.seconds)
    limiter = ConcurrencyLimiter(searcher, max_concurrent=concurrent)
    tuner = tune.Tuner(
        _trainable(settings, run, info, task),
        tune_config=tune.TuneConfig(
            search_alg=limiter,
            scheduler=_scheduler(info, settings, started_trials),
            metric=SCORE,
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
            # Trials write their own checkpoints, from which a resumed search continues.
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=_RESTARTS),
            callbacks=[
                Recorder(run, searcher, seconds=info.seconds),
                *_capacity(settings, limiter),
                live_view,
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


def _capacity(settings: SearchSettings, limiter: ConcurrencyLimiter) -> list[tune.Callback]:
    """Let the number of concurrent trials follow the nodes of a cluster."""
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
