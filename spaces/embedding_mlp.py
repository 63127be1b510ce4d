"""`embedding_mlp`: a dense network on pretrained music embeddings, with or without the 57 features.

BASELINE is the usual probe of an embedding: a linear softmax layer on its standardised columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from data.analysis.kinds import EMBEDDED, EMBEDDING_PREFIX, FEATURE_KIND, Kind, kinds_in
from spaces.features_mlp import FeaturesMLP
from spaces.training.family import Config, Learner

if TYPE_CHECKING:
    import optuna

    from data.dataset.task import Task

_DEFAULT_ENCODER = "musicnn"
_SCALERS = ("standard", "robust")
"""Scalers that fit thousands of columns in less time than an epoch of training."""
_MAX_UNITS = (192, 128, 128)
"""Maximum widths of the hidden layers; the first has thousands of inputs."""
_BATCH_SIZES = (16, 32, 64, 128)
"""Without very small batches, because each step reads and writes all weights."""

_tasks_by_inputs: list[tuple[Task, dict[str, Task]]] = []
"""The latest task with its selections of columns by ``inputs``. Trials share them and their scalers."""


class EmbeddingMLP(FeaturesMLP):
    """Dense networks on embeddings and features.

    Parameters
    ----------
    weights : mapping of str to str, optional
        SHA-256 of the weights of each encoder whose embeddings the cache contains.
    """

    name: ClassVar[str] = "embedding_mlp"
    reads: ClassVar[Kind] = EMBEDDED
    default_folds: ClassVar[int] = 5
    min_epochs: ClassVar[int] = 10
    BASELINE: ClassVar[Config] = {
        "scaler": "standard",
        "layers": 0,
        "input_dropout": 0.0,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "schedule": "constant",
        "decay": False,
        "batch_size": 32,
        "label_smoothing": 0.0,
        "mixup": 0.0,
        "averaging": 0.0,
        "epochs": 30,
    }
    # Empty: of 26 random configurations, the best three on the development half of 299 recordings were 3.4 to
    # 4.5 points above the BASELINE there, and -5.1, +2.4 and +1.6 on the other half (benchmarks.portfolio).
    PORTFOLIO: ClassVar[tuple[Config, ...]] = ()

    def __init__(self, weights: Mapping[str, str] | None = None) -> None:
        self.weights = dict(weights or {})
        self._encoders = tuple(self.weights) or (_DEFAULT_ENCODER,)

    def for_search(
        self,
        shape: tuple[int, ...],
        *,
        weights: str | None,
        fixed: Config | None = None,
        embeddings: Mapping[str, str] = MappingProxyType({}),
    ) -> EmbeddingMLP:
        """Restrict the space to the encoders in the cache; see `Family.for_search`."""
        super().for_search(shape, weights=weights, fixed=fixed)
        return EmbeddingMLP(embeddings)

    def as_recorded(self, baseline: Config, weights: Mapping[str, str]) -> EmbeddingMLP:
        """Return the result of `for_search`, from the recorded `weights` of a run."""
        return EmbeddingMLP(weights)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Choices of ``inputs``. The first is the default encoder, if the cache contains it."""
        encoders = sorted(self._encoders, key=lambda name: (name != _DEFAULT_ENCODER, name))
        choices = [[name] for name in encoders]
        if len(encoders) > 1:
            choices.append(encoders)
        with_features = [[*choice, FEATURE_KIND] for choice in choices]
        return tuple("+".join(choice) for choice in [*choices, *with_features, [FEATURE_KIND]])

    def baseline(self, max_epochs: int) -> dict[str, Any]:
        """Return the BASELINE with at most `max_epochs` epochs, on the first encoder."""
        return {"inputs": self.inputs[0], **super().baseline(max_epochs)}

    def space(self, trial: optuna.Trial, max_epochs: int) -> None:
        """Suggest one configuration; see `Family.space`."""
        trial.suggest_categorical("inputs", self.inputs)
        self.suggest_network(trial, scalers=_SCALERS, min_layers=0, max_units=_MAX_UNITS)
        self.suggest_training(trial, max_epochs, batch_sizes=_BATCH_SIZES)

    def learner(self, config: Config, task: Task, *, seed: int) -> Learner:
        """Create the untrained networks of a configuration, one per fold, on the columns that it names."""
        return super().learner(config, _columns(task, config["inputs"]), seed=seed)

    def kind_for(self, config: Config, kind: Kind) -> Kind:
        """Return the kinds of input that a configuration names; see `Family.kind_for`."""
        used_kinds = _kinds(config["inputs"])
        return "+".join(part for part in kinds_in(kind) if part in used_kinds)

    def accepts(self, kind: Kind) -> bool:
        """Return whether a kind consists of features and embeddings only."""
        return all(part == FEATURE_KIND or part.startswith(EMBEDDING_PREFIX) for part in kinds_in(kind))


def _kinds(inputs: str) -> list[Kind]:
    """Return the kinds of input in a value of ``inputs``, such as ``musicnn+features``."""
    names = inputs.split("+")
    return [name if name == FEATURE_KIND else f"{EMBEDDING_PREFIX}{name}" for name in names]


def _columns(task: Task, inputs: str) -> Task:
    """Return the task with the columns that ``inputs`` names; equal arguments return the same object."""
    if not _tasks_by_inputs or _tasks_by_inputs[0][0] is not task:
        _tasks_by_inputs[:] = [(task, {})]
    tasks = _tasks_by_inputs[0][1]
    if inputs not in tasks:
        tasks[inputs] = task.with_blocks(_kinds(inputs))
    return tasks[inputs]


FAMILY = EmbeddingMLP()
