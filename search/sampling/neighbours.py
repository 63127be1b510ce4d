"""Configurations near a good one, with which the searches of slow families begin.

A sampler that learns from trials starts with random ones. In a space of some thirty parameters, nearly all
random configurations are much worse than the BASELINE. A family that trains only a few dozen trials per hour
cannot afford them: its first trials change a few parameters of a configuration that is known to be good.
"""

from __future__ import annotations

from typing import Any

from search.sampling.search_space import SearchSpace
from search.sampling.warm_start import fit
from spaces.training.family import Config

_CHANGE_PROBABILITY = 0.2
"""Probability with which each parameter is drawn from the space; otherwise it has the value of the centre."""
_ATTEMPTS = 10
"""Maximum number of draws per configuration; narrow spaces may contain fewer different ones."""


def neighbours(space: SearchSpace, centre: Config, count: int, *, seed: int) -> list[dict[str, Any]]:
    """Return different configurations near a given one, without fixed parameters.

    Parameters
    ----------
    space : SearchSpace
        The space.
    centre : mapping
        The configuration. Neither it nor the BASELINE is returned.
    count : int
        Number of configurations. The result is shorter if the space does not contain as many.
    seed : int
        Seed of the draws.
    """
    if not count:
        return []
    import numpy as np
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rng = np.random.default_rng(seed)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    # The space gives trial 0 the values of the BASELINE.
    study.ask()
    tried = [fit(space.family.baseline(space.max_epochs), space), fit(centre, space)]
    points: list[dict[str, Any]] = []
    for _ in range(_ATTEMPTS * count):
        trial = study.ask()
        space(trial)
        changed = {name: trial.params[name] for name in trial.params if rng.random() < _CHANGE_PROBABILITY}
        # The random values of conditional parameters that the centre lacks may be needed.
        point = fit({**trial.params, **centre, **changed}, space)
        if point not in tried:
            tried.append(point)
            points.append(point)
        if len(points) == count:
            break
    return points
