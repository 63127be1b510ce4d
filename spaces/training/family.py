"""The contract of a model family, for the trials of a search and for exports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from data.analysis.kinds import EMBEDDED, FEATURE_KIND, Kind
from data.errors import RunError, SettingsError

if TYPE_CHECKING:
    import keras
    import optuna

    from data.dataset.task import Task

Config = Mapping[str, Any]
"""A configuration: values of the parameters of a family's space, by name."""


@dataclass(frozen=True)
class EpochOutcome:
    """The result of one epoch over all folds.

    Attributes
    ----------
    train_loss : float
        Mean training loss over steps and folds, with label smoothing and mixup as configured.
    train_accuracy : float
        Fraction of the training rows that are classified correctly, mean over folds. Small networks measure
        it after the epoch; large ones during its steps, as ``fit`` does.
    probabilities : tuple of ndarray of float32, each of shape (n_valid_rows, n_classes)
        Predictions for the validation rows of each fold, in the order of `Fold.valid`.
    """

    train_loss: float
    train_accuracy: float
    probabilities: tuple[np.ndarray, ...]


STATE_FORMAT_KEY, STATE_FORMAT = "format", np.array(2)
"""Entry of `Learner.state` that holds the version of its layout; other versions are refused."""


def check_state_format(state: Mapping[str, np.ndarray], current: np.ndarray = STATE_FORMAT) -> None:
    """Check that a state has the current layout of its learner.

    Raises
    ------
    RunError
        If another version of the program wrote the state.
    """
    if STATE_FORMAT_KEY not in state or int(state[STATE_FORMAT_KEY]) != current:
        raise RunError("the checkpoint was written by another version of the program")


def network_mismatch() -> RunError:
    """Return the error for a state that does not fit the configuration's network."""
    return RunError("the checkpoint belongs to another network than that of the configuration")


class Learner(ABC):
    """The networks of one configuration, one per fold, trained together epoch by epoch.

    All randomness derives from ``(seed, fold, epoch, step)``. A restored learner therefore continues as if it
    had never stopped, and the results of a fold do not depend on the data of other folds.
    """

    n_parameters: int
    """Number of trainable values in the network of one fold."""
    precision: str = "float32"
    """Keras dtype policy of the computation: ``float32`` or ``mixed_float16``."""

    def in_full_precision(self) -> Learner | None:
        """Return an untrained copy that computes in float32; None if this learner already does.

        Before a trial fails because its loss is not finite in half precision, it is repeated with this copy.
        """
        return None

    @abstractmethod
    def run_epoch(self, epoch: int) -> EpochOutcome:
        """Train each fold for one epoch, counted from 0, and predict its validation rows."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Return all arrays that training changes: weights and optimizer variables of each fold."""

    @abstractmethod
    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore a state that `state` returned.

        Raises
        ------
        RunError
            If the state belongs to other networks.
        """

    @abstractmethod
    def fitted(self, fold: int = 0) -> Fitted:
        """Return the current network of a fold, for predictions or an export."""


@dataclass(frozen=True)
class Fitted:
    """A trained network and the preparation of its inputs.

    Attributes
    ----------
    model : keras.Model
        Network of plain Keras layers, from prepared inputs to probabilities.
    preparation : dict
        JSON-compatible values that `Family.prepare` needs to convert cached inputs for the network.
    """

    model: keras.Model
    preparation: dict[str, Any]


class Family(ABC):
    """A model family."""

    name: ClassVar[str]
    """Name on the command line, equal to the name of the module."""
    reads: ClassVar[Kind]
    """Kind of input that it reads from a cache."""
    default_folds: ClassVar[int]
    """Default of ``--folds``."""
    min_epochs: ClassVar[int] = 3
    """Number of epochs after which scores begin to predict the final order of configurations; by default, no
    trial is stopped earlier."""
    BASELINE: ClassVar[Config]
    """Configuration of the published network, a point of the space."""
    PORTFOLIO: ClassVar[Sequence[Config]] = ()
    """Configurations that did well on other data; a search tries them after the BASELINE."""
    n_neighbours: ClassVar[int] = 0
    """Number of neighbours of a good configuration that a search tries after the portfolio, in place of the
    random configurations with which samplers begin: of the portfolio's first, or without one of the
    BASELINE."""
    pretrained: ClassVar[bool] = False
    """Whether its networks begin with pretrained weights, which ``--weights`` names."""
    weights: Mapping[str, str] = MappingProxyType({})
    """SHA-256 of the pretrained weights by network, as a run records it; empty without pretrained weights."""

    @property
    def gains_from_gpus(self) -> bool:
        """Whether GPUs make trials faster; False for networks so small that a core is as fast."""
        return self.reads not in (FEATURE_KIND, EMBEDDED)

    def set_up(self, *, cpus: float, gpus: bool, deterministic: bool = False) -> bool:
        """Set up a worker process before its first trial.

        The default sets up TensorFlow. A family that does not need TensorFlow overrides this method and
        `release_memory`; its workers then never import TensorFlow.

        Parameters
        ----------
        cpus : float
            Number of cores that the process has reserved.
        gpus : bool
            Whether the process has reserved a share of the visible GPUs.
        deterministic : bool
            Whether repeated runs on the same machine must give bit-identical results.

        Returns
        -------
        bool
            False if the process has reserved GPUs that the family cannot see.
        """
        from spaces.training.device import set_up

        return set_up(cpus=cpus, gpus=gpus, deterministic=deterministic)

    def release_memory(self) -> None:
        """Free device memory that earlier trials of the process still occupy, after it ran out."""
        from spaces.training.device_data import release

        release()

    @abstractmethod
    def space(self, trial: optuna.Trial, max_epochs: int) -> None:
        """Suggest the parameters of one trial, in Optuna's define-by-run manner.

        The parameter ``epochs``, at most `max_epochs`, is the number of epochs that a configuration trains:
        the horizon of its learning rate schedule.
        """

    @abstractmethod
    def learner(self, config: Config, task: Task, *, seed: int) -> Learner:
        """Create the untrained networks of a configuration, one per fold of the task."""

    @abstractmethod
    def prepare(self, X: np.ndarray, preparation: Mapping[str, Any]) -> np.ndarray:
        """Convert cached inputs for a fitted network.

        Parameters
        ----------
        X : ndarray, shape (n, ...)
            Inputs as cached.
        preparation : mapping
            `Fitted.preparation`, possibly after conversion to and from JSON.
        """

    def for_search(
        self,
        shape: tuple[int, ...],
        *,
        weights: str | None,
        fixed: Config | None = None,
        embeddings: Mapping[str, str] = MappingProxyType({}),
    ) -> Family:
        """Return the family restricted to what the data and ``--weights`` allow, before a search starts.

        Parameters
        ----------
        shape : tuple of int
            Shape of one cached input.
        weights : str or None
            Source of pretrained weights; None for the family's default.
        fixed : mapping, optional
            Parameters fixed by ``--set``, not yet checked.
        embeddings : mapping of str to str
            SHA-256 of the weights of each encoder whose embeddings the cache contains.

        Raises
        ------
        SettingsError
            If no configuration is left, or `weights` is given for a family without pretrained weights.
        """
        if weights is not None:
            raise SettingsError(
                f"--weights {weights}: {self.name} has no pretrained weights; remove the option"
            )
        return self

    def as_recorded(self, baseline: Config, weights: Mapping[str, str]) -> Family:
        """Return the result of `for_search`, from the recorded BASELINE and `weights` of a run."""
        return self

    def check_recorded(self) -> None:  # noqa: B027 - most families have no pretrained weights
        """Check that the pretrained weights are still those that the run recorded.

        Raises
        ------
        SettingsError
            If they changed; the message names the weights.
        """

    def kind_for(self, config: Config, kind: Kind) -> Kind:
        """Return the part of a run's input `kind` that a configuration needs."""
        return kind

    def accepts(self, kind: Kind) -> bool:
        """Return whether the family's networks can be trained on a kind of input."""
        return kind == self.reads

    def baseline(self, max_epochs: int) -> dict[str, Any]:
        """Return the BASELINE with at most `max_epochs` epochs."""
        return {**self.BASELINE, "epochs": min(int(self.BASELINE["epochs"]), max_epochs)}
