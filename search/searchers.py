"""Named samplers: thin presets over Optuna's own."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

SEARCHERS = ("tpe", "random", "qmc", "cmaes")
"""Names for ``--searcher``."""


def make_sampler(name: str, *, seed: int) -> optuna.samplers.BaseSampler:
    """Make the sampler of a name.

    Parameters
    ----------
    name : str
        One of `SEARCHERS`: ``tpe``, multivariate and grouped by condition, which counts running trials as
        poor ones so that parallel suggestions differ; ``random``; ``qmc``, scrambled Sobol; ``cmaes``, which
        draws categorical and conditional parameters at random.
    seed : int
        Seed of the sampler.
    """
    import optuna

    samplers = optuna.samplers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match name:
            case "tpe":
                return samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
            case "random":
                return samplers.RandomSampler(seed=seed)
            case "qmc":
                return samplers.QMCSampler(
                    seed=seed, scramble=True, warn_asynchronous_seeding=False, warn_independent_sampling=False
                )
            case "cmaes":
                return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
            case _:
                raise ValueError(f"searcher {name!r} is not one of {', '.join(SEARCHERS)}")
