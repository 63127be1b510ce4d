"""Recipes: the training parameters of a configuration, and their part of the search space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spaces.training.family import Config
from spaces.training.optimizer_space import learning_rate, suggest_optimizer, weight_decay

if TYPE_CHECKING:
    import keras
    import optuna

    from spaces.training.convolution.steps import Augment


@dataclass(frozen=True)
class Stage:
    """Consecutive epochs that train the same layers, with one schedule and a new optimizer.

    Attributes
    ----------
    epochs : int
        Horizon of the schedule. Every stage except the last also ends after this number of epochs.
    learning_rate : float
        Peak of the schedule.
    unfreeze : callable, optional
        Sets ``trainable`` of the network's layers when the stage begins.
    """

    epochs: int
    learning_rate: float
    unfreeze: Callable[[keras.Model], None] | None = None


@dataclass(frozen=True)
class Recipe:
    """Training parameters of a configuration.

    Attributes
    ----------
    stages : tuple of Stage
        The stages in their order.
    optimizer, schedule : str
        Names from `spaces.training.learning_rates`.
    batch_size : int
        Maximum number of rows per step.
    weight_decay, label_smoothing : float
        See `spaces.training.convolution.steps.TrainingSteps`.
    augment : callable, optional
        Augments each batch inside the graph, such as an `Augmentation`.
    pieces : int
        Number of equal pieces along time into which a row is cut for predictions. Training uses one piece at
        a random position.
    """

    stages: tuple[Stage, ...]
    optimizer: str
    batch_size: int
    schedule: str = "constant"
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    augment: Augment | None = None
    pieces: int = 1


def suggest_training(trial: optuna.Trial, max_epochs: int) -> None:
    """Suggest the training parameters that `recipe_of` reads."""
    suggest_optimizer(trial, rates=(3e-5, 5e-3), sgd_rates=(1e-3, 1e-1))
    trial.suggest_float("label_smoothing", 0.0, 0.2)
    trial.suggest_float("mixup", 0.0, 0.4)
    time_masks = trial.suggest_int("time_masks", 0, 2)
    frequency_masks = trial.suggest_int("frequency_masks", 0, 2)
    if time_masks or frequency_masks:
        trial.suggest_float("mask_share", 0.0, 0.3)
    trial.suggest_int("epochs", min(20, max_epochs), max_epochs)


def recipe_of(config: Config, *, pieces: int = 1, shift: bool = False) -> Recipe:
    """Return the recipe of a configuration.

    Parameters
    ----------
    config : mapping
        Parameters of `suggest_training`, and ``batch_size``.
    pieces : int
        Number of pieces into which a row is cut.
    shift : bool
        Whether to rotate rows along time by a random offset.
    """
    from spaces.training.convolution.augmentation import Augmentation

    return Recipe(
        stages=(Stage(config["epochs"], learning_rate(config)),),
        optimizer=config["optimizer"],
        batch_size=config["batch_size"],
        schedule=config["schedule"],
        weight_decay=weight_decay(config),
        label_smoothing=config["label_smoothing"],
        augment=Augmentation(
            time_masks=config["time_masks"],
            frequency_masks=config["frequency_masks"],
            mask_share=config.get("mask_share", 0.0),
            shift=shift,
            mixup=config["mixup"],
        ),
        pieces=pieces,
    )
