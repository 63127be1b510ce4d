"""Find the configurations that a family's searches begin with, on data of your choice.

The program draws random configurations from the family's space and trains each on every cache, with several
splits per cache. It prints the configurations with the best mean score. A score is the validation accuracy of
the best epoch, minus that of the BASELINE on the same split. Configurations that train longer than
``--slower`` times the BASELINE are left out.

Run it with ``python -m benchmarks.portfolio --cache DIR --family NAME --halves FILE``. It then chooses on
the recordings of the half ``development`` only, and shows what the choice is worth on the half ``shown``,
with as many splits.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import spaces
from data.cache.cache import Cache
from data.dataset.splits import make_split
from data.dataset.task import search_task

DEVELOPMENT, SHOWN = "development", "shown"


class Place(NamedTuple):
    """Where a configuration is trained.

    Attributes
    ----------
    family : str
        Name of the family.
    cache : str
        Folder of the cache.
    halves : str or None
        CSV file that selects tracks of the cache; None for all.
    half : str
        The half that is selected.
    seed : int
        Seed of the split, and of the weights.
    """

    family: str
    cache: str
    halves: str | None
    half: str
    seed: int


class Result(NamedTuple):
    """Scores of one configuration at each place.

    Attributes
    ----------
    config : dict
        The configuration.
    scores : tuple of float
        Best validation accuracy at each place; minus infinity where training took too long.
    seconds : tuple of float
        Processor time at each place; infinite where training took too long.
    """

    config: dict[str, Any]
    scores: tuple[float, ...]
    seconds: tuple[float, ...]


@lru_cache(maxsize=16)
def task_of(place: Place, folds: int) -> Any:
    """Return the training task of a place."""
    cache = Cache.open(place.cache)
    rows = cache.rows(cache.kind_of(spaces.get(place.family).reads))
    if place.halves is not None:
        table = pd.read_csv(place.halves)
        chosen = np.flatnonzero(np.isin(rows.track_id, table.loc[table["half"] == place.half, "file"]))
        columns = ("X", "track_id", "segment", "label", "group")
        rows = replace(rows, **{name: getattr(rows, name)[chosen] for name in columns})
    return search_task(rows, make_split(rows.tracks(), folds=folds, test_fraction=0.0, seed=place.seed))


def train(
    config: dict[str, Any], *, family: str, places: list[Place], folds: int, limits: tuple[float, ...]
) -> Result:
    """Train a configuration at each place, for at most the seconds in `limits`."""
    outcomes = [
        _train(config, family, task_of(place, folds), place.seed, limit)
        for place, limit in zip(places, limits, strict=True)
    ]
    return Result(config, tuple(score for score, _ in outcomes), tuple(seconds for _, seconds in outcomes))


def _train(config: dict[str, Any], family: str, task: Any, seed: int, limit: float) -> tuple[float, float]:
    from data.dataset.track_scores import scores, track_probabilities

    truth = task.track_label[task.validated]
    learner = spaces.get(family).learner(config, task, seed=seed)
    # Not timed: the first epoch compiles, which happens once per architecture, not once per configuration.
    outcome = learner.run_epoch(0)
    best, started = 0.0, time.process_time()
    for epoch in range(1, config["epochs"] + 1):
        probabilities = track_probabilities(task, outcome.probabilities)
        best = max(best, scores(probabilities, truth)["val_accuracy"])
        if time.process_time() - started > limit:
            return -math.inf, math.inf
        if epoch < config["epochs"]:
            outcome = learner.run_epoch(epoch)
    return best, time.process_time() - started


def draw_configurations(family: Any, count: int, max_epochs: int) -> list[dict[str, Any]]:
    """Draw `count` random configurations."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    configs = []
    for _ in range(count):
        trial = study.ask()
        family.space(trial, max_epochs)
        configs.append(dict(trial.params))
    return configs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cache", action="append", required=True, help="cache folder; may be repeated")
    parser.add_argument("--family", default="features_mlp")
    parser.add_argument("--halves", help="CSV file with the columns file and half")
    parser.add_argument("--draws", type=int, default=240, help="number of configurations to draw")
    parser.add_argument("--splits", type=int, default=4, help="number of splits per cache")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--max-epochs", type=int, default=100)
    parser.add_argument("--size", type=int, default=3, help="number of configurations to print")
    parser.add_argument(
        "--slower", type=float, default=2.0, help="longest training time, as a multiple of the BASELINE's"
    )
    parser.add_argument(
        "--results",
        type=Path,
        help="JSON lines file with the results so far: a rerun with the same options continues",
    )
    options = parser.parse_args()
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTRAOP_THREADS": "1"}
    family = spaces.get(options.family)

    def places(half: str) -> list[Place]:
        return [
            Place(options.family, cache, options.halves, half, seed)
            for cache in options.cache
            for seed in range(options.splits)
        ]

    chosen_at, shown_at = places(DEVELOPMENT), places(SHOWN)
    unlimited = (math.inf,) * len(chosen_at)
    work = partial(train, family=options.family, places=chosen_at, folds=options.folds)
    (reference,) = _trained(
        partial(work, limits=unlimited), [family.baseline(options.max_epochs)], options.results
    )
    limits = tuple(options.slower * seconds for seconds in reference.seconds)
    configs = draw_configurations(family, options.draws, options.max_epochs)
    results = _trained(partial(work, limits=limits), configs, options.results)
    lift = _lift(results, reference)
    print(f"BASELINE: {np.mean(reference.scores):.1%}; gain of the best configuration on each split:")
    print(f"  {_listed(lift.max(axis=0))}")
    best = [results[number] for number in np.argsort(-lift.mean(axis=1))[: options.size]]
    for result, gains in zip(best, _lift(best, reference), strict=True):
        time_ratio = np.mean(result.seconds) / np.mean(reference.seconds)
        print(f"{_listed(gains)}; {time_ratio:.1f} x the BASELINE's time\n  {json.dumps(result.config)}")
    if options.halves is not None:
        configs = [family.baseline(options.max_epochs), *(result.config for result in best)]
        work = partial(train, family=options.family, places=shown_at, folds=options.folds, limits=unlimited)
        _show(_trained(work, configs, None))


def _trained(
    work: Callable[[dict[str, Any]], Result], configs: list[dict[str, Any]], file: Path | None
) -> list[Result]:
    """Return the result of each configuration; those that `file` has are not trained again."""
    from data.pipeline.ray_map import spread

    result_by_config: dict[str, Result] = {}
    if file is not None and file.exists():
        for line in file.read_text().splitlines():
            config, scores, seconds = json.loads(line)
            result_by_config[json.dumps(config)] = Result(config, tuple(scores), tuple(seconds))
    todo = [config for config in configs if json.dumps(config) not in result_by_config]
    for result in spread(work, todo):
        result_by_config[json.dumps(result.config)] = result
        if file is not None:
            with file.open("a") as stream:
                stream.write(json.dumps(result) + "\n")
    return [result_by_config[json.dumps(config)] for config in configs]


def _show(results: list[Result]) -> None:
    """Print the gains over the first result, which is the BASELINE's, where nothing was chosen."""
    reference, *shown = results
    lift = _lift(shown, reference)
    print(f"Half {SHOWN}: BASELINE {np.mean(reference.scores):.1%}; gain of each of these configurations:")
    for gains in lift:
        print(f"  {_listed(gains)}; mean {gains.mean():+.1%}")
    print(f"Gain of the best of these on each split: {_listed(lift.max(axis=0))}")


def _lift(results: list[Result], reference: Result) -> np.ndarray:
    """Return the scores minus the BASELINE's, shape (n_results, n_places)."""
    return np.array([result.scores for result in results]) - reference.scores


def _listed(gains: np.ndarray) -> str:
    return ", ".join(f"{gain:+.1%}" for gain in gains)


if __name__ == "__main__":
    # Call the module by its name, because worker processes cannot import functions from `__main__`.
    from benchmarks import portfolio

    portfolio.main()
