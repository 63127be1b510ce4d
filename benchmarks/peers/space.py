"""Search space of all peers except the grid, as plain data from which each tool's declarations are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SCALERS = ("standard", "robust", "power", "quantile")


@dataclass(frozen=True)
class Parameter:
    """A parameter with either `choices` or a range from `low` to `high`.

    Attributes
    ----------
    when : tuple or None
        Name of another parameter, and its values for which this parameter is used; None: always used.
    """

    name: str
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False
    whole: bool = False
    when: tuple[str, tuple[Any, ...]] | None = None

    def used(self, config: dict[str, Any]) -> bool:
        """Whether a configuration uses this parameter; the parameter it depends on must already be drawn."""
        return self.when is None or config.get(self.when[0]) in self.when[1]

    def parse(self, text: str) -> Any:
        """Parse a value from a command line."""
        if self.choices:
            return next(choice for choice in self.choices if str(choice) == text)
        return int(text) if self.whole else float(text)


SPACE = (
    Parameter("scaler", SCALERS),
    Parameter("layers", low=1, high=3, whole=True),
    Parameter("units_1", low=16, high=768, whole=True),
    Parameter("units_2", low=16, high=384, whole=True, when=("layers", (2, 3))),
    Parameter("units_3", low=16, high=384, whole=True, when=("layers", (3,))),
    Parameter("activation", ("relu", "gelu", "silu", "tanh")),
    Parameter("normalisation", ("none", "batch", "layer")),
    Parameter("input_dropout", low=0.0, high=0.4),
    Parameter("dropout", low=0.0, high=0.6),
    Parameter("optimizer", ("adam", "rmsprop", "sgd")),
    Parameter("sgd_learning_rate", low=3e-3, high=1e-1, log=True, when=("optimizer", ("sgd",))),
    Parameter("learning_rate", low=3e-4, high=2e-2, log=True, when=("optimizer", ("adam", "rmsprop"))),
    Parameter("schedule", ("constant", "cosine", "exponential")),
    Parameter("decay", (False, True)),
    Parameter("weight_decay", low=1e-4, high=1.0, log=True, when=("decay", (True,))),
    Parameter("batch_size", (5, 16, 32, 64, 128)),
    Parameter("label_smoothing", low=0.0, high=0.3),
    Parameter("epochs", low=30, high=100, whole=True),
)

BASELINE: dict[str, Any] = {
    "scaler": "standard",
    "layers": 2,
    "units_1": 58,
    "units_2": 29,
    "activation": "relu",
    "normalisation": "none",
    "input_dropout": 0.0,
    "dropout": 0.0,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "schedule": "constant",
    "decay": False,
    "batch_size": 5,
    "label_smoothing": 0.0,
    "epochs": 30,
}


def suggest(trial: Any) -> dict[str, Any]:
    """Draw a configuration from an Optuna trial."""
    config: dict[str, Any] = {}
    for parameter in SPACE:
        if not parameter.used(config):
            continue
        if parameter.choices:
            config[parameter.name] = trial.suggest_categorical(parameter.name, parameter.choices)
        elif parameter.whole:
            config[parameter.name] = trial.suggest_int(
                parameter.name, int(parameter.low), int(parameter.high)
            )
        else:
            config[parameter.name] = trial.suggest_float(
                parameter.name, parameter.low, parameter.high, log=parameter.log
            )
    return config


def define_by_run(trial: Any) -> None:
    """Suggest a configuration for Ray's searcher, which reads the values from the trial."""
    suggest(trial)
