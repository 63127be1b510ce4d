"""The contract between a family and those who use it: the search's trials and the export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from data.analysis.kinds import Kind
from data.dataset.task import Task
from data.errors import RunError, SettingsError

if TYPE_CHECKING:
    import keras
    import optuna

Config = Mapping[str, Any]
"""One configuration: the parameters that a family's space suggested, by name."""


@dataclass(frozen=True)
class EpochOutcome:
    """What one epoch over all folds gave.

    Attributes
    ----------
    train_loss : float
        Mean training loss over steps and folds, with label smoothing and mixup as configured.
    train_accuracy : float
        Share of the training rows that the network gets right, mean over folds: after the epoch where that
        is cheap, over the epoch's own steps (as ``fit`` counts) where the network is large.
    probabilities : tuple of ndarray of float32, each of shape (n_valid_rows, n_classes)
        One a fold: what the network says of the fold's validation rows, in the order of `Fold.valid`.
    """

    train_loss: float
    train_accuracy: float
    probabilities: tuple[np.ndarray, ...]


STATE_FORMAT_KEY, STATE_FORMAT = "format", np.array(2)
"""Entry of `Learner.state` with the version of its layout; checkpoints of other versions are refused."""


def check_state_format(state: Mapping[str, np.ndarray]) -> None:
    """Check that a state has the current layout.

    Raises
    ------
    RunError
        If another version of the program wrote it.
    """
    if STATE_FORMAT_KEY not in state or int(state[STATE_FORMAT_KEY]) != STATE_FORMAT:
        raise RunError("the checkpoint was written by another version of the program")


def other_network() -> RunError:
    """Return the error for a state that does not fit the configuration's network."""
    return RunError("the checkpoint belongs to another network than that of the configuration")


class Learner(ABC):
    """The networks of one configuration, one a fold, which advance together epoch by epoch.

    All randomness comes from ``(seed, fold, epoch, step)``, so that a learner that is restored goes on with
    the numbers it would have had, and a fold's numbers do not depend on the other folds' data.
    """

    n_parameters: int
    """Trainable numbers of one fold's network."""
    precision: str = "float32"
    """Keras's dtype policy that it computes by: ``float32`` or ``mixed_float16``."""

    def in_full_precision(self) -> Learner | None:
        """Return the untrained learner in float32; None if this one already computes in it.

        A trial whose loss is not finite in half precision is trained again with it before it fails.
        """
        return None

    @abstractmethod
    def run_epoch(self, epoch: int) -> EpochOutcome:
        """Train each fold for one epoch, counted from 0, and judge its validation rows."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """All that changes while training, as arrays: weights and the optimizer's variables of each fold."""

    @abstractmethod
    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go back to what `state` gave.

        Raises
        ------
        RunError
            If it is the state of other networks.
        """

    @abstractmethod
    def fitted(self, fold: int = 0) -> Fitted:
        """Return the network of a fold as it is now, to be used or exported."""


@dataclass(frozen=True)
class Fitted:
    """A trained network and what stands before it.

    Attributes
    ----------
    model : keras.Model
        Plain Keras layers only; takes prepared inputs, gives probabilities.
    preparation : dict
        JSON-like state from which `Family.prepare` turns cached inputs into the network's.
    """

    model: keras.Model
    preparation: dict[str, Any]


class Family(ABC):
    """One model family."""

    name: ClassVar[str]
    """Its name on the command line, which is its module's."""
    reads: ClassVar[Kind]
    """What it reads of a cache."""
    default_folds: ClassVar[int]
    """``--folds`` where the user gives none."""
    min_epochs: ClassVar[int] = 3
    """Epochs after which scores of different configurations begin to predict their final order; by default,
    no trial is stopped earlier."""
    BASELINE: ClassVar[Config]
    """The published network, a point of the space."""
    PORTFOLIO: ClassVar[Sequence[Config]] = ()
    """Configurations that did well on other data, which a search tries after the BASELINE."""
    pretrained: ClassVar[bool] = False
    """Whether its networks begin with pretrained weights, which ``--weights`` names."""
    weights: Mapping[str, str] = MappingProxyType({})
    """SHA-256 of pretrained weights by network, for the record; empty for a family that has none."""

    def set_up(self, *, cpus: float, gpus: bool, deterministic: bool = False) -> bool:
        """Set up a worker process before its first trial.

        The default sets up TensorFlow; a family that computes with something else overrides this method and
        `release_memory`, and its workers then never import TensorFlow.

        Parameters
        ----------
        cpus : float
            Cores that the process has reserved.
        gpus : bool
            Whether the process has reserved a share of the GPUs that it sees.
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
        """Release what earlier trials of this process have kept on the device, after a lack of memory."""
        from spaces.training.device_data import release

        release()

    @abstractmethod
    def space(self, trial: optuna.Trial, max_epochs: int) -> None:
        """Suggest the parameters of one trial, in Optuna's define-by-run manner.

        The key ``epochs`` is how many epochs a configuration wants, at most `max_epochs`: the horizon of its
        learning rate schedule.
        """

    @abstractmethod
    def learner(self, config: Config, task: Task, *, seed: int) -> Learner:
        """Untrained networks of a configuration, one a fold of the task."""

    @abstractmethod
    def prepare(self, X: np.ndarray, preparation: Mapping[str, Any]) -> np.ndarray:
        """Turn inputs into what a fitted network takes.

        Parameters
        ----------
        X : ndarray, shape (n, ...)
            Inputs as the cache holds them.
        preparation : mapping
            From `Fitted.preparation`, possibly by way of JSON.
        """

    def for_search(
        self,
        shape: tuple[int, ...],
        *,
        weights: str | None,
        fixed: Config | None = None,
        embeddings: Mapping[str, str] = MappingProxyType({}),
    ) -> Family:
        """Settle what the data and ``--weights`` leave of the space, before a search starts.

        Parameters
        ----------
        shape : tuple of int
            Shape of one input as it is cached.
        weights : str or None
            Where pretrained weights come from; None for the family's default.
        fixed : mapping, optional
            Parameters that ``--set`` fixes, not checked yet.
        embeddings : mapping of str to str
            SHA-256 of the weights of each encoder whose vectors the cache has.

        Raises
        ------
        SettingsError
            If nothing is left, or the family has no pretrained weights but some are given.
        """
        if weights is not None:
            raise SettingsError(f"--weights {weights}: {self.name} begins with no pretrained weights")
        return self

    def as_recorded(self, baseline: Config, weights: Mapping[str, str]) -> Family:
        """Return what `for_search` gave, of the BASELINE and the `weights` that a run has recorded."""
        return self

    def check_recorded(self) -> None:  # noqa: B027 - most families have no such weights
        """Refuse to go on if the pretrained weights are no longer those that a run has recorded.

        Raises
        ------
        SettingsError
            Naming the weights.
        """

    def kind_for(self, config: Config, kind: Kind) -> Kind:
        """Return the kind of input that a configuration needs, of the `kind` that its run reads."""
        return kind

    def accepts(self, kind: Kind) -> bool:
        """Whether the family's networks can be trained on a kind of input."""
        return kind == self.reads

    def baseline(self, max_epochs: int) -> dict[str, Any]:
        """Return the BASELINE within a budget: its epochs are cut to `max_epochs`."""
        return {**self.BASELINE, "epochs": min(int(self.BASELINE["epochs"]), max_epochs)}
