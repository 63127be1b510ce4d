"""Samplers by name: thin presets over Optuna's samplers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

SEARCHERS = ("tpe", "gp", "cmaes", "random", "qmc", "grid")
"""Names for ``--searcher``."""

SHARING = ("gp", "cmaes", "qmc")
"""Samplers that learn only parameters that every trial, including the BASELINE, draws from the same range."""


def make_sampler(name: str, *, seed: int, known_trials: int = 0) -> optuna.samplers.BaseSampler:
    """Return the sampler with the given name.

    Parameters
    ----------
    name : str
        One of `SEARCHERS`: ``tpe`` (multivariate, grouped by condition; running trials count as poor, so that
        parallel suggestions differ), ``gp`` (Gaussian process, needs PyTorch), ``cmaes``, ``random``, ``qmc``
        (scrambled Sobol) or ``grid`` (its points are enqueued by `search.sampling.grid`). ``gp``, ``cmaes``
        and ``qmc`` draw conditional parameters at random; ``cmaes`` also categorical ones.
    seed : int
        Seed of the sampler.
    known_trials : int
        Number of trials in the study when a search is resumed, so that the sampler does not repeat its random
        numbers.
    """
    import numpy as np
    import optuna

    samplers = optuna.samplers
    first = seed
    if known_trials:
        seed = int(np.random.SeedSequence((seed, known_trials)).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match name:
            case "tpe":
                return samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
            case "gp":
                return samplers.GPSampler(seed=seed, warn_independent_sampling=False)
            case "random" | "grid":
                return samplers.RandomSampler(seed=seed)
            case "qmc":
                # The study stores the position in the sequence; the seed determines the sequence.
                return samplers.QMCSampler(
                    seed=first,
                    scramble=True,
                    independent_sampler=samplers.RandomSampler(seed=seed),
                    warn_asynchronous_seeding=False,
                    warn_independent_sampling=False,
                )
            case "cmaes":
                return samplers.CmaEsSampler(
                    seed=seed, consider_pruned_trials=True, warn_independent_sampling=False
                )
            case _:
                raise ValueError(f"searcher {name!r} is not one of {', '.join(SEARCHERS)}")
