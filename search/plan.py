"""What a search will do, settled before anything starts: data, split, budget and the record of it all."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import spaces
from data.cache.cache import Cache
from data.cache.fingerprints import fingerprint
from data.dataset.splits import Split, make_split, read_split
from data.dataset.task import Task, search_task
from data.errors import SettingsError
from search.sampling.grid import grid_points
from search.sampling.samplers import SHARING
from search.sampling.search_space import SearchSpace, make_space
from search.sampling.warm_start import fit, warm_start
from search.settings import SearchSettings
from search.storage.lock import refuse_existing
from search.storage.provenance import git_revision, library_versions
from search.storage.run_folder import CacheRef, RunFolder, RunInfo


@dataclass(frozen=True)
class Plan:
    """A search that can start.

    Attributes
    ----------
    task : Task
        The rows that trials see; the locked test is not among them.
    split : Split
        The side of each track.
    run : RunFolder
        Where to write; it does not exist yet.
    info : RunInfo
        Its record.
    """

    task: Task
    split: Split
    run: RunFolder
    info: RunInfo


def make_plan(settings: SearchSettings) -> Plan:
    """Open the data, split it and settle the record.

    Raises
    ------
    CacheError, SplitError
        If the data is not there or cannot be split as asked.
    SettingsError
        If the settings do not go together, or the space does not have what they name.
    RunError
        If a run of that name is there already, or the one to start from is not fit for it.
    """
    settings.check()
    # Two searches may begin in one second.
    name = settings.name or f"{settings.family}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    run = RunFolder.at(settings.runs, name)
    refuse_existing(run)
    if settings.tensorboard and not run.folder.is_local:
        raise SettingsError(
            f"--tensorboard does not go with --runs {settings.runs}: its events are files of this machine;"
            " --mlflow URI logs from anywhere"
        )
    cache = open_cache(settings)
    family = spaces.get(settings.family)
    kind = cache.kind_of(family.reads)
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
    portfolio = (
        _portfolio(space) if settings.portfolio and warm is None and settings.searcher != "grid" else []
    )
    tracks = rows.tracks()
    folds = settings.folds or family.default_folds
    if settings.splits is not None:
        split = read_split(settings.splits, tracks)
    else:
        split = make_split(tracks, folds=folds, test_fraction=settings.test_fraction, seed=settings.seed)
    if warm is not None:
        looked_at = _looked_at(warm["run"], settings.runs)
        warm["test_tracks_seen"] = len(looked_at.intersection(split.track_id[split.test].tolist()))
    task = search_task(rows, split)
    info = RunInfo(
        name=name,
        family=settings.family,
        status="running",
        cache=CacheRef.of(cache, kind),
        classes=list(task.classes),
        n_validated=len(task.validated),
        n_test=int(split.test.sum()),
        folds=split.n_folds,
        test_fraction=None if settings.splits else settings.test_fraction,
        split_fingerprint=fingerprint([split.track_id.tolist(), split.fold.tolist()]),
        seed=settings.seed,
        trials=trials,
        max_epochs=settings.max_epochs,
        settings=settings.model_dump(mode="json"),
        space=space.describe(),
        narrowed={
            "fixed": dict(space.fixed),
            "ranges": {name: dict(one) for name, one in space.ranges.items()},
        },
        baseline=family.baseline(settings.max_epochs),
        weights=dict(family.weights),
        versions=library_versions(),
        git_revision=git_revision(),
        command_line=sys.argv,
        created=now(),
        warm_start=warm,
        portfolio=portfolio,
        rungs=list(settings.rungs),
    )
    return Plan(task, split, run, info)


def space_of(info: RunInfo) -> SearchSpace:
    """Return the space of a run that is there."""
    family = spaces.get(info.family).as_recorded(info.baseline, info.weights)
    return SearchSpace(family, info.max_epochs, **info.narrowed)


def starting_points(info: RunInfo) -> list[dict[str, Any]]:
    """Return the configurations that a run begins with, the BASELINE first."""
    points = [info.baseline]
    if info.warm_start is not None:
        points += info.warm_start["configurations"]
    points += info.portfolio
    if info.settings.get("searcher") == "grid":
        points += grid_points(space_of(info))
    return points


def _require_shared(settings: SearchSettings, space: SearchSpace) -> None:
    """Refuse ranges without the BASELINE's values for a sampler that would not learn of them."""
    left_out = space.leaves_out() if settings.searcher in SHARING else {}
    if left_out:
        parameter, value = next(iter(left_out.items()))
        raise SettingsError(
            f"--space {settings.space}: {parameter} leaves out the BASELINE's {value}, and --searcher"
            f" {settings.searcher} would draw it at random; widen its range, or give --searcher tpe"
        )


def _looked_at(name: str, runs: str) -> set[str]:
    """Tracks that a run searched on, or one before it whose best it began with."""
    seen: set[str] = set()
    names = [name]
    for one in names:
        run = RunFolder.at(runs, one)
        split = run.split()
        seen.update(split.track_id[split.searchable].tolist())
        warm = run.info().warm_start
        # One that was deleted takes what it knew with it, and its name may have been given anew.
        if warm and warm["run"] not in names and RunFolder.at(runs, warm["run"]).folder.exists("run.json"):
            names.append(warm["run"])
    return seen


def _portfolio(space: SearchSpace) -> list[dict[str, Any]]:
    """Fit the family's portfolio to the space; what is fixed or narrowed may make some of it the same."""
    points: list[dict[str, Any]] = []
    for config in space.family.PORTFOLIO:
        point = fit(config, space)
        if point not in points:
            points.append(point)
    return points


def open_cache(settings: SearchSettings) -> Cache:
    """Open the cache that is named, or the demo data set's, which is made where it is not there."""
    if settings.cache is not None:
        return Cache.open(settings.cache)
    from data.demo import ensure

    return Cache.open(ensure())


def now() -> str:
    """Return the time in ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
