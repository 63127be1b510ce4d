"""A search from Python: begun, resumed, or extended. The command line does no more than call these."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator

import spaces
from data.analysis.kinds import EMBEDDED, FEATURE_KIND
from data.cache.cache import Cache
from data.console import err
from data.dataset.task import search_task
from data.errors import CacheError, RunError, SettingsError
from search.plan import make_plan
from search.settings import SearchSettings
from search.storage.lock import claimed
from search.storage.run_folder import RunFolder, RunInfo
from search.storage.study import count_begun, mend_journal, open_study
from search.tune.resources import concurrent_trials, ray_cluster


def run_search(settings: SearchSettings) -> RunFolder:
    """Search as `settings` say, and record all of it.

    Parameters
    ----------
    settings : SearchSettings
        As the command line's options.

    Returns
    -------
    RunFolder
        The run; its ``info().status`` is ``interrupted`` if it was stopped by hand.

    Raises
    ------
    HarnessError
        If the search cannot start; nothing is written then.
    """
    plan = make_plan(settings)
    with _cluster(settings) as concurrent, claimed(plan.run, new=True):
        from search.driver import search

        plan.run.write_split(plan.split)
        plan.run.write_info(plan.info)
        return search(plan.run, plan.info, settings, plan.task, concurrent)


def resume_search(
    name: str,
    *,
    runs: str = "runs",
    cache: str | None = None,
    address: str | None = None,
    max_concurrent: int | None = None,
    cpus_per_trial: float | None = None,
    gpus_per_trial: float | None = None,
) -> RunFolder:
    """Go on with a run that was interrupted: unfinished trials from their checkpoints, then new ones.

    Parameters
    ----------
    name, runs : str
        The run, and the folder of the runs.
    cache : str or None
        Where the run's data lies now; None for where it lay.
    address : str or None
        A Ray cluster to use; None starts a local one.
    max_concurrent, cpus_per_trial, gpus_per_trial : number or None
        Trials at the same time, and what each reserves; None for as before.

    Raises
    ------
    RunError
        If there is no such run, it is finished, or another process is searching in it.
    CacheError
        If the cache is not the one that the run began with.
    """

    def unfinished(info: RunInfo) -> RunInfo:
        if info.status == "finished":
            raise RunError(
                f"--resume {name}: the run is finished; 'python -m results.leaderboard' shows it,"
                f" --extend {name} --trials N adds trials"
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
) -> RunFolder:
    """Add trials to a finished run, in the same study; a target or a budget of the run is lifted.

    Parameters
    ----------
    name, runs : str
        The run, and the folder of the runs.
    trials : int
        How many trials more.
    cache, address, max_concurrent, cpus_per_trial, gpus_per_trial
        As in `resume_search`.
    time_budget : float or None
        Seconds after which no more is trained.

    Raises
    ------
    RunError
        If there is no such run, it is not finished, or it was a search on a grid.
    CacheError
        If the cache is not the one that the run began with.
    """
    if trials < 1:
        raise SettingsError(f"--trials {trials}: input should be greater than or equal to 1")
    if time_budget is not None and not 0 < time_budget < math.inf:
        raise SettingsError(f"--time-budget {time_budget:g}: give a finite number of seconds greater than 0")
    run = RunFolder.at(runs, name)

    def extended(info: RunInfo) -> RunInfo:
        if info.status != "finished":
            raise RunError(f"--extend {name}: the run is not finished; go on with it by --resume {run.typed}")
        study = open_study(run)
        begun, known = count_begun(study), len(study.get_trials(deepcopy=False))
        total = begun + trials
        if info.settings["searcher"] == "grid":
            if begun == known:
                raise RunError(
                    f"--extend {name}: the run tried every point of its grid; there is nothing to add"
                )
            total = min(total, known)
        # The time of all sittings is counted together, so the budget of this one comes on top.
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
    """Refuse to go on with a run of another family than is asked for.

    Raises
    ------
    RunError
        If there is no such run, or it is of another family.
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
) -> RunFolder:
    """Search on in a run at an address, by its own settings but for what is given of the others."""
    others = {name: value for name, value in reserved.items() if value is not None}
    # Where there is no such run, nothing is made.
    run.info()
    with claimed(run, new=False):
        # Not read before: until then another process may have been searching in it.
        info = changed(run.info())
        settings = SearchSettings.checked(**{**info.settings, "address": address, **others})
        where = info.cache.uri if cache is None else cache
        data = _opened(where, option, run)
        reads = spaces.get(info.family).reads
        if not info.cache.is_in(data, reads):
            raise CacheError(f"{option} {run.name}: {where} holds other data than when the run began")
        family = spaces.get(info.family).as_recorded(info.baseline, info.weights)
        family.check_recorded()
        task = search_task(data.rows(info.cache.kind(reads)), run.split())
        mend_journal(run)
        with _cluster(settings) as concurrent:
            from search.driver import search

            place = info.cache.model_copy(update={"uri": data.folder.uri})
            info = info.model_copy(update={"status": "running", "ended": None, "cache": place})
            run.write_info(info)
            return search(run, info, settings, task, concurrent)


def _opened(where: str, option: str, run: RunFolder) -> Cache:
    try:
        return Cache.open(where)
    except CacheError as error:
        raise CacheError(
            f"{option} {run.name}: the run's data is not at {where}; say by --cache where it lies now"
            f" ({error})"
        ) from error


@contextlib.contextmanager
def _cluster(settings: SearchSettings) -> Iterator[int]:
    """Connect to Ray; give how many trials run at the same time.

    What needs Ray is imported inside: a local one listens on loopback alone if it is told before.
    """
    with ray_cluster(settings.address) as resources:
        idle = sum(node.get("GPU", 0.0) for node in resources)
        if (
            idle
            and not settings.gpus_per_trial
            and spaces.get(settings.family).reads not in (FEATURE_KIND, EMBEDDED)
        ):
            err().print(
                f"{idle:g} GPUs are left alone: trials use what they reserve, such as a quarter of one by"
                " --gpus-per-trial 0.25",
                highlight=False,
            )
        if settings.gpus_per_trial > 1:
            err().print(
                f"A trial trains on the first of the {settings.gpus_per_trial:g} GPUs that it reserves; the"
                " others are idle",
                highlight=False,
            )
        yield concurrent_trials(
            resources,
            cpus=settings.cpus_per_trial,
            gpus=settings.gpus_per_trial,
            wanted=settings.max_concurrent,
        )
