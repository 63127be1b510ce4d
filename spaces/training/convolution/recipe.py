"""How convolutional networks are trained, and their inputs augmented: the parameters and what they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spaces.training.family import Config
from spaces.training.learning_rates import OPTIMIZERS, SCHEDULES

if TYPE_CHECKING:
    import optuna

    from spaces.training.convolution.learner import Recipe


def suggest_training(trial: optuna.Trial, max_epochs: int) -> None:
    """Suggest the parameters that `recipe_of` reads."""
    if trial.suggest_categorical("optimizer", OPTIMIZERS) == "sgd":
        trial.suggest_float("sgd_learning_rate", 1e-3, 1e-1, log=True)
    else:
        trial.suggest_float("learning_rate", 3e-5, 5e-3, log=True)
    trial.suggest_categorical("schedule", SCHEDULES)
    if trial.suggest_categorical("decay", (False, True)):
        trial.suggest_float("weight_decay", 1e-4, 1.0, log=True)
    trial.suggest_float("label_smoothing", 0.0, 0.2)
    trial.suggest_float("mixup", 0.0, 0.4)
    trial.suggest_int("time_masks", 0, 2)
    trial.suggest_int("frequency_masks", 0, 2)
    trial.suggest_float("mask_share", 0.0, 0.3)
    trial.suggest_int("epochs", min(20, max_epochs), max_epochs)


def recipe_of(config: Config, *, pieces: int = 1, shift: bool = False) -> Recipe:
    """Make the recipe of a configuration.

    Parameters
    ----------
    config : mapping
        Parameters as `suggest_training` names them, and ``batch_size``.
    pieces : int
        Pieces that a row is cut into.
    shift : bool
        Whether time begins anywhere.
    """
    from spaces.training.convolution.augmentation import Augmentation
    from spaces.training.convolution.learner import Recipe, Stage

    rate = config["sgd_learning_rate" if config["optimizer"] == "sgd" else "learning_rate"]
    return Recipe(
        stages=(Stage(config["epochs"], rate),),
        optimizer=config["optimizer"],
        batch_size=config["batch_size"],
        schedule=config["schedule"],
        weight_decay=config["weight_decay"] if config["decay"] else 0.0,
        label_smoothing=config["label_smoothing"],
        augment=Augmentation(
            time_masks=config["time_masks"],
            frequency_masks=config["frequency_masks"],
            mask_share=config["mask_share"],
            shift=shift,
            mixup=config["mixup"],
        ),
        pieces=pieces,
    )
