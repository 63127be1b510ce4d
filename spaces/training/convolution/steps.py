"""Training steps and judging of one Keras network on batches of tensors, each compiled once.

The network's variables belong to whoever holds it: several folds take turns in one network by assigning
their own, so that one compilation serves all of them.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from spaces.training.convolution.augmentation import crop
from spaces.training.convolution.loss_scale import LossScale
from spaces.training.optimizers import slot_count, update

Augment = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""Changes a batch of inputs and targets, by a seed."""


def as_batch(x: tf.Tensor) -> tf.Tensor:
    """Make float32 of cached rows, with a channel axis unless they are vectors."""
    x = tf.cast(x, tf.float32)
    return x[..., None] if x.shape.rank == 3 else x


class TrainingSteps:
    """A network's optimizer, and the function that takes many steps.

    Parameters
    ----------
    core : keras.Model
        The network: a batch as `as_batch` gives it, cut to the network's own width, to logits. What is
        trainable of it now is trained.
    optimizer : str
        One of `spaces.training.learning_rates.OPTIMIZERS`.
    weight_decay : float
        Decoupled decay of kernels, as a multiple of the learning rate (Loshchilov and Hutter, 2019).
    label_smoothing : float
        Share of the target that is spread over all genres (Szegedy et al., 2016).
    augment : callable or None
        Changes each batch.
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
        """Slots of the optimizer, its number of steps, and the loss scale in half precision."""
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
        """Take steps.

        Parameters
        ----------
        data : tf.Tensor, shape (n_data, ...)
            Inputs.
        rows, genres : tf.Tensor of int64, shape (n_steps, n_batch)
            Rows of `data` that each step takes, and their genres.
        counts : tf.Tensor of float32, shape (n_steps, n_batch)
            1 for rows that count, 0 for rows that fill up.
        rates : tf.Tensor of float32, shape (n_steps,)
            Learning rates.
        seed : tf.Tensor of int32, shape (2,)
            Seed of the epoch.
        first : tf.Tensor of int32, shape ()
            Number of the first step in its epoch.
        class_weights : tf.Tensor of float32, shape (n_classes,), optional
            Weight of each genre in the loss; a mixed row has its genres' mean weight.

        Returns
        -------
        loss : tf.Tensor of float32, shape ()
            Sum over steps of the mean loss.
        right : tf.Tensor of float32, shape ()
            Number of counted rows whose likeliest genre was the target's.
        """
        steps = tf.shape(rows)[0]

        def step(number: tf.Tensor, loss: tf.Tensor, right: tf.Tensor) -> tuple[tf.Tensor, ...]:
            x = as_batch(tf.gather(data, rows[number]))
            step_seed = tf.random.fold_in(seed, first + number)
            step_loss, step_right, done = self._step(
                x, genres[number], counts[number], rates[number], step_seed, class_weights
            )
            counted = tf.cast(done, tf.float32)
            return (
                number + tf.cast(done, tf.int32),
                # A product would make NaN of an overflow that is tried again.
                loss + tf.where(done, step_loss, 0.0),
                right + counted * step_right,
            )

        _, loss, right = tf.while_loop(
            lambda number, *_: number < steps, step, (0, tf.zeros([]), tf.zeros([]))
        )
        return loss, right

    def _step(
        self,
        x: tf.Tensor,
        genres: tf.Tensor,
        counts: tf.Tensor,
        rate: tf.Tensor,
        seed: tf.Tensor,
        class_weights: tf.Tensor | None,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Take a step; return its loss, the number of correct rows, and whether the next batch follows."""
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
        done = tf.constant(True)
        if self._scale is None:
            self._apply(gradients, rate)
        else:
            gradients = [tf.cast(gradient, tf.float32) / self._scale.value for gradient in gradients]
            finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
            tf.cond(finite, lambda: self._apply(gradients, rate), lambda: tf.constant(0))
            done = self._scale.adapt(finite)
        same = tf.argmax(logits, axis=1) == tf.argmax(target, axis=1)
        return loss, tf.reduce_sum(tf.cast(same, tf.float32) * counts), done

    def _apply(self, gradients: list[tf.Tensor], rate: tf.Tensor) -> tf.Tensor:
        """Decay the kernels and update all variables; return a number, as a branch of the graph must."""
        with tf.control_dependencies(gradients):
            if self._decay > 0:
                for kernel in self._kernels:
                    kernel.assign_sub(rate * self._decay * kernel)
            number = self._steps.assign_add(1.0, read_value=True)
            for variable, gradient, slots in zip(self._trainable, gradients, self._slots, strict=True):
                update(self._optimizer, variable.value, gradient, slots, rate, number)
        return tf.constant(0)


class Judge:
    """The function that gives a network's probabilities.

    Parameters
    ----------
    core : keras.Model
        As for `TrainingSteps`.
    pieces : int
        Equal pieces along time that a row is cut into; it is judged by their mean probability.
    """

    def __init__(self, core: keras.Model, pieces: int) -> None:
        self._core = core
        self._pieces = pieces
        self.run = tf.function(self._run, reduce_retracing=True, autograph=False)

    def _run(self, data: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Judge rows, shape (n_steps, n_batch), of data; give float32 (n_steps * n_batch, n_classes)."""
        steps = tf.shape(rows)[0]
        found = tf.TensorArray(
            tf.float32, size=steps, element_shape=[rows.shape[1], self._core.output_shape[-1]]
        )

        def step(number: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            judged = self._probabilities(as_batch(tf.gather(data, rows[number])))
            return number + 1, found.write(number, judged)

        _, found = tf.while_loop(lambda number, _: number < steps, step, (0, found))
        return found.concat()

    def _probabilities(self, x: tf.Tensor) -> tf.Tensor:
        if self._pieces == 1:
            return tf.nn.softmax(tf.cast(self._core(x, training=False), tf.float32))
        width = self._core.input_shape[2]
        cut = [x[:, :, number * width : (number + 1) * width] for number in range(self._pieces)]
        logits = [tf.cast(self._core(piece, training=False), tf.float32) for piece in cut]
        return tf.add_n([tf.nn.softmax(one) for one in logits]) / self._pieces


def judging_model(core: keras.Model, shape: tuple[int, ...], pieces: int) -> keras.Model:
    """Put the same judgement in plain Keras layers around a network.

    Parameters
    ----------
    core : keras.Model
        The network, to logits.
    shape : tuple of int
        Shape of a row as it is cached.
    pieces : int
        As for `Judge`.
    """
    from keras import layers

    inputs = keras.Input(shape, name="inputs")
    x = layers.Reshape((*shape, 1))(inputs) if len(shape) == 2 else inputs
    found = []
    for number in range(pieces):
        piece = x
        if pieces > 1:
            width = core.input_shape[2]
            after = shape[1] - (number + 1) * width
            piece = layers.Cropping2D(((0, 0), (number * width, after)))(x)
        found.append(layers.Softmax(dtype="float32")(core(piece)))
    genre = layers.Average(dtype="float32", name="genre")(found) if pieces > 1 else found[0]
    return keras.Model(inputs, genre)
