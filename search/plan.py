"""What a search will do, settled before anything starts: data, split, budget and the record of it all."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna

import spaces
from data.cache import Cache, fingerprint
from data.errors import RunError
from data.splits import Split, make_split, read_split
from data.task import Task, search_task
from search.settings import SearchSettings
from spaces.training.family import Family
from spaces.training.run_folder import CacheRef, RunFolder, RunInfo

_LIBRARIES = (
    "keras",
    "librosa",
    "numpy",
    "optuna",
    "pandas",
    "pyarrow",
    "ray",
    "scikit-learn",
    "scipy",
    "tensorflow",
)
_SPACE_SAMPLES = 64
"""Random suggestions that uncover a conditional space's parameters for the record."""


@dataclass(frozen=True)
class Plan:
    """A search that can start.

    Attributes
    ----------
    settings : SearchSettings
        What was asked for.
    family : Family
        The model family.
    task : Task
        The rows that trials see; the locked test is not among them.
    split : Split
        The side of each track.
    run : RunFolder
        Where to write; it does not exist yet.
    info : RunInfo
        Its record.
    """

    settings: SearchSettings
    family: Family
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
    RunError
        If a run of that name is there already.
    """
    family = spaces.get(settings.family)
    cache = open_cache(settings)
    name = settings.name or f"{settings.family}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    run = RunFolder.at(settings.runs, name)
    if run.folder.exists():
        raise RunError(
            f"--name {name}: {run.folder.uri} is there already; choose another name,"
            f" or go on with it by --resume {name}"
        )
    rows = cache.features
    tracks = rows.tracks()
    folds = settings.folds or family.default_folds
    if settings.splits is not None:
        split = read_split(settings.splits, tracks)
    else:
        split = make_split(tracks, folds=folds, test_fraction=settings.test_fraction, seed=settings.seed)
    task = search_task(rows, split)
    info = RunInfo(
        name=name,
        family=settings.family,
        status="running",
        cache=CacheRef(uri=cache.folder.uri, **_common(cache)),
        classes=list(task.classes),
        n_validated=len(task.validated),
        n_test=int(split.test.sum()),
        folds=split.n_folds,
        test_fraction=None if settings.splits else settings.test_fraction,
        split_fingerprint=fingerprint([split.track_id.tolist(), split.fold.tolist()]),
        seed=settings.seed,
        trials=settings.trials,
        max_epochs=settings.max_epochs,
        settings=settings.model_dump(mode="json"),
        space=_describe_space(family, settings.max_epochs),
        baseline=family.baseline(settings.max_epochs),
        versions={"python": platform.python_version()}
        | {library: importlib.metadata.version(library) for library in _LIBRARIES},
        git_revision=_git_revision(),
        command_line=sys.argv,
        created=now(),
    )
    return Plan(settings, family, task, split, run, info)


def open_cache(settings: SearchSettings) -> Cache:
    """Open the cache that is named, or the demo data set's, which is made where it is not there."""
    if settings.cache is not None:
        return Cache.open(settings.cache)
    from data.demo import ensure

    return Cache.open(ensure())


def now() -> str:
    """Return the time in ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _common(cache: Cache) -> dict[str, Any]:
    return cache.info.model_dump(include={"fingerprint", "source", "synthetic", "parameters"})


def _describe_space(family: Family, max_epochs: int) -> dict[str, Any]:
    """Distribution of each parameter, conditional ones included, in Optuna's JSON."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found: dict[str, Any] = {}
    for _ in range(_SPACE_SAMPLES):
        trial = study.ask()
        family.space(trial, max_epochs)
        found |= trial.distributions
    return {
        name: json.loads(optuna.distributions.distribution_to_json(distribution))
        for name, distribution in sorted(found.items())
    }


def _git_revision() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return None
    return answer.stdout.strip() or None
