"""Dense heads on frozen pretrained networks, optionally together with unfrozen last blocks."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from data.dataset.task import Fold, Task, TensorRows
from spaces.training.convolution.learner import TensorFolds
from spaces.training.convolution.recipe import Recipe, Stage
from spaces.training.family import Config, EpochOutcome, Fitted, Learner
from spaces.training.transfer.backbones import Parts, avoid_custom_gradients, build, pooled
from spaces.training.transfer.frozen_outputs import Frozen, frozen_outputs
from spaces.training.transfer.weights import load


class Heads(Learner):
    """Heads with any unfrozen blocks, one per fold, trained on the outputs of the frozen part.

    Parameters
    ----------
    frozen : Frozen
        The frozen part of the backbone.
    config : mapping
        The configuration.
    task : Task
        Images and folds.
    seed : int
        Seed of initial weights, shuffling and noise.
    """

    def __init__(self, frozen: Frozen, config: Config, task: Task, *, seed: int) -> None:
        self._frozen, self._config, self._n_classes = frozen, config, len(task.classes)
        self._pooling = str(config["map_pooling" if frozen.dropped else "pooling"])
        outputs = frozen_outputs(frozen, None if frozen.unfrozen else self._pooling)
        recipe = Recipe(
            stages=_stages(config),
            optimizer=config["optimizer"],
            batch_size=config["batch_size"],
            schedule=config["schedule"],
            weight_decay=config["weight_decay"] if config["penalty"] == "decay" else 0.0,
            label_smoothing=config["label_smoothing"],
        )
        self._folds: TensorFolds = TensorFolds(
            lambda: self._core(outputs.shape[1:]),
            recipe,
            _task_of_all_images(task, outputs),
            seed=seed,
            adapt=_set_statistics if config["standardise"] else None,
        )
        self.n_parameters = self._folds.n_parameters
        self.precision = self._folds.precision

    def _core(self, shape: tuple[int, ...]) -> keras.Model:
        """Build the trained network, from outputs of the frozen part to logits."""
        inputs = keras.Input(shape, name="frozen")
        x = inputs
        suffix = self._backbone().suffix if self._frozen.unfrozen else None
        if suffix is not None:
            avoid_custom_gradients(suffix)
            x = pooled(self._pooling, suffix(x))
        head = build_head(self._config, x.shape[1], self._n_classes)
        return keras.Model(inputs, head(x), name="core")

    def _backbone(self) -> Parts:
        """Build the backbone with its pretrained weights."""
        frozen = self._frozen
        weights = load(frozen.backbone, frozen.weights)
        parts = build(frozen.backbone, frozen.size, weights, frozen.unfrozen, frozen.dropped)
        if parts.suffix is not None:
            _set_trainable(parts.suffix, trainable=True)
            for layer in parts.suffix.layers:
                # Some backbones drop paths during training. Without that, a head trained alone sees the same
                # outputs as those that are cached.
                if isinstance(layer, keras.layers.Dropout):
                    layer.rate = 0.0
        return parts

    def in_full_precision(self) -> Learner | None:
        """Return an untrained copy that computes in float32; see `Learner.in_full_precision`."""
        folds = self._folds.in_full_precision()
        if folds is None:
            return None
        learner = copy.copy(self)
        learner._folds, learner.precision = folds, folds.precision
        return learner

    def run_epoch(self, epoch: int) -> EpochOutcome:
        """Train each fold for one epoch, counted from 0, and predict its validation rows."""
        return self._folds.run_epoch(epoch)

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights that training has changed, and the optimizer's variables, by fold."""
        return self._folds.state()

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore a state that `state` returned."""
        self._folds.restore(state)

    def fitted(self, fold: int = 0) -> Fitted:
        """Return the current network of a fold, from images to probabilities."""
        core = self._folds.fitted(fold).model.get_layer("core")
        parts = self._backbone()
        if parts.suffix is not None:
            parts.suffix.set_weights(core.get_layer("suffix").get_weights())
        logits = core.get_layer("head")(pooled(self._pooling, parts.whole.output))
        genre = keras.layers.Softmax(name="genre")(logits)
        return Fitted(keras.Model(parts.whole.input, genre), {})


def build_head(config: Config, n_inputs: int, n_classes: int) -> keras.Model:
    """Build the head of a configuration.

    Parameters
    ----------
    config : mapping
        Configuration of `vgg16_transfer`.
    n_inputs : int
        Number of pooled features.
    n_classes : int
        Number of genres.

    Returns
    -------
    keras.Model
        Network from pooled features, shape (n, n_inputs), to logits.
    """
    inputs = keras.Input((n_inputs,), name="pooled")
    x = inputs
    if config["standardise"]:
        # Not trained: `_set_statistics` sets its mean and variance.
        x = layers.BatchNormalization(
            center=False, scale=False, epsilon=1e-6, trainable=False, name="standardise"
        )(x)
    penalty = keras.regularizers.L2(config["l2"]) if config["penalty"] == "l2" else None
    for layer in range(1, config["layers"] + 1):
        x = layers.Dense(config[f"units_{layer}"], activation="relu", kernel_regularizer=penalty)(x)
        x = layers.Dropout(config["dropout"])(x)
    output_options: dict[str, Any] = {}
    if not config["layers"]:
        # Without hidden layers, dropout and penalty apply to the output layer.
        x = layers.Dropout(config["dropout"])(x)
        output_options = {"kernel_regularizer": penalty}
    logits = layers.Dense(n_classes, dtype="float32", name="logits", **output_options)(x)
    return keras.Model(inputs, logits, name="head")


def _set_statistics(core: keras.Model, rows: np.ndarray) -> None:
    """Set mean and variance of the head's standardisation, from training rows of the untrained network."""
    if any(layer.name == "suffix" for layer in core.layers):
        rows = keras.Model(core.input, core.get_layer("pooling").output).predict(rows, verbose=0)
    # In half precision, sums of squares would overflow.
    rows = rows.astype(np.float32, copy=False)
    variance = rows.var(axis=0)
    # A channel that is always zero stays zero.
    core.get_layer("head").get_layer("standardise").set_weights(
        [rows.mean(axis=0), np.where(variance > 0, variance, 1.0)]
    )


def _stages(config: Config) -> tuple[Stage, ...]:
    """Return the stages: the head only, head and unfrozen blocks together, or one after the other."""
    epochs = config["epochs"]
    if config["training"] == "frozen":
        return (Stage(epochs, config["learning_rate"]),)
    if config["training"] == "unfrozen":
        return (Stage(epochs, config["unfrozen_learning_rate"], _suffix(trainable=True)),)
    head_epochs = min(max(1, round(config["head_share"] * epochs)), max(1, epochs - 1))
    return (
        Stage(head_epochs, config["learning_rate"], _suffix(trainable=False)),
        Stage(max(1, epochs - head_epochs), config["unfrozen_learning_rate"], _suffix(trainable=True)),
    )


def _suffix(*, trainable: bool) -> Callable[[keras.Model], None]:
    """Return a function that freezes or unfreezes the suffix of a network."""
    return lambda core: _set_trainable(core.get_layer("suffix"), trainable=trainable)


def _set_trainable(suffix: keras.Model, *, trainable: bool) -> None:
    """Set whether the layers of a suffix are trained; batch normalisation never is.

    Batch normalisation keeps the mean and variance of photographs, because estimates from a few dozen images
    per batch would be worse.
    """
    for layer in suffix.layers:
        layer.trainable = trainable and not isinstance(layer, keras.layers.BatchNormalization)


def _task_of_all_images(task: Task, outputs: np.ndarray) -> Task:
    """Return the task on the outputs for all images of the cache, so that no outputs are copied."""
    if not isinstance(task.X, TensorRows):
        raise TypeError("transfer learning needs images from a cache, not an array")
    cache_rows = task.X.rows
    y = np.zeros(len(outputs), dtype=np.int32)
    y[cache_rows] = task.y
    folds = tuple(Fold(cache_rows[fold.train], cache_rows[fold.valid]) for fold in task.folds)
    return dataclasses.replace(task, X=outputs, y=y, folds=folds)
