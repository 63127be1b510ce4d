"""Named samplers: thin presets over Optuna's own."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

SEARCHERS = ("tpe", "gp", "cmaes", "random", "qmc", "grid")
"""Names for ``--searcher``."""

SHARING = ("gp", "cmaes", "qmc")
"""Those that learn of the parameters only that all trials draw from the same range, the BASELINE too."""


def make_sampler(name: str, *, seed: int, told: int = 0) -> optuna.samplers.BaseSampler:
    """Make the sampler of a name.

    Parameters
    ----------
    name : str
        One of `SEARCHERS`: ``tpe``, multivariate and grouped by condition, which counts running trials as
        poor ones so that parallel suggestions differ; ``gp``, a Gaussian process, which needs PyTorch;
        ``cmaes``; ``random``; ``qmc``, scrambled Sobol; ``gp``, ``cmaes`` and ``qmc`` draw conditional
        parameters at random, and ``cmaes`` categorical ones too; ``grid``, whose points are enqueued
        (`search.sampling.grid`), so that it needs no sampler.
    seed : int
        Seed of the sampler.
    told : int
        Trials that the study had when the search was gone on with: a sampler must not begin its random
        numbers again.
    """
    import numpy as np
    import optuna

    samplers = optuna.samplers
    first = seed
    if told:
        seed = int(np.random.SeedSequence((seed, told)).generate_state(1)[0])
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
                # Its place in the sequence is in the study; the sequence itself follows from the seed.
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
