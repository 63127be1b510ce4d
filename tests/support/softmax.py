"""A model family in numpy for tests of the search's own logic: softmax regression on the 57 features.

Trials of it need no TensorFlow, whose import takes five seconds per process, and an epoch takes a
millisecond. It learns, overfits and diverges like a real family, and its checkpoints and exports work.

In a test, request the fixture ``softmax`` (of ``tests/conftest.py``) and search with ``family="softmax"``::

    def test_something(ray_cluster: None, softmax: Softmax, small_cache: Path, tmp_path: Path) -> None:
        settings = SearchSettings.checked(family="softmax", cache=str(small_cache), runs=str(tmp_path))
        run_search(settings)

The fixture makes `spaces.get` find the family for the tests of a module. In another process, use
``python -m tests.support.softmax`` in place of ``python -m search.run``, where the environment variables
``EPOCH_SECONDS`` and ``HOLD_FILE`` set attributes; `registered` does the same in code.

To hold, slow down or kill trials, set attributes of ``FAMILY`` with ``monkeypatch.setattr`` before the search
starts: each trial gets a copy. See `Softmax`. To hold single trials at single epochs, use
``tests.support.held``.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import spaces
from data.analysis.feature_names import FEATURES
from data.analysis.kinds import Kind
from data.dataset.task import Task
from spaces.training.family import (
    STATE_FORMAT,
    STATE_FORMAT_KEY,
    Config,
    EpochOutcome,
    Family,
    Fitted,
    Learner,
    check_state_format,
    network_mismatch,
)

if TYPE_CHECKING:
    import optuna

_FAMILIES = str(Path(__file__).parent / "families")


class Softmax(Family):
    """Softmax regression, trained by gradient descent with momentum in batches.

    Attributes
    ----------
    epoch_seconds : float
        Minimum duration of an epoch of all folds.
    hold_file : Path or None
        While this file exists, no trial starts the epoch whose number, counted from 0, it contains.
    kill_file : Path or None
        The first epoch that finds this file removes it and kills its process, as the kernel does.
    cpus : float
        Cores that a trial's process has reserved; 0 in the driver.
    """

    name: ClassVar[str] = "softmax"
    reads: ClassVar[Kind] = "features"
    default_folds: ClassVar[int] = 2
    BASELINE: ClassVar[Config] = {
        "scaler": "standard",
        "inputs": 57,
        "batch_size": 16,
        "learning_rate": 0.01,
        "decay": False,
        "noise": 0.0,
        "epochs": 30,
    }
    PORTFOLIO: ClassVar[tuple[Config, ...]] = (
        {**BASELINE, "batch_size": 8, "decay": True, "weight_decay": 0.01, "noise": 0.5},
        {**BASELINE, "inputs": 40, "batch_size": 32, "learning_rate": 0.1},
    )

    epoch_seconds: float = 0.0
    hold_file: Path | None = None
    kill_file: Path | None = None
    cpus: float = 0.0

    def set_up(self, *, cpus: float, gpus: bool, deterministic: bool = False) -> bool:
        """Store the number of cores; numpy needs no set-up, and uses no GPU."""
        self.cpus = cpus
        return True

    def release_memory(self) -> None:
        """Do nothing: nothing is kept."""

    def space(self, trial: optuna.Trial, max_epochs: int) -> None:
        """Suggest one configuration; see `Family.space`."""
        trial.suggest_categorical("scaler", ("standard", "none"))
        trial.suggest_int("inputs", 8, len(FEATURES))
        trial.suggest_int("batch_size", 4, 64)
        trial.suggest_float("learning_rate", 1e-4, 0.3, log=True)
        if trial.suggest_categorical("decay", (False, True)):
            trial.suggest_float("weight_decay", 1e-4, 0.1, log=True)
        trial.suggest_float("noise", 0.0, 1.0)
        trial.suggest_int("epochs", min(30, max_epochs), max_epochs)

    def learner(self, config: Config, task: Task, *, seed: int) -> Learner:
        """Untrained networks of a configuration; ValueError if it uses no inputs."""
        return SoftmaxFolds(self, config, task, seed=seed)

    def prepare(self, X: np.ndarray, preparation: Mapping[str, Any]) -> np.ndarray:
        """Select and scale the first features, to float32 of shape (n, n_inputs); see `Family.prepare`."""
        shift, scale = (np.array(preparation[name]) for name in ("shift", "scale"))
        return ((X[:, : len(shift)] - shift) / scale).astype(np.float32)

    def before_epoch(self, epoch: int) -> None:
        """Wait or die as the attributes request."""
        if self.kill_file is not None and self.kill_file.exists():
            self.kill_file.unlink(missing_ok=True)
            os.kill(os.getpid(), signal.SIGKILL)
        while epoch >= self._held_epoch():
            time.sleep(0.02)
        time.sleep(self.epoch_seconds)

    def _held_epoch(self) -> float:
        try:
            return int(self.hold_file.read_text()) if self.hold_file else math.inf
        except FileNotFoundError:
            # The test has just deleted it.
            return math.inf


class SoftmaxFolds(Learner):
    """The weights of each fold, float64 of shape (n_inputs + 1, n_classes); the last row is the bias."""

    def __init__(self, family: Softmax, config: Config, task: Task, *, seed: int) -> None:
        if config["inputs"] < 1:
            raise ValueError(f"inputs {config['inputs']}: must be at least 1")
        self._family, self._config, self._task, self._seed = family, config, task, seed
        shape = (config["inputs"] + 1, len(task.classes))
        self._weights = [np.zeros(shape) for _ in task.folds]
        self._velocities = [np.zeros(shape) for _ in task.folds]
        self._preparations = [self._fit_scaler(task.X[fold.train, : config["inputs"]]) for fold in task.folds]
        self.n_parameters = shape[0] * shape[1]

    def _fit_scaler(self, X: np.ndarray) -> dict[str, Any]:
        if self._config["scaler"] == "none":
            return {"shift": [0.0] * X.shape[1], "scale": [1.0] * X.shape[1]}
        return {"shift": X.mean(axis=0).tolist(), "scale": (X.std(axis=0) + 1e-9).tolist()}

    def run_epoch(self, epoch: int) -> EpochOutcome:
        """Train each fold for one epoch, then predict its validation rows."""
        self._family.before_epoch(epoch)
        # A learning rate without a bound overflows, as it does on a GPU; the loss then is not finite.
        with np.errstate(all="ignore"):
            results = [self._run_fold(number, epoch) for number in range(len(self._weights))]
        return EpochOutcome(
            train_loss=float(np.mean([loss for loss, _, _ in results])),
            train_accuracy=float(np.mean([accuracy for _, accuracy, _ in results])),
            probabilities=tuple(probabilities for _, _, probabilities in results),
        )

    def _run_fold(self, number: int, epoch: int) -> tuple[float, float, np.ndarray]:
        """Return the mean training loss, the training accuracy after the epoch, and the probabilities."""
        config, task, fold = self._config, self._task, self._task.folds[number]
        weights, velocity = self._weights[number], self._velocities[number]
        rng = np.random.default_rng((self._seed, number, epoch))
        X, y = self._inputs(number, fold.train), task.y[fold.train]
        losses: list[float] = []
        order = rng.permutation(len(X))
        for start in range(0, len(order), config["batch_size"]):
            rows = order[start : start + config["batch_size"]]
            noisy = X[rows] + config["noise"] * rng.normal(size=(len(rows), X.shape[1]))
            noisy[:, -1] = 1.0
            error = _probabilities(noisy, weights)
            losses.append(float(-np.log(error[np.arange(len(rows)), y[rows]]).mean()))
            error[np.arange(len(rows)), y[rows]] -= 1.0
            gradient = noisy.T @ error / len(rows) + config.get("weight_decay", 0.0) * weights
            velocity *= 0.9
            velocity -= config["learning_rate"] * gradient
            weights += velocity
        accuracy = float((_probabilities(X, weights).argmax(axis=1) == y).mean())
        probabilities = _probabilities(self._inputs(number, fold.valid), weights)
        return float(np.mean(losses)), accuracy, probabilities.astype(np.float32)

    def _inputs(self, number: int, rows: np.ndarray) -> np.ndarray:
        """Scaled rows with a column of ones for the bias, shape (len(rows), n_inputs + 1)."""
        prepared = self._family.prepare(self._task.X[rows], self._preparations[number])
        return np.hstack([prepared, np.ones((len(rows), 1))])

    def state(self) -> dict[str, np.ndarray]:
        """Weights and velocities of each fold."""
        arrays = {"weights": np.array(self._weights), "velocities": np.array(self._velocities)}
        return {STATE_FORMAT_KEY: STATE_FORMAT, **arrays}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Return to a state; RunError if it belongs to other networks."""
        check_state_format(state)
        shape = (len(self._weights), *self._weights[0].shape)
        if any(name not in state or state[name].shape != shape for name in ("weights", "velocities")):
            raise network_mismatch()
        self._weights = [weights.copy() for weights in state["weights"]]
        self._velocities = [velocity.copy() for velocity in state["velocities"]]

    def fitted(self, fold: int = 0) -> Fitted:
        """Return a fold as a Keras model; only this method imports Keras."""
        import keras

        n_inputs, n_classes = self._weights[fold].shape
        model = keras.Sequential(
            [keras.Input((n_inputs - 1,)), keras.layers.Dense(n_classes, activation="softmax")]
        )
        model.set_weights([self._weights[fold][:-1], self._weights[fold][-1]])
        return Fitted(model, self._preparations[fold])


def _probabilities(X: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Softmax of the logits, float64 of shape (n, n_classes)."""
    logits = X @ weights
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


FAMILY = Softmax()


@contextmanager
def registered() -> Iterator[Softmax]:
    """Let `spaces.get` find the family, as if its file were among those of ``spaces/``."""
    spaces.__path__.append(_FAMILIES)
    try:
        yield FAMILY
    finally:
        spaces.__path__.remove(_FAMILIES)


def main() -> None:
    """Run ``search.run`` with the family."""
    from search.run import main as search

    with registered():
        FAMILY.epoch_seconds = float(os.environ.get("EPOCH_SECONDS", "0"))
        FAMILY.hold_file = Path(os.environ["HOLD_FILE"]) if "HOLD_FILE" in os.environ else None
        search()


if __name__ == "__main__":
    # Under the name that Ray's workers import: here the module is called __main__.
    from tests.support import softmax

    softmax.main()
