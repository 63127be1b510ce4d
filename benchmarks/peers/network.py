"""Train all folds of a configuration together, epoch by epoch, by Keras's own `fit`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

N_CLASSES = 10


class FoldsInStep:
    """Networks of one configuration, one per fold, trained an epoch at a time.

    All folds share one compiled model; their weights and optimizer states are swapped in turn. A model per
    fold would be traced five times.

    Parameters
    ----------
    arrays : dict
        Arrays from `Job.arrays`.
    config : dict
        A configuration of the space.
    seed : int
        Seed of the initial weights.
    """

    def __init__(self, arrays: dict[str, np.ndarray], config: dict[str, Any], seed: int) -> None:
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        self._y, fold = arrays["y"], arrays["fold"]
        tables = arrays[config["scaler"]]
        self._folds = range(len(tables))
        self._valid = [np.flatnonzero(fold == number) for number in self._folds]
        self._held_out = [tf.constant(table[rows]) for table, rows in zip(tables, self._valid, strict=True)]
        one_hot = np.eye(N_CLASSES, dtype=np.float32)[self._y]
        training_rows = [np.flatnonzero(fold != number) for number in self._folds]
        steps = math.ceil(max(map(len, training_rows)) / config["batch_size"])
        self._batches = [
            tf.data.Dataset.from_tensor_slices((table[rows], one_hot[rows]))
            .cache()
            .shuffle(len(rows))
            .batch(config["batch_size"])
            .prefetch(tf.data.AUTOTUNE)
            for table, rows in zip(tables, training_rows, strict=True)
        ]
        self._model = build(config, tables.shape[-1])
        self._model.compile(
            optimizer(config, steps),
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config["label_smoothing"]),
            steps_per_execution=steps,
        )
        self._model.optimizer.build(self._model.trainable_variables)
        self._variables = [*self._model.variables, *self._model.optimizer.variables]
        initial_state = [np.asarray(variable) for variable in self._variables]
        self.states = [list(initial_state) for _ in self._folds]
        self._predict = tf.function(lambda rows: self._model(rows, training=False), reduce_retracing=True)

    def run_epoch(self) -> float:
        """Train every fold for one epoch; return the accuracy on the pooled held-out rows."""
        correct = 0
        for number in self._folds:
            for variable, value in zip(self._variables, self.states[number], strict=True):
                variable.assign(value)
            self._model.fit(self._batches[number], epochs=1, verbose=0)
            logits = self._predict(self._held_out[number]).numpy()
            correct += int((logits.argmax(axis=1) == self._y[self._valid[number]]).sum())
            self.states[number] = [np.asarray(variable) for variable in self._variables]
        return correct / len(self._y)


def train(
    arrays: dict[str, np.ndarray], config: dict[str, Any], seed: int, on_epoch: Callable[[int, float], None]
) -> None:
    """Train for the configuration's epochs; pass each epoch's number and accuracy to `on_epoch`."""
    folds = FoldsInStep(arrays, config, seed)
    for epoch in range(1, int(config["epochs"]) + 1):
        on_epoch(epoch, folds.run_epoch())


def build(config: dict[str, Any], n_features: int) -> keras.Model:
    """Build the network of a configuration; it returns logits."""
    from keras import layers

    normalisations = {"batch": layers.BatchNormalization, "layer": layers.LayerNormalization}
    inputs = keras.Input((n_features,))
    x = layers.Dropout(config["input_dropout"])(inputs)
    for number in range(1, config["layers"] + 1):
        x = layers.Dense(config[f"units_{number}"])(x)
        if config["normalisation"] != "none":
            x = normalisations[config["normalisation"]]()(x)
        x = layers.Activation(config["activation"])(x)
        x = layers.Dropout(config["dropout"])(x)
    return keras.Model(inputs, layers.Dense(N_CLASSES)(x))


def optimizer(config: dict[str, Any], steps: int) -> keras.optimizers.Optimizer:
    """Create the optimizer of a configuration; its schedule spans the configuration's epochs."""
    schedules = keras.optimizers.schedules
    peak = config["sgd_learning_rate" if config["optimizer"] == "sgd" else "learning_rate"]
    span = int(config["epochs"]) * steps
    rate = {
        "constant": lambda: peak,
        "cosine": lambda: schedules.CosineDecay(peak, span),
        "exponential": lambda: schedules.ExponentialDecay(peak, span, 0.01),
    }[config["schedule"]]()
    decay = config["weight_decay"] if config["decay"] else None
    keras_optimizer = {
        "adam": lambda: keras.optimizers.Adam(rate, weight_decay=decay),
        "rmsprop": lambda: keras.optimizers.RMSprop(rate, weight_decay=decay),
        "sgd": lambda: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=decay),
    }[config["optimizer"]]()
    if decay is not None:
        keras_optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return keras_optimizer
