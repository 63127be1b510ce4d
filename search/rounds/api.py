"""Start, resume or extend a search over several families."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import spaces
from data.dataset.task import Task
from data.errors import CacheError, HarnessError, RunError, SettingsError
from data.io.command_names import command_name
from data.io.stages import Stages
from search.api import concurrent_by_settings, print_notes, reopened
from search.judgement import JudgedTrial, family_winner, in_order
from search.plan import check_start, make_plan, now, open_cache
from search.rounds.families import ALL, requested_families
from search.settings import SearchSettings
from search.storage.lock import claimed, refuse_existing
from search.storage.run_folder import RunFolder
from search.storage.search_record import SearchRecord, read_record, run_of, write_record
from search.storage.study import repair_journal
from search.tune.resources import Resources, ray_cluster
from search.warming import warming

if TYPE_CHECKING:
    from search.rounds.entrant import Entrant

_Result = TypeVar("_Result")

DEFAULT_SECONDS = 3600.0
"""Time budget of a search over several families without ``--trials`` and ``--time-budget``."""

_OF_ONE_FAMILY = (("warm_start", "--warm-start", None), ("searcher", "--searcher grid", "grid"))


@dataclass(frozen=True)
class FamilySearch:
    """A search over several families.

    Attributes
    ----------
    name : str
        Its name.
    runs_folder : str
        Folder of the runs.
    """

    name: str
    runs_folder: str = "runs"

    def record(self) -> SearchRecord:
        """Read the record of the search."""
        return read_record(self.runs_folder, self.name)

    def runs(self) -> list[RunFolder]:
        """Return the run of each family."""
        return [run_of(self.runs_folder, self.name, family) for family in self.record().families]

    @property
    def best(self) -> JudgedTrial:
        """The best trial of all families; on common tracks if the families validated different ones.

        Raises
        ------
        RunError
            If no trial has a score.
        """
        best = [family_winner(run) for run in self.runs() if run.folder.exists("trials.parquet")]
        scored = [trial for trial in best if trial is not None]
        if not scored:
            raise RunError(f"search {self.name!r}: no trial has a score")
        return in_order(scored)[0]

    @property
    def best_config(self) -> dict[str, Any]:
        """Configuration of the best trial."""
        return self.best.config

    @property
    def typed(self) -> str:
        """The search as typed in commands."""
        return RunFolder.at(self.runs_folder, self.name).typed


def search_families(families: str | Sequence[str], **options: Any) -> FamilySearch:
    """Search several families within one budget.

    Parameters
    ----------
    families : str or sequence of str
        ``all``, or the families; a text separates them by commas. ``all`` leaves out families that the data
        does not allow, with a note.
    **options
        Fields of `SearchSettings`. ``trials`` is the number per family, ``time_budget`` is for all together,
        one hour if neither is set. ``name`` names the search; the run of a family is NAME-FAMILY.

    Raises
    ------
    HarnessError
        If the search cannot start; nothing is written then.
    """
    text = families if isinstance(families, str) else ",".join(families)
    names = requested_families(text)
    for option, typed, refused in _OF_ONE_FAMILY:
        value = options.get(option)
        if value is not None and (refused is None or value == refused):
            raise SettingsError(f"{typed} cannot be used with several families; name one with --family")
    trials, budget = options.pop("trials", None), options.pop("time_budget", None)
    if trials is None and budget is None:
        budget = DEFAULT_SECONDS
    # The random suffix keeps the names of two searches of the same second apart.
    name = options.pop("name", None) or f"search-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    runs = options.get("runs") or "runs"
    settings = [
        _settings_of(family, options, name=name, trials=trials, time_budget=budget) for family in names
    ]
    refuse_existing(RunFolder.at(runs, name))
    left_out: dict[str, HarnessError] = {}
    can_leave_out = text.strip() == ALL
    with Stages() as stage:
        stage("Reading the data")
        cache = open_cache(settings[0])
        starts = _possible(settings, lambda own: check_start(own, cache), left_out, can_leave_out)
        stage("Starting Ray")
        with (
            warming(cache, [start.kind for _, start in starts]) as wait_until_warm,
            ray_cluster(settings[0].address) as resources,
            contextlib.ExitStack() as locks,
        ):
            stage("Splitting the tracks")
            wait_until_warm()
            from search.rounds.engine import play

            by_family = {own.family: start for own, start in starts}
            possible = [own for own, _ in starts]
            plans = _possible(
                possible, lambda own: make_plan(own, by_family[own.family]), left_out, can_leave_out
            )
            for _, plan in plans:
                print_notes(plan.notes)
            reasons = {family: " ".join(str(error).split()) for family, error in left_out.items()}
            print_notes([f"{family} is left out: {reason}" for family, reason in reasons.items()])
            entrants = _entrants(resources, [(plan.run, own, plan.task) for own, plan in plans])
            for _, plan in plans:
                locks.enter_context(claimed(plan.run, new=True))
            for _, plan in plans:
                plan.run.write_split(plan.split)
                plan.run.write_info(plan.info)
            record = SearchRecord(
                name=name,
                families=[own.family for own, _ in plans],
                left_out=reasons,
                status="running",
                trials=trials,
                time_budget=budget,
                created=now(),
            )
            write_record(runs, record)
            stage.close()
            play(runs, record, entrants)
    return FamilySearch(name, runs)


def resume_families(name: str, *, runs: str = "runs", **where: Any) -> FamilySearch:
    """Resume an interrupted search: unfinished trials first, then rounds within the rest of the budget.

    Parameters
    ----------
    name, runs : str
        The search, and the folder of the runs.
    **where
        As in `search.resume_search`.

    Raises
    ------
    RunError
        If the search does not exist, is finished, or another process searches in one of its runs.
    CacheError
        If the cache is not the one with which the search started.
    """

    def unfinished(record: SearchRecord) -> SearchRecord:
        if record.status == "finished":
            raise RunError(
                f"--resume {name}: the search is finished; '{command_name('results.leaderboard')}' shows it"
                f" and --extend {name} --time-budget SECONDS adds time"
            )
        return record

    return _continue("--resume", name, runs, unfinished, where)


def extend_families(
    name: str,
    *,
    trials: int | None = None,
    time_budget: float | None = None,
    runs: str = "runs",
    **where: Any,
) -> FamilySearch:
    """Add trials per family, or time, to a finished search; stopped families stay stopped.

    Parameters
    ----------
    name, runs : str
        The search, and the folder of the runs.
    trials : int or None
        Number of additional trials per family; None if only the time limits them.
    time_budget : float or None
        Seconds to add; None for no limit.
    **where
        As in `search.extend_search`.

    Raises
    ------
    SettingsError
        If neither is set, or one is out of bounds.
    RunError
        If the search does not exist, is not finished, or another process searches in one of its runs.
    """
    if trials is None and time_budget is None:
        raise SettingsError(f"--extend {name}: give --time-budget SECONDS, or --trials N per family")

    def extended(record: SearchRecord) -> SearchRecord:
        if record.status != "finished":
            raise RunError(f"--extend {name}: the search is not finished; resume it with --resume {name}")
        wanted = None
        if trials is not None:
            counted = [len(run_of(runs, name, family).trials()) for family in record.families]
            wanted = max(counted, default=0) + trials
        budget = None if time_budget is None else record.seconds + time_budget
        return record.model_copy(update={"trials": wanted, "time_budget": budget})

    for field, value in (("trials", trials), ("time_budget", time_budget)):
        if value is not None:
            SearchSettings.checked(family=spaces.names()[0], **{field: value})
    return _continue("--extend", name, runs, extended, where)


def _continue(
    option: str,
    name: str,
    runs: str,
    changed: Callable[[SearchRecord], SearchRecord],
    where: dict[str, Any],
) -> FamilySearch:
    record = read_record(runs, name)
    with contextlib.ExitStack() as locks:
        folders = [run_of(runs, name, family) for family in record.families]
        for run in folders:
            # Fails before the lock file is created if the run does not exist.
            run.info()
            locks.enter_context(claimed(run, new=False))
        # Read inside the locks, because another process may have been searching until now.
        record = changed(read_record(runs, name)).model_copy(update={"status": "running", "ended": None})
        stage = locks.enter_context(Stages())
        stage(f"Reading the data of {name}")
        parts = []
        for run in folders:
            info, settings, task = reopened(option, run, run.info(), **where)
            if option == "--extend":
                settings = settings.model_copy(update={"target": None, "stagnation": None})
            repair_journal(run)
            parts.append((run, info, settings, task))
        stage("Starting Ray")
        with ray_cluster(where.get("address")) as resources:
            from search.rounds.engine import play

            entrants = _entrants(resources, [(run, settings, task) for run, _, settings, task in parts])
            for run, info, _, _ in parts:
                run.write_info(info)
            write_record(runs, record)
            stage.close()
            play(runs, record, entrants)
    return FamilySearch(name, runs)


def _entrants(
    resources: Sequence[Resources], families: Sequence[tuple[RunFolder, SearchSettings, Task]]
) -> list[Entrant]:
    """Divide the cluster among the families of a search: their runs, settings and rows."""
    from search.rounds.entrant import Entrant, trials_beside

    all_settings = [settings for _, settings, _ in families]
    entrants = []
    for run, settings, task in families:
        concurrent = concurrent_by_settings(resources, settings)
        beside = trials_beside(resources, settings, all_settings, concurrent=concurrent)
        entrants.append(Entrant(run, settings, task, concurrent, beside))
    return entrants


def _settings_of(
    family: str, options: dict[str, Any], *, name: str, trials: int | None, time_budget: float | None
) -> SearchSettings:
    """Make the settings of one family, without options that only other families can use."""
    own = {key: value for key, value in options.items() if key != "runs" or value is not None}
    member = spaces.get(family)
    if not member.pretrained:
        own.pop("weights", None)
    if not member.gains_from_gpus:
        own.pop("gpus_per_trial", None)
    if trials is not None:
        own["trials"] = trials
    # Checked under the name of the search, which the user typed.
    SearchSettings.checked(family=family, name=name, time_budget=time_budget, **own)
    return SearchSettings.checked(family=family, name=f"{name}-{family}", time_budget=time_budget, **own)


def _possible(
    settings: Sequence[SearchSettings],
    action: Callable[[SearchSettings], _Result],
    left_out: dict[str, HarnessError],
    can_leave_out: bool,
) -> list[tuple[SearchSettings, _Result]]:
    """Call a function for each family; with ``all``, leave out families that the data does not allow."""
    results = []
    for own in settings:
        try:
            results.append((own, action(own)))
        except (CacheError, SettingsError) as error:
            if not can_leave_out:
                raise
            left_out[own.family] = error
    if not results:
        # A wrong setting concerns all families, a missing input only one.
        errors = list(left_out.values())
        raise next((error for error in errors if isinstance(error, SettingsError)), errors[0])
    return results
