"""Plan a search before anything starts: data, split, budget and record."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import spaces
from data.analysis.kinds import Kind
from data.cache.cache import Cache
from data.cache.fingerprints import fingerprint
from data.cache.partition import stored_sides
from data.dataset.deal import Deal, stored_deal, stored_folds, usable_tracks
from data.dataset.partition import GivenSplit, given_split
from data.dataset.score_window import SCORE_WINDOW
from data.dataset.scores import check_metric
from data.dataset.splits import Split, read_split
from data.dataset.task import Task, missing_inputs, search_task
from data.demo import ensure
from data.errors import SettingsError
from search.sampling.grid import grid_points
from search.sampling.portfolio import portfolio
from search.sampling.samplers import SHARING
from search.sampling.search_space import SearchSpace, make_space
from search.sampling.warm_start import warm_start
from search.settings import SearchSettings
from search.storage.lock import refuse_existing
from search.storage.provenance import git_revision, library_versions
from search.storage.run_folder import RunFolder
from search.storage.run_info import CacheRef, RunInfo

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Plan:
    """A search that is ready to start.

    Attributes
    ----------
    task : Task
        The rows that trials see; they exclude the locked test set.
    split : Split
        The assignment of each track to training, validation or test.
    run : RunFolder
        The run to create.
    info : RunInfo
        The record of the run.
    notes : list of str
        What the user should know before the search starts.
    """

    task: Task
    split: Split
    run: RunFolder
    info: RunInfo
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Start:
    """What is checked before Ray starts: the name of the run, and the head of the cache.

    Attributes
    ----------
    run : RunFolder
        The run to create.
    cache : Cache
        The open cache; its inputs are not read yet.
    kind : str
        The kind of input that the family reads of it.
    """

    run: RunFolder
    cache: Cache
    kind: Kind


def check_start(settings: SearchSettings, cache: Cache | None = None) -> Start:
    """Check settings and name, and open the cache.

    Parameters
    ----------
    settings : SearchSettings
        The settings of the search.
    cache : Cache, optional
        The cache of the settings, if it is open already.

    Raises
    ------
    CacheError
        If the cache is missing, or has no input for the family.
    SettingsError
        If the settings contradict each other.
    RunError
        If a run of that name exists.
    """
    settings.check()
    # The random suffix keeps the names of two searches of the same second apart.
    name = settings.name or f"{settings.family}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    run = RunFolder.at(settings.runs, name)
    refuse_existing(run)
    if settings.tensorboard and not run.folder.is_local:
        raise SettingsError(
            f"--tensorboard cannot be used with --runs {settings.runs}, because its events are local files;"
            " use --mlflow URI"
        )
    cache = open_cache(settings) if cache is None else cache
    return Start(run, cache, cache.kind_of(spaces.get(settings.family).reads))


def make_plan(settings: SearchSettings, start: Start | None = None) -> Plan:
    """Open the cache, split its tracks and prepare the record.

    Parameters
    ----------
    settings : SearchSettings
        The settings of the search.
    start : Start, optional
        What `check_start` returned for them.

    Raises
    ------
    CacheError, SplitError
        If the data is missing or cannot be split as requested.
    SettingsError
        If the settings contradict each other, or name a parameter that the space does not have.
    RunError
        If a run of that name exists, or the run of ``--warm-start`` does not fit.
    """
    start = check_start(settings) if start is None else start
    run, cache, kind = start.run, start.cache, start.kind
    family = spaces.get(settings.family)
    rows = cache.rows(kind)
    family = family.for_search(
        rows.X.shape[1:],
        weights=settings.weights,
        fixed=settings.set,
        embeddings=cache.encoder_weights,
    )
    space = make_space(family, settings.max_epochs, fixed=settings.set, file=settings.space)
    _require_shared(settings, space)
    trials, warm = settings.trials, None
    if settings.searcher == "grid":
        trials = 1 + len(grid_points(space, most=settings.trials - 1))
    if settings.warm_start is not None:
        warm = warm_start(settings.warm_start, runs=settings.runs, space=space)
    tries_portfolio = settings.portfolio and warm is None and settings.searcher != "grid"
    # All families split the same tracks; a cache that was not prepared by this program has no manifest.
    tracks = usable_tracks(cache) if cache.folder.exists("manifest.parquet") else rows.tracks()
    folds = settings.folds or family.default_folds
    partition = _given_split(settings, cache, tracks, family.default_folds)
    dealt: Deal | None = None
    if settings.splits_file is not None:
        split = read_split(settings.splits_file, tracks)
    elif partition is not None:
        split = partition.split
    else:
        dealt = stored_deal(
            cache.folder,
            tracks,
            folds=stored_folds(folds),
            test_fraction=settings.test_fraction,
            seed=settings.seed,
        )
        split = dealt.split.hold_out() if folds == 1 else dealt.split
    missing = missing_inputs(rows, split)
    if warm is not None:
        searched = _searched_tracks(warm["run"], settings.runs)
        warm["test_tracks_seen"] = len(searched.intersection(split.track_id[split.test].tolist()))
    task, rungs = search_task(rows, split), settings.rungs
    check_metric(settings.metric, task.track_label[task.validated], task.classes)
    info = RunInfo(
        name=run.name,
        family=settings.family,
        status="running",
        cache=CacheRef.of(cache, kind),
        classes=list(task.classes),
        n_validated=len(task.validated),
        n_test=int(split.test.sum()) - len(set(missing).intersection(split.track_id[split.test].tolist())),
        folds=split.n_folds,
        test_fraction=None if settings.splits_file or partition else settings.test_fraction,
        split_fingerprint=_fingerprint(split),
        deal=_fingerprint(dealt.split) if dealt else None,
        missing_inputs=len(missing),
        seed=settings.seed,
        trials=trials,
        max_epochs=settings.max_epochs,
        settings=settings.model_dump(mode="json"),
        space=space.describe(),
        narrowed={
            "fixed": dict(space.fixed),
            "ranges": {name: dict(change) for name, change in space.ranges.items()},
        },
        baseline=family.baseline(settings.max_epochs),
        weights=dict(family.weights),
        versions=library_versions(),
        git_revision=git_revision(),
        command_line=sys.argv,
        created=now(),
        warm_start=warm,
        portfolio=portfolio(space, seed=settings.seed) if tries_portfolio else [],
        rungs=list(rungs.values),
        score_window=SCORE_WINDOW,
        rung_unit=rungs.unit,
        rung_min_epochs=rungs.min_epochs,
    )
    notes = [partition.summary()] if partition else []
    return Plan(task, split, run, info, [*notes, *_notes(dealt, missing, settings.family, kind)])


def _fingerprint(split: Split) -> str:
    return fingerprint([split.track_id.tolist(), split.fold.tolist()])


def _notes(dealt: Deal | None, missing: list[str], family: str, kind: Kind) -> list[str]:
    """Describe how the split differs from what the user may expect."""
    notes = []
    if missing:
        notes.append(
            f"{family}: {len(missing)} of the tracks have no {kind} in the cache and are left out, the first"
            f" is {missing[0]}; the other tracks keep their sides"
        )
    if dealt is not None and dealt.joined:
        notes.append(
            f"{len(dealt.joined)} tracks were added since the cache was first split; they joined that split"
        )
    if dealt is not None and dealt.moved:
        notes.append(
            f"{len(dealt.moved)} tracks changed sides, because tracks of one group were on both, the first is"
            f" {dealt.moved[0]}"
        )
    return notes


def _given_split(
    settings: SearchSettings, cache: Cache, tracks: pd.DataFrame, default_folds: int
) -> GivenSplit | None:
    """Return the split by the partition that came with the collection; None if it is not used."""
    sides = stored_sides(cache.folder) if settings.splits is None else {}
    if not sides:
        return None
    return given_split(
        tracks,
        sides,
        folds=settings.folds,
        test_fraction=settings.wanted_test_fraction,
        default_folds=default_folds,
        default_test_fraction=settings.test_fraction,
        seed=settings.seed,
    )


def space_of(info: RunInfo) -> SearchSpace:
    """Return the search space of an existing run."""
    family = spaces.get(info.family).as_recorded(info.baseline, info.weights)
    return SearchSpace(family, info.max_epochs, **info.narrowed)


def starting_points(info: RunInfo) -> list[dict[str, Any]]:
    """Return the first configurations of a run, the BASELINE first."""
    points = [info.baseline]
    if info.warm_start is not None:
        points += info.warm_start["configurations"]
    points += info.portfolio
    if info.settings.get("searcher") == "grid":
        points += grid_points(space_of(info))
    return points


def _require_shared(settings: SearchSettings, space: SearchSpace) -> None:
    """Refuse ranges that exclude a BASELINE value if the sampler could not learn that parameter."""
    excluded = space.leaves_out() if settings.searcher in SHARING else {}
    if excluded:
        parameter, value = next(iter(excluded.items()))
        raise SettingsError(
            f"--space {settings.space}: {parameter} excludes the BASELINE's {value}, so --searcher"
            f" {settings.searcher} would draw it at random; widen the range, or use --searcher tpe"
        )


def _searched_tracks(name: str, runs: str) -> set[str]:
    """Return the tracks on which a run, or a run that warm-started it, was searched."""
    seen: set[str] = set()
    names = [name]
    for run_name in names:
        run = RunFolder.at(runs, run_name)
        split = run.split()
        seen.update(split.track_id[split.searchable].tolist())
        warm = run.info().warm_start
        # The earlier run may have been deleted, and its name used again.
        if warm and warm["run"] not in names and RunFolder.at(runs, warm["run"]).folder.exists("run.json"):
            names.append(warm["run"])
    return seen


def open_cache(settings: SearchSettings) -> Cache:
    """Open the named cache, or that of the demo data set, which is created if necessary."""
    if settings.cache is not None:
        return Cache.open(settings.cache)
    return Cache.open(ensure())


def now() -> str:
    """Return the time in ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
