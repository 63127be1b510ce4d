"""The optimizer of a configuration: its part of the search space, its learning rate and weight decay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spaces.training.family import Config
from spaces.training.learning_rates import OPTIMIZERS, SCHEDULES

if TYPE_CHECKING:
    import optuna

_WEIGHT_DECAYS = (1e-4, 1.0)


def suggest_optimizer(
    trial: optuna.Trial, *, rates: tuple[float, float], sgd_rates: tuple[float, float]
) -> None:
    """Suggest the optimizer, its learning rate and schedule, and decoupled weight decay or none.

    The learning rate of SGD is a parameter of its own, ``sgd_learning_rate``, because its good values are
    about ten times those of Adam and RMSprop.

    Parameters
    ----------
    trial : optuna.Trial
        The trial.
    rates, sgd_rates : tuple of float
        Lowest and highest learning rate of Adam and RMSprop, and of SGD.
    """
    if trial.suggest_categorical("optimizer", OPTIMIZERS) == "sgd":
        trial.suggest_float("sgd_learning_rate", *sgd_rates, log=True)
    else:
        trial.suggest_float("learning_rate", *rates, log=True)
    trial.suggest_categorical("schedule", SCHEDULES)
    if trial.suggest_categorical("decay", (False, True)):
        trial.suggest_float("weight_decay", *_WEIGHT_DECAYS, log=True)


def learning_rate(config: Config) -> float:
    """Return the learning rate of a configuration's optimizer."""
    return float(config["sgd_learning_rate" if config["optimizer"] == "sgd" else "learning_rate"])


def weight_decay(config: Config) -> float:
    """Return the weight decay of a configuration; 0 for none."""
    return float(config["weight_decay"]) if config["decay"] else 0.0
