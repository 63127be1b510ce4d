"""`embedding_mlp`: a dense network on pretrained music embeddings, with the 57 features or without.

BASELINE is the usual probe of an embedding: a linear softmax layer on its standardised columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from data.analysis.kinds import EMBEDDED, EMBEDDING_PREFIX, FEATURE_KIND, Kind, kinds_in
from data.dataset.task import Task
from spaces.features_mlp import FeaturesMLP
from spaces.training.family import Config, Learner

if TYPE_CHECKING:
    import optuna

_DEFAULT_ENCODER = "musicnn"
_SCALERS = ("standard", "robust")
"""Scalings that take no longer for thousands of columns than an epoch of training."""
_MOST_UNITS = (192, 128, 128)
"""Widest layers: the first has thousands of inputs."""
_BATCH_SIZES = (16, 32, 64, 128)
"""Each step reads and writes all weights, so that small batches take long."""

_narrowed: list[tuple[Task, dict[str, Task]]] = []
"""The columns of one task by ``inputs``: trials share them, and with them their scalers."""


class EmbeddingMLP(FeaturesMLP):
    """Dense networks on embeddings and features.

    Parameters
    ----------
    weights : mapping of str to str, optional
        SHA-256 of the weights of each encoder whose vectors the cache has.
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
        """Offer the encoders that the cache has; see `Family.for_search`."""
        super().for_search(shape, weights=weights, fixed=fixed)
        return EmbeddingMLP(embeddings)

    def as_recorded(self, baseline: Config, weights: Mapping[str, str]) -> EmbeddingMLP:
        """Return what `for_search` gave, of the `weights` that a run has recorded."""
        return EmbeddingMLP(weights)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Choices of ``inputs``: the default encoder, or else the first, alone comes first."""
        encoders = sorted(self._encoders, key=lambda name: (name != _DEFAULT_ENCODER, name))
        choices = [[name] for name in encoders]
        if len(encoders) > 1:
            choices.append(encoders)
        with_features = [[*choice, FEATURE_KIND] for choice in choices]
        return tuple("+".join(choice) for choice in [*choices, *with_features, [FEATURE_KIND]])

    def baseline(self, max_epochs: int) -> dict[str, Any]:
        """Return the BASELINE within a budget, on the first encoder."""
        return {"inputs": self.inputs[0], **super().baseline(max_epochs)}

    def space(self, trial: optuna.Trial, max_epochs: int) -> None:
        """Suggest one configuration; see `Family.space`."""
        trial.suggest_categorical("inputs", self.inputs)
        self.suggest_network(trial, scalers=_SCALERS, fewest_layers=0, most_units=_MOST_UNITS)
        self.suggest_training(trial, max_epochs, batch_sizes=_BATCH_SIZES)

    def learner(self, config: Config, task: Task, *, seed: int) -> Learner:
        """Untrained networks of a configuration, one per fold, on the columns that it names."""
        return super().learner(config, _columns(task, config["inputs"]), seed=seed)

    def kind_for(self, config: Config, kind: Kind) -> Kind:
        """Return the kinds of input that a configuration names; see `Family.kind_for`."""
        wanted = _kinds(config["inputs"])
        return "+".join(each for each in kinds_in(kind) if each in wanted)

    def accepts(self, kind: Kind) -> bool:
        """Whether a kind is features, embeddings, or several of them."""
        return all(each == FEATURE_KIND or each.startswith(EMBEDDING_PREFIX) for each in kinds_in(kind))


def _kinds(inputs: str) -> list[Kind]:
    """Kinds of input by a value of ``inputs``: ``musicnn+features`` are an embedding and the features."""
    names = inputs.split("+")
    return [name if name == FEATURE_KIND else f"{EMBEDDING_PREFIX}{name}" for name in names]


def _columns(task: Task, inputs: str) -> Task:
    """Return the task on the columns that a configuration names, the same object for the same columns."""
    if not _narrowed or _narrowed[0][0] is not task:
        _narrowed[:] = [(task, {})]
    tasks = _narrowed[0][1]
    if inputs not in tasks:
        tasks[inputs] = task.with_blocks(_kinds(inputs))
    return tasks[inputs]


FAMILY = EmbeddingMLP()
