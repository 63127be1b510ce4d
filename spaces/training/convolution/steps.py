"""Training steps and predictions of a Keras network, each compiled once.

Several folds share the network: each assigns its own values to the variables before its turn, so that one
compilation serves all folds.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from spaces.training.convolution.augmentation import crop
from spaces.training.convolution.loss_scale import LossScale
from spaces.training.optimizers import slot_count, update

Augment = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""Function that augments a batch: from inputs, targets and a seed to inputs and targets."""


def as_batch(x: tf.Tensor) -> tf.Tensor:
    """Convert cached rows to float32; append a channel axis to spectrograms."""
    x = tf.cast(x, tf.float32)
    return x[..., None] if x.shape.rank == 3 else x


class TrainingSteps:
    """The optimizer of a network and the compiled function that trains many steps.

    Parameters
    ----------
    core : keras.Model
        Network from a batch of `as_batch`, cropped to the network's width, to logits. The variables that are
        trainable now are trained.
    optimizer : str
        One of `spaces.training.learning_rates.OPTIMIZERS`.
    weight_decay : float
        Decoupled decay of kernels, as a multiple of the learning rate (Loshchilov and Hutter, 2019).
    label_smoothing : float
        Fraction of the target that is spread over all genres (Szegedy et al., 2016).
    augment : callable or None
        Augments each batch.
    """

    def __init__(
        self,
        core: keras.Model,
        optimizer: str,
        *,
        weight_decay: float,
        label_smoothing: float,
        augment: Augment | None,
    ) -> None:
        self._core = core
        self._trainable = core.trainable_variables
        self._kernels = [variable for variable in self._trainable if variable.path.endswith("kernel")]
        self._decay = weight_decay
        self._smoothing = label_smoothing
        self._augment = augment
        self._optimizer = optimizer
        self._slots = [
            [tf.Variable(tf.zeros(variable.shape), trainable=False) for _ in range(slot_count(optimizer))]
            for variable in self._trainable
        ]
        self._steps = tf.Variable(0.0, trainable=False)
        half = keras.config.dtype_policy().name == "mixed_float16"
        self._scale = LossScale() if half else None
        self.run = tf.function(self._run, reduce_retracing=True, autograph=False)

    @property
    def variables(self) -> list[tf.Variable]:
        """Slots of the optimizer, its number of steps, and in half precision the loss scale."""
        scale = self._scale.variables if self._scale is not None else []
        return [*(slot for slots in self._slots for slot in slots), self._steps, *scale]

    def _run(
        self,
        data: tf.Tensor,
        rows: tf.Tensor,
        genres: tf.Tensor,
        counts: tf.Tensor,
        rates: tf.Tensor,
        seed: tf.Tensor,
        first: tf.Tensor,
        class_weights: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Train some steps.

        Parameters
        ----------
        data : tf.Tensor, shape (n_data, ...)
            Inputs.
        rows, genres : tf.Tensor of int64, shape (n_steps, n_batch)
            Rows of `data` in each step, and their genres.
        counts : tf.Tensor of float32, shape (n_steps, n_batch)
            1 for rows that count, 0 for padding.
        rates : tf.Tensor of float32, shape (n_steps,)
            Learning rates.
        seed : tf.Tensor of int32, shape (2,)
            Seed of the epoch.
        first : tf.Tensor of int32, shape ()
            Number of the first step within its epoch.
        class_weights : tf.Tensor of float32, shape (n_classes,), optional
            Weight of each genre in the loss; a mixed row has the mean weight of its genres.

        Returns
        -------
        loss : tf.Tensor of float32, shape ()
            Sum over steps of the mean loss.
        correct : tf.Tensor of float32, shape ()
            Number of counted rows whose most probable genre is that of the target.
        """
        steps = tf.shape(rows)[0]

        def step(number: tf.Tensor, loss: tf.Tensor, correct: tf.Tensor) -> tuple[tf.Tensor, ...]:
            x = as_batch(tf.gather(data, rows[number]))
            step_seed = tf.random.fold_in(seed, first + number)
            step_loss, step_correct, finished = self._step(
                x, genres[number], counts[number], rates[number], step_seed, class_weights
            )
            return (
                number + tf.cast(finished, tf.int32),
                # The loss of a repeated step may be infinite; a product with zero would be NaN.
                loss + tf.where(finished, step_loss, 0.0),
                correct + tf.where(finished, step_correct, 0.0),
            )

        _, loss, correct = tf.while_loop(
            lambda number, *_: number < steps, step, (0, tf.zeros([]), tf.zeros([]))
        )
        return loss, correct

    def _step(
        self,
        x: tf.Tensor,
        genres: tf.Tensor,
        counts: tf.Tensor,
        rate: tf.Tensor,
        seed: tf.Tensor,
        class_weights: tf.Tensor | None,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Train one step; return its loss, the number of correct rows, and whether the next batch follows."""
        n_classes = self._core.output_shape[-1]
        target = tf.one_hot(genres, n_classes) * (1.0 - self._smoothing) + self._smoothing / n_classes
        if x.shape.rank == 4 and self._core.input_shape[2] != x.shape[2]:
            x = crop(x, self._core.input_shape[2], tf.random.fold_in(seed, 0))
        if self._augment is not None:
            x, target = self._augment(x, target, seed)
        with tf.GradientTape() as tape:
            logits = tf.cast(self._core(x, training=True), tf.float32)
            losses = tf.nn.softmax_cross_entropy_with_logits(target, logits)
            if class_weights is not None:
                losses *= tf.linalg.matvec(target, class_weights)
            loss = tf.reduce_sum(losses * counts) / tf.reduce_sum(counts)
            total = tf.add_n([loss, *(tf.cast(penalty, tf.float32) for penalty in self._core.losses)])
            scaled = total if self._scale is None else total * self._scale.value
        gradients = tape.gradient(scaled, [variable.value for variable in self._trainable])
        finished = tf.constant(True)
        if self._scale is None:
            self._apply(gradients, rate)
        else:
            gradients = [tf.cast(gradient, tf.float32) / self._scale.value for gradient in gradients]
            finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
            tf.cond(finite, lambda: self._apply(gradients, rate), lambda: tf.constant(0))
            finished = self._scale.adapt(finite)
        correct = tf.argmax(logits, axis=1) == tf.argmax(target, axis=1)
        return loss, tf.reduce_sum(tf.cast(correct, tf.float32) * counts), finished

    def _apply(self, gradients: list[tf.Tensor], rate: tf.Tensor) -> tf.Tensor:
        """Decay the kernels and update all variables; return a constant, because `tf.cond` needs a value."""
        with tf.control_dependencies(gradients):
            if self._decay > 0:
                for kernel in self._kernels:
                    kernel.assign_sub(rate * self._decay * kernel)
            step_number = self._steps.assign_add(1.0, read_value=True)
            for variable, gradient, slots in zip(self._trainable, gradients, self._slots, strict=True):
                update(self._optimizer, variable.value, gradient, slots, rate, step_number)
        return tf.constant(0)


class Predictor:
    """Compiled function that predicts the probabilities of the genres.

    Parameters
    ----------
    core : keras.Model
        Network as for `TrainingSteps`.
    pieces : int
        Number of equal pieces along time into which a row is cut; the prediction is the mean of theirs.
    """

    def __init__(self, core: keras.Model, pieces: int) -> None:
        self._core = core
        self._pieces = pieces
        self.run = tf.function(self._run, reduce_retracing=True, autograph=False)

    def _run(self, data: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Predict rows of `data`.

        Parameters
        ----------
        data : tf.Tensor, shape (n_data, ...)
            Inputs.
        rows : tf.Tensor of int64, shape (n_steps, n_batch)
            Rows of `data` in each step.

        Returns
        -------
        tf.Tensor of float32, shape (n_steps * n_batch, n_classes)
            Probabilities.
        """
        steps = tf.shape(rows)[0]
        results = tf.TensorArray(
            tf.float32, size=steps, element_shape=[rows.shape[1], self._core.output_shape[-1]]
        )

        def step(number: tf.Tensor, results: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            probabilities = self._probabilities(as_batch(tf.gather(data, rows[number])))
            return number + 1, results.write(number, probabilities)

        _, results = tf.while_loop(lambda number, _: number < steps, step, (0, results))
        return results.concat()

    def _probabilities(self, x: tf.Tensor) -> tf.Tensor:
        if self._pieces == 1:
            return tf.nn.softmax(tf.cast(self._core(x, training=False), tf.float32))
        width = self._core.input_shape[2]
        pieces = [x[:, :, number * width : (number + 1) * width] for number in range(self._pieces)]
        logits = [tf.cast(self._core(piece, training=False), tf.float32) for piece in pieces]
        return tf.add_n([tf.nn.softmax(piece_logits) for piece_logits in logits]) / self._pieces


def prediction_model(core: keras.Model, shape: tuple[int, ...], pieces: int) -> keras.Model:
    """Return the predictions of `Predictor` as a model of plain Keras layers.

    Parameters
    ----------
    core : keras.Model
        Network to logits.
    shape : tuple of int
        Shape of a cached row.
    pieces : int
        As for `Predictor`.

    Returns
    -------
    keras.Model
        Model from cached rows to probabilities.
    """
    from keras import layers

    inputs = keras.Input(shape, name="inputs")
    x = layers.Reshape((*shape, 1))(inputs) if len(shape) == 2 else inputs
    probabilities = []
    for number in range(pieces):
        piece = x
        if pieces > 1:
            width = core.input_shape[2]
            remaining = shape[1] - (number + 1) * width
            piece = layers.Cropping2D(((0, 0), (number * width, remaining)))(x)
        probabilities.append(layers.Softmax(dtype="float32")(core(piece)))
    genre = layers.Average(dtype="float32", name="genre")(probabilities) if pieces > 1 else probabilities[0]
    return keras.Model(inputs, genre)
