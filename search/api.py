"""Start, resume or extend a search from Python. The command line calls these functions."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence

import spaces
from data.cache.cache import Cache
from data.console import err
from data.dataset.task import Task, search_task
from data.errors import CacheError, RunError, SettingsError
from data.io.command_names import command_name
from data.io.stages import Stages
from search.plan import check_start, make_plan
from search.searched_run import SearchedRun
from search.settings import SearchSettings
from search.storage.lock import claimed
from search.storage.run_folder import RunFolder
from search.storage.run_info import RunInfo
from search.storage.study import count_started, open_study, repair_journal
from search.tune.resources import Resources, concurrent_trials, ray_cluster
from search.warming import warming


def run_search(settings: SearchSettings) -> SearchedRun:
    """Run a search and record it.

    Parameters
    ----------
    settings : SearchSettings
        The options of the command line.

    Returns
    -------
    SearchedRun
        The run, with its best trial; ``info().status`` is ``interrupted`` if the user stopped the search.

    Raises
    ------
    HarnessError
        If the search cannot start; nothing is written then.
    """
    with Stages() as stage:
        stage("Reading the data")
        start = check_start(settings)
        stage("Starting Ray")
        with (
            warming(start.cache, [start.kind]) as wait_until_warm,
            _cluster(settings) as concurrent,
            contextlib.ExitStack() as lock,
        ):
            stage("Splitting the tracks")
            wait_until_warm()
            from search.driver import search

            plan = make_plan(settings, start)
            print_notes(plan.notes)
            lock.enter_context(claimed(plan.run, new=True))
            plan.run.write_split(plan.split)
            plan.run.write_info(plan.info)
            stage("Starting the first trials")
            stage.close()
            run = search(plan.run, plan.info, settings, plan.task, concurrent)
            return SearchedRun(run.name, run.folder)


def resume_search(
    name: str,
    *,
    runs: str = "runs",
    cache: str | None = None,
    address: str | None = None,
    max_concurrent: int | None = None,
    cpus_per_trial: float | None = None,
    gpus_per_trial: float | None = None,
) -> SearchedRun:
    """Resume an interrupted run: unfinished trials from their checkpoints, then new trials.

    Parameters
    ----------
    name, runs : str
        The run, and the folder of the runs.
    cache : str or None
        Current place of the run's cache; None if it has not moved.
    address : str or None
        A Ray cluster to use; None starts a local one.
    max_concurrent, cpus_per_trial, gpus_per_trial : number or None
        Concurrent trials, and resources per trial; None keeps the values of the run.

    Raises
    ------
    RunError
        If the run does not exist, is finished, or is being searched by another process.
    CacheError
        If the cache is not the one with which the run started.
    """

    def unfinished(info: RunInfo) -> RunInfo:
        if info.status == "finished":
            raise RunError(
                f"--resume {name}: the run is finished; '{command_name('results.leaderboard')}' shows it"
                f" and --extend {name} --trials N adds trials"
            )
        return info

    return _continue(
        "--resume",
        RunFolder.at(runs, name),
        unfinished,
        cache=cache,
        address=address,
        max_concurrent=max_concurrent,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial,
    )


def extend_search(
    name: str,
    *,
    trials: int,
    runs: str = "runs",
    cache: str | None = None,
    address: str | None = None,
    max_concurrent: int | None = None,
    cpus_per_trial: float | None = None,
    gpus_per_trial: float | None = None,
    time_budget: float | None = None,
) -> SearchedRun:
    """Add trials to a finished run, in the same study; its target and time budget no longer apply.

    Parameters
    ----------
    name, runs : str
        The run, and the folder of the runs.
    trials : int
        Number of additional trials.
    cache, address, max_concurrent, cpus_per_trial, gpus_per_trial
        As in `resume_search`.
    time_budget : float or None
        Seconds after which training stops.

    Raises
    ------
    RunError
        If the run does not exist, is not finished, or has tried every point of its grid.
    CacheError
        If the cache is not the one with which the run started.
    """
    if trials < 1:
        raise SettingsError(f"--trials {trials}: input should be greater than or equal to 1")
    if time_budget is not None and not 0 < time_budget < math.inf:
        raise SettingsError(f"--time-budget {time_budget:g}: give a finite number of seconds greater than 0")
    run = RunFolder.at(runs, name)

    def extended(info: RunInfo) -> RunInfo:
        if info.status != "finished":
            raise RunError(f"--extend {name}: the run is not finished; resume it with --resume {run.typed}")
        study = open_study(run)
        started, known = count_started(study), len(study.get_trials(deepcopy=False))
        total = started + trials
        if info.settings["searcher"] == "grid":
            if started == known:
                raise RunError(
                    f"--extend {name}: the run tried every point of its grid; there is nothing to add"
                )
            total = min(total, known)
        # The duration includes earlier sessions, so the budget of this session is added to it.
        budget = None if time_budget is None else info.seconds + time_budget
        lifted = {"trials": total, "time_budget": budget, "target": None, "stagnation": None}
        return info.model_copy(
            update={"trials": total, "settings": {**info.settings, **lifted}, "reason": None}
        )

    return _continue(
        "--extend",
        run,
        extended,
        cache=cache,
        address=address,
        max_concurrent=max_concurrent,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial,
    )


def check_family(name: str, family: str | None, *, runs: str) -> None:
    """Check that a run belongs to the requested family.

    Raises
    ------
    RunError
        If the run does not exist or belongs to another family.
    """
    info = RunFolder.at(runs, name).info()
    if family is not None and family != info.family:
        raise RunError(f"--family {family}: run {name!r} is of family {info.family}")


def _continue(
    option: str,
    run: RunFolder,
    changed: Callable[[RunInfo], RunInfo],
    *,
    cache: str | None,
    address: str | None,
    **reserved: float | None,
) -> SearchedRun:
    """Continue a run with its own settings, except for those that are not None here."""
    # Fails before the lock file is created if the run does not exist.
    run.info()
    with Stages() as stage, claimed(run, new=False):
        stage(f"Reading the data of {run.name}")
        # Read inside the lock, because another process may have been searching until now.
        info = changed(run.info())
        info, settings, task = reopened(option, run, info, cache=cache, address=address, **reserved)
        repair_journal(run)
        stage("Starting Ray")
        with _cluster(settings) as concurrent:
            from search.driver import search

            run.write_info(info)
            stage("Starting the first trials")
            stage.close()
            search(run, info, settings, task, concurrent)
            return SearchedRun(run.name, run.folder)


def reopened(
    option: str,
    run: RunFolder,
    info: RunInfo,
    *,
    cache: str | None = None,
    address: str | None = None,
    **reserved: float | None,
) -> tuple[RunInfo, SearchSettings, Task]:
    """Read the data of an existing run and check that it is still the same.

    Parameters
    ----------
    option : str
        ``--resume`` or ``--extend``, for messages.
    run : RunFolder
        The run, which this process has locked.
    info : RunInfo
        Its record.
    cache, address, **reserved
        As in `resume_search`.

    Returns
    -------
    info : RunInfo
        The record of a run that is being searched.
    settings : SearchSettings
        The run's settings.
    task : Task
        The rows that trials see, by the run's own split.

    Raises
    ------
    CacheError
        If the cache is not the one with which the run started.
    """
    overrides = {name: value for name, value in reserved.items() if value is not None}
    settings = SearchSettings.checked(**{**info.settings, "address": address, **overrides})
    where = info.cache.uri if cache is None else cache
    data = _opened(where, option, run)
    reads = spaces.get(info.family).reads
    if not info.cache.is_in(data, reads):
        raise CacheError(f"{option} {run.name}: {where} holds different data than when the run started")
    family = spaces.get(info.family).as_recorded(info.baseline, info.weights)
    family.check_recorded()
    task = search_task(data.rows(info.cache.kind(reads)), run.split())
    place = info.cache.model_copy(update={"uri": data.folder.uri})
    return info.model_copy(update={"status": "running", "ended": None, "cache": place}), settings, task


def print_notes(notes: Sequence[str]) -> None:
    """Print what the user should know before the search starts."""
    for note in notes:
        err().print(note, highlight=False, soft_wrap=True)


def _opened(where: str, option: str, run: RunFolder) -> Cache:
    try:
        return Cache.open(where)
    except CacheError as error:
        raise CacheError(
            f"{option} {run.name}: the run's data is not at {where}; give its current place with --cache"
            f" ({error})"
        ) from error


def concurrent_by_settings(resources: Sequence[Resources], settings: SearchSettings) -> int:
    """Return how many trials with these settings can run at the same time; see `concurrent_trials`."""
    return concurrent_trials(
        resources,
        cpus=settings.cpus_per_trial,
        gpus=settings.gpus_per_trial,
        wanted=settings.max_concurrent,
    )


@contextlib.contextmanager
def _cluster(settings: SearchSettings) -> Iterator[int]:
    """Connect to Ray and yield the number of concurrent trials.

    Modules that import Ray are imported inside, because a local instance listens on loopback only if the
    environment says so before the import.
    """
    with ray_cluster(settings.address) as resources:
        concurrent = concurrent_by_settings(resources, settings)
        idle = sum(node.get("GPU", 0.0) for node in resources)
        gains = spaces.get(settings.family).gains_from_gpus
        if idle and not settings.gpus_per_trial and gains:
            err().print(
                f"{idle:g} GPUs stay unused, because trials use only what they reserve. Reserve a quarter of"
                " a GPU with --gpus-per-trial 0.25",
                highlight=False,
            )
        if settings.gpus_per_trial and not gains:
            err().print(
                f"--gpus-per-trial {settings.gpus_per_trial:g} will not make {settings.family} faster: its"
                " networks are so small that a core trains them as fast",
                highlight=False,
            )
        if settings.gpus_per_trial > 1:
            err().print(
                f"A trial trains on the first of its {settings.gpus_per_trial:g} reserved GPUs; the others"
                " stay idle",
                highlight=False,
            )
        yield concurrent
