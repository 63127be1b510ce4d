"""The search itself: Ray Tune around the trials of a plan."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import optuna
from ray import tune
from ray.tune.experiment import Trial

from data.cache import Cache
from data.console import err
from data.errors import CacheError, RunError
from data.task import Task, search_task
from search.asha import RungKeeper
from search.cluster import concurrent_trials, ray_cluster
from search.plan import Plan, make_plan, now
from search.recorder import Recorder, write_tables
from search.schedulers import make_scheduler
from search.searchers import make_sampler
from search.settings import SearchSettings
from search.trial import GenreTrial
from search.truthful import TruthfulOptunaSearch
from search.view import LiveView
from spaces.training.run_folder import RunFolder, RunInfo

_METRIC = "val_accuracy"
_STATE = "ray"
"""Folder of Tune's own state inside the run's."""
_STUDY = "search"
"""Name of the study in a run's journal."""
_RESTARTS = 2
"""How often a trial whose process died goes on from its checkpoint."""


def run_search(settings: SearchSettings) -> RunFolder:
    """Search as `settings` say, and record all of it.

    Parameters
    ----------
    settings : SearchSettings
        As the command line's options.

    Returns
    -------
    RunFolder
        The finished run; its ``info().status`` is ``interrupted`` if it was stopped by hand.

    Raises
    ------
    HarnessError
        If the search cannot start; nothing is written then.
    """
    plan = make_plan(settings)
    with ray_cluster(settings.address) as resources:
        concurrent = concurrent_trials(
            resources,
            cpus=settings.cpus_per_trial,
            gpus=settings.gpus_per_trial,
            wanted=settings.max_concurrent,
        )
        plan.run.write_split(plan.split)
        plan.run.write_info(plan.info)
        return _fit(plan.run, _tuner(plan, concurrent))


def resume_search(name: str, *, runs: str, address: str | None = None) -> RunFolder:
    """Go on with a run that was interrupted: unfinished trials from their checkpoints, then new ones.

    Raises
    ------
    RunError
        If there is no such run, if it is finished, or if nothing had been trained yet.
    CacheError
        If the cache is not the one that the run began with.
    """
    run = RunFolder.at(runs, name)
    info = run.info()
    if info.status == "finished":
        raise RunError(f"--resume {name}: the run is finished; 'python -m results.leaderboard' shows it")
    cache = Cache.open(info.cache.uri)
    if cache.info.fingerprint != info.cache.fingerprint:
        raise CacheError(f"--resume {name}: {info.cache.uri} holds other data than when the run began")
    state = str(run.folder.local / _STATE)
    if not tune.Tuner.can_restore(state):
        raise RunError(f"--resume {name}: nothing had been trained yet; delete {run.folder.uri}, search anew")
    settings = SearchSettings(**info.settings)
    task = search_task(cache.features, run.split())
    with ray_cluster(address):
        run.write_info(info.model_copy(update={"status": "running", "ended": None}))
        return _fit(run, tune.Tuner.restore(state, _trainable(settings, run, task), resume_unfinished=True))


def _fit(run: RunFolder, tuner: tune.Tuner) -> RunFolder:
    """Let Tune work, then bring the record up to date, whatever happened."""
    info = run.info()
    try:
        tuner.fit()
    finally:
        err().show_cursor()
        study = open_study(run)
        write_tables(run, study)
        states = [trial.state for trial in study.get_trials(deepcopy=False)]
        left = info.trials - sum(state.is_finished() for state in states)
        # Tune returns in peace after Ctrl-C as well: what is missing tells. A time budget leaves some too.
        whole = left <= 0 or _out_of_time(info)
        run.write_info(
            info.model_copy(update={"status": "finished" if whole else "interrupted", "ended": now()})
        )
    return run


def _out_of_time(info: RunInfo) -> bool:
    budget = info.settings["time_budget"]
    passed = datetime.now(UTC) - datetime.fromisoformat(info.created)
    return budget is not None and passed.total_seconds() >= budget


def _trainable(settings: SearchSettings, run: RunFolder, task: Task) -> type[tune.Trainable]:
    """Bind what all trials share to the trial: one copy a node, which all of them read."""
    shared = tune.with_parameters(
        GenreTrial,
        task=task,
        family=settings.family,
        run=run,
        seed=settings.seed,
        milestones=settings.milestones,
    )
    return tune.with_resources(shared, {"cpu": settings.cpus_per_trial, "gpu": settings.gpus_per_trial})


def _tuner(plan: Plan, concurrent: int) -> tune.Tuner:
    """Put searcher, scheduler, record and view together."""
    settings, run = plan.settings, plan.run
    scheduler = make_scheduler(
        settings.scheduler,
        max_epochs=settings.max_epochs,
        grace_period=settings.grace,
        reduction_factor=settings.reduction_factor,
    )
    searcher = TruthfulOptunaSearch(
        space=partial(plan.family.space, max_epochs=settings.max_epochs),
        metric=_METRIC,
        mode="max",
        points_to_evaluate=[plan.info.baseline],
        sampler=make_sampler(settings.searcher, seed=settings.seed),
        study_name=_STUDY,
        storage=_storage(run),
    )
    return tune.Tuner(
        _trainable(settings, run, plan.task),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            metric=_METRIC,
            mode="max",
            num_samples=settings.trials,
            max_concurrent_trials=concurrent,
            time_budget_s=settings.time_budget,
            reuse_actors=True,
            trial_dirname_creator=_folder_name,
        ),
        run_config=tune.RunConfig(
            name=_STATE,
            storage_path=str(run.folder.local),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=_RESTARTS),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1, checkpoint_frequency=1),
            callbacks=[
                Recorder(run, searcher.study),
                RungKeeper(scheduler),
                LiveView(run.name, trials=settings.trials, time_budget=settings.time_budget),
            ],
        ),
    )


def _folder_name(trial: Trial) -> str:
    return str(trial.trial_id)


def _storage(run: RunFolder) -> optuna.storages.JournalStorage:
    backend = optuna.storages.journal.JournalFileBackend(str(run.folder.local / "study.journal"))
    return optuna.storages.JournalStorage(backend)


def open_study(run: RunFolder) -> optuna.Study:
    """Open the study of a run; it may be running."""
    return optuna.load_study(study_name=_STUDY, storage=_storage(run))
