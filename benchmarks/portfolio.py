"""Find the configurations that a family's searches begin with, on data of your choice.

Draws configurations at random from the family's space, trains each on every cache, with several splits of
each, and prints those whose mean score is the best. A score is the validation accuracy of the best epoch,
less the BASELINE's on the same split. A configuration that trains longer than ``--slower`` times the BASELINE
is left out. Run it with ``python -m benchmarks.portfolio --cache DIR --family NAME --halves FILE``: only
the recordings of the half ``development`` are used, so that the other half, GTZAN and the demo data can judge
the choice.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import spaces
from data.cache.cache import Cache
from data.dataset.splits import make_split
from data.dataset.task import search_task

HALF = "development"


class Place(NamedTuple):
    """A family, a cache, the tracks of it that are used (None: all), and the seed of the split."""

    family: str
    cache: str
    halves: str | None
    seed: int


class Result(NamedTuple):
    """Scores of one configuration at each place.

    Attributes
    ----------
    config : dict
        The configuration.
    scores : tuple of float
        Best validation accuracy at each place; minus infinity where it took too long.
    seconds : tuple of float
        Processor time at each.
    """

    config: dict[str, Any]
    scores: tuple[float, ...]
    seconds: tuple[float, ...]


@lru_cache(maxsize=16)
def task_of(place: Place, folds: int) -> Any:
    cache = Cache.open(place.cache)
    rows = cache.rows(cache.kind_of(spaces.get(place.family).reads))
    if place.halves is not None:
        table = pd.read_csv(place.halves)
        chosen = np.flatnonzero(np.isin(rows.track_id, table.loc[table["half"] == HALF, "file"]))
        columns = ("X", "track_id", "segment", "label", "group")
        rows = replace(rows, **{name: getattr(rows, name)[chosen] for name in columns})
    return search_task(rows, make_split(rows.tracks(), folds=folds, test_fraction=0.0, seed=place.seed))


def train(
    config: dict[str, Any], *, family: str, places: list[Place], folds: int, limits: tuple[float, ...]
) -> Result:
    """Train a configuration everywhere, `limits` seconds long at most."""
    found = [
        _train(config, family, task_of(place, folds), place.seed, limit)
        for place, limit in zip(places, limits, strict=True)
    ]
    return Result(config, tuple(score for score, _ in found), tuple(seconds for _, seconds in found))


def _train(config: dict[str, Any], family: str, task: Any, seed: int, limit: float) -> tuple[float, float]:
    from data.dataset.track_scores import scores, track_probabilities

    truth = task.track_label[task.validated]
    learner = spaces.get(family).learner(config, task, seed=seed)
    # The first epoch compiles, once per architecture, not once per configuration.
    outcome = learner.run_epoch(0)
    best, begun = 0.0, time.process_time()
    for epoch in range(1, config["epochs"] + 1):
        judged = track_probabilities(task, outcome.probabilities)
        best = max(best, scores(judged, truth)["val_accuracy"])
        if time.process_time() - begun > limit:
            return -math.inf, math.inf
        if epoch < config["epochs"]:
            outcome = learner.run_epoch(epoch)
    return best, time.process_time() - begun


def drawn(family: Any, count: int, max_epochs: int) -> list[dict[str, Any]]:
    """Draw configurations at random."""
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
    parser.add_argument("--cache", action="append", required=True, help="a cache; may be repeated")
    parser.add_argument("--family", default="features_mlp")
    parser.add_argument("--halves", help="CSV file,half")
    parser.add_argument("--draws", type=int, default=240, help="configurations")
    parser.add_argument("--splits", type=int, default=4, help="splits of each cache")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--max-epochs", type=int, default=100)
    parser.add_argument("--size", type=int, default=3, help="configurations that are printed")
    parser.add_argument("--slower", type=float, default=2.0)
    given = parser.parse_args()
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTRAOP_THREADS": "1"}
    from data.pipeline.ray_map import spread

    family = spaces.get(given.family)
    places = [
        Place(given.family, cache, given.halves, seed)
        for cache in given.cache
        for seed in range(given.splits)
    ]
    work = partial(train, family=given.family, places=places, folds=given.folds)
    reference = work(family.baseline(given.max_epochs), limits=(math.inf,) * len(places))
    limits = tuple(given.slower * seconds for seconds in reference.seconds)
    configs = drawn(family, given.draws, given.max_epochs)
    results = list(spread(partial(work, limits=limits), configs))
    lift = np.array([result.scores for result in results]) - reference.scores
    print(f"BASELINE: {np.mean(reference.scores):.1%}; what the best of each split has more:")
    print("  " + ", ".join(f"{gain:+.1%}" for gain in lift.max(axis=0)))
    for number in np.argsort(-lift.mean(axis=1))[: given.size]:
        gains = ", ".join(f"{gain:+.1%}" for gain in lift[number])
        slower = np.mean(results[number].seconds) / np.mean(reference.seconds)
        print(f"{gains}; {slower:.1f} x the BASELINE's time\n  {json.dumps(results[number].config)}")


if __name__ == "__main__":
    # Worker processes import what they run, by a name that they can import.
    from benchmarks import portfolio

    portfolio.main()
