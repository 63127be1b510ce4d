"""A numpy family that is surely worse than `tests.support.softmax`: its learning rates are far too small."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from spaces.training.family import Config
from tests.support.softmax import Softmax

if TYPE_CHECKING:
    import optuna


class WeakSoftmax(Softmax):
    """Softmax regression on unscaled features with a tiny learning rate."""

    name: ClassVar[str] = "weak_softmax"
    BASELINE: ClassVar[Config] = {**Softmax.BASELINE, "scaler": "none", "learning_rate": 1e-12}
    PORTFOLIO: ClassVar[tuple[Config, ...]] = ()

    def space(self, trial: optuna.Trial, max_epochs: int) -> None:
        """Suggest one configuration; see `Family.space`."""
        trial.suggest_categorical("scaler", ("none",))
        trial.suggest_int("batch_size", 4, 64)
        trial.suggest_float("learning_rate", 1e-13, 1e-11, log=True)
        trial.suggest_categorical("decay", (False,))
        trial.suggest_categorical("noise", (0.0,))
        trial.suggest_int("epochs", min(30, max_epochs), max_epochs)


FAMILY = WeakSoftmax()
