"""`vgg16_transfer`: a network that was trained on photographs, with a new head, on pictures of spectrograms.

BASELINE is the network of the published study: VGG16 as it is, Dense 512 and 64 with L2, softmax; RMSprop
at 1e-4, batches of 42, 10 epochs; 45 % on GTZAN.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from data.dataset.task import Fold, Task, TensorRows
from data.errors import SettingsError
from spaces.training.family import Config, Family, Fitted, Learner
from spaces.training.learning_rates import OPTIMIZERS, SCHEDULES
from spaces.training.transfer.backbones import (
    BACKBONES,
    avoid_custom_gradients,
    build,
    check_size,
    pooled,
)

if TYPE_CHECKING:
    import keras
    import optuna

    from spaces.training.convolution.learner import Stage, TensorFolds
    from spaces.training.family import EpochOutcome
    from spaces.training.transfer.frozen_outputs import Frozen

_DEFAULT_WEIGHTS = "imagenet"


class VGG16Transfer(Family):
    """Pretrained backbones under dense heads.

    Parameters
    ----------
    weights : str
        Source of the backbones' weights: ``imagenet``, ``none`` or a file.
    fingerprints : mapping of str to str, optional
        Fingerprint of the weights of each backbone in the space; all backbones by default.
    """

    name: ClassVar[str] = "vgg16_transfer"
    reads: ClassVar[Literal["features", "melspec", "image"]] = "image"
    default_folds: ClassVar[int] = 1
    pretrained: ClassVar[bool] = True
    BASELINE: ClassVar[Config] = {
        "backbone": "vgg16",
        "weights": _DEFAULT_WEIGHTS,
        "dropped_blocks": 0,
        "training": "frozen",
        "pooling": "flatten",
        "standardise": False,
        "layers": 2,
        "units_1": 512,
        "units_2": 64,
        "dropout": 0.0,
        "penalty": "l2",
        "l2": 1e-2,
        "optimizer": "rmsprop",
        "learning_rate": 1e-4,
        "schedule": "constant",
        "batch_size": 42,
        "label_smoothing": 0.0,
        "epochs": 10,
    }

    def __init__(
        self, weights: str = _DEFAULT_WEIGHTS, fingerprints: Mapping[str, str] | None = None
    ) -> None:
        self._source = weights
        self._backbones = tuple(fingerprints or BACKBONES)
        self.weights = dict(fingerprints or {})

    def for_search(
        self,
        shape: tuple[int, ...],
        *,
        weights: str | None,
        fixed: Config | None = None,
        embeddings: Mapping[str, str] | None = None,
    ) -> VGG16Transfer:
        """Leave those backbones that there are weights for and whose pictures are large enough.

        Of Keras's downloads, one that is fixed and the BASELINE's are enough.
        """
        from pathlib import Path

        from spaces.training.transfer.weights import IMAGENET, NONE, settle

        source = weights or _DEFAULT_WEIGHTS
        if source not in (IMAGENET, NONE):
            source = str(Path(source).expanduser().absolute())
        everything, size = tuple(BACKBONES), _picture_size(shape)
        chosen = (fixed or {}).get("backbone")
        wanted = tuple(
            name for name in everything if chosen not in everything or name in (everything[0], chosen)
        )
        fitting = check_size(wanted, size)
        found = settle(source, fitting if source in (IMAGENET, NONE) else everything)
        check_size(tuple(found), size)
        return VGG16Transfer(source, found)

    def as_recorded(self, baseline: Config, weights: Mapping[str, str]) -> VGG16Transfer:
        """Return what `for_search` gave, of the BASELINE and the `weights` that a run has recorded."""
        return VGG16Transfer(baseline["weights"], weights)

    def baseline(self, max_epochs: int) -> dict[str, Any]:
        """Return the BASELINE within a budget, on the first backbone that the space has."""
        own = {"backbone": self._backbones[0], "weights": self._source}
        return {**super().baseline(max_epochs), **own}

    def space(self, trial: optuna.Trial, max_epochs: int) -> None:
        """Suggest one configuration; see `Family.space`."""
        trial.suggest_categorical("backbone", self._backbones)
        # One choice: so each trial, and an export of it, says what its backbone began with.
        trial.suggest_categorical("weights", (self._source,))
        # The last blocks know objects; what textures and edges have in common with spectrograms is earlier.
        dropped = trial.suggest_int("dropped_blocks", 0, 2)
        training = trial.suggest_categorical("training", ("frozen", "unfrozen", "in_turn"))
        if training != "frozen":
            trial.suggest_int("unfrozen_blocks", 1, 2)
            trial.suggest_float("unfrozen_learning_rate", 1e-6, 3e-4, log=True)
        if training == "in_turn":
            trial.suggest_float("head_share", 0.2, 0.7)
        if dropped:
            # Earlier maps are larger: flat, they would be some hundred thousand inputs.
            trial.suggest_categorical("map_pooling", ("avg", "max"))
        else:
            trial.suggest_categorical("pooling", ("avg", "max", "flatten"))
        trial.suggest_categorical("standardise", (False, True))
        layers = trial.suggest_int("layers", 0, 2)
        for layer in range(1, layers + 1):
            trial.suggest_int(f"units_{layer}", 16, 512 if layer == 1 else 128, log=True)
        trial.suggest_float("dropout", 0.0, 0.7)
        penalty = trial.suggest_categorical("penalty", ("none", "l2", "decay"))
        if penalty == "l2":
            trial.suggest_float("l2", 1e-5, 3e-2, log=True)
        elif penalty == "decay":
            trial.suggest_float("weight_decay", 1e-3, 3.0, log=True)
        trial.suggest_categorical("optimizer", OPTIMIZERS)
        if training != "unfrozen":
            trial.suggest_float("learning_rate", 3e-5, 1e-2, log=True)
        trial.suggest_categorical("schedule", SCHEDULES)
        trial.suggest_categorical("batch_size", (8, 16, 32, 42))
        trial.suggest_float("label_smoothing", 0.0, 0.3)
        trial.suggest_int("epochs", min(5, max_epochs), max_epochs)

    def learner(self, config: Config, task: Task, *, seed: int) -> Learner:
        """Untrained heads of a configuration, one a fold, on what the backbone's frozen part gives."""
        from spaces.training.transfer.frozen_outputs import Frozen

        if not isinstance(task.X, TensorRows):
            raise TypeError("a frozen backbone's outputs are kept by the cache that the pictures lie in")
        size = _picture_size(task.X.tensor_shape)
        check_size((config["backbone"],), size)
        self._check_weights(config["backbone"])
        unfrozen = 0 if config["training"] == "frozen" else config["unfrozen_blocks"]
        frozen = Frozen(
            task.X.origin, size, config["backbone"], config["weights"], unfrozen, config["dropped_blocks"]
        )
        return Heads(frozen, config, task, seed=seed)

    def check_recorded(self) -> None:
        """Refuse to go on with other weights than those of the record; see `Family.check_recorded`."""
        for backbone in self.weights:
            self._check_weights(backbone)

    def _check_weights(self, backbone: str) -> None:
        from spaces.training.transfer.weights import fingerprint

        recorded = self.weights.get(backbone)
        if recorded not in (None, fingerprint(backbone, self._source)):
            raise SettingsError(
                f"{self._source}: the weights of {backbone} are not those that the search"
                f" began with (SHA-256 {recorded[:8]}...); bring them back"
            )

    def prepare(self, X: np.ndarray, preparation: Mapping[str, Any]) -> np.ndarray:
        """Give pictures, uint8, as they are: the network begins with their scaling; see `Family.prepare`."""
        return X


class Heads(Learner):
    """Heads, and unfrozen blocks if there are any, which are trained on the outputs of a frozen part.

    Parameters
    ----------
    frozen : Frozen
        The frozen part.
    config : mapping
        The configuration.
    task : Task
        Pictures and folds.
    seed : int
        Seed of weights, shuffling and noise.
    """

    def __init__(self, frozen: Frozen, config: Config, task: Task, *, seed: int) -> None:
        from spaces.training.convolution.learner import Recipe, TensorFolds
        from spaces.training.transfer.frozen_outputs import frozen_outputs

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
            _by_picture(task, outputs),
            seed=seed,
            adapt=_standardise if config["standardise"] else None,
        )
        self.n_parameters = self._folds.n_parameters
        self.precision = self._folds.precision

    def _core(self, shape: tuple[int, ...]) -> keras.Model:
        """Build what is trained: from the frozen part's outputs to logits."""
        import keras

        inputs = keras.Input(shape, name="frozen")
        x = inputs
        if self._frozen.unfrozen:
            suffix = self._parts().suffix
            avoid_custom_gradients(suffix)
            x = pooled(self._pooling, suffix(x))
        head = build_head(self._config, x.shape[1], self._n_classes)
        return keras.Model(inputs, head(x), name="core")

    def _parts(self) -> Any:
        import keras

        from spaces.training.transfer.weights import load

        frozen = self._frozen
        weights = load(frozen.backbone, frozen.weights)
        parts = build(frozen.backbone, frozen.size, weights, frozen.unfrozen, frozen.dropped)
        if parts.suffix is not None:
            _unfreeze(parts.suffix, unfrozen=True)
            for layer in parts.suffix.layers:
                # Some backbones drop paths in training; whoever trains a head alone sees what is cached.
                if isinstance(layer, keras.layers.Dropout):
                    layer.rate = 0.0
        return parts

    def in_full_precision(self) -> Learner | None:
        """Return the untrained learner in float32; see `Learner.in_full_precision`."""
        folds = self._folds.in_full_precision()
        if folds is None:
            return None
        learner = copy.copy(self)
        learner._folds, learner.precision = folds, folds.precision
        return learner

    def run_epoch(self, epoch: int) -> EpochOutcome:
        """Train each fold for one epoch, counted from 0, and judge its validation rows."""
        return self._folds.run_epoch(epoch)

    def state(self) -> dict[str, np.ndarray]:
        """Weights that are no longer as they were built, and the optimizer's variables, by fold."""
        return self._folds.state()

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go back to what `state` gave."""
        self._folds.restore(state)

    def fitted(self, fold: int = 0) -> Fitted:
        """Return one network from pictures to probabilities, of a fold as it is now."""
        import keras

        core = self._folds.fitted(fold).model.get_layer("core")
        parts = self._parts()
        if parts.suffix is not None:
            parts.suffix.set_weights(core.get_layer("suffix").get_weights())
        logits = core.get_layer("head")(pooled(self._pooling, parts.whole.output))
        genre = keras.layers.Softmax(name="genre")(logits)
        return Fitted(keras.Model(parts.whole.input, genre), {})


def build_head(config: Config, n_inputs: int, n_classes: int) -> keras.Model:
    """Build the dense layers, from pooled features to logits."""
    import keras
    from keras import layers

    inputs = keras.Input((n_inputs,), name="pooled")
    x = inputs
    if config["standardise"]:
        # Not trained, so its moments are what `_standardise` sets.
        x = layers.BatchNormalization(
            center=False, scale=False, epsilon=1e-6, trainable=False, name="standardise"
        )(x)
    penalty = keras.regularizers.L2(config["l2"]) if config["penalty"] == "l2" else None
    for layer in range(1, config["layers"] + 1):
        x = layers.Dense(config[f"units_{layer}"], activation="relu", kernel_regularizer=penalty)(x)
        x = layers.Dropout(config["dropout"])(x)
    last: dict[str, Any] = {}
    if not config["layers"]:
        # What the hidden layers of a larger head would bear.
        x = layers.Dropout(config["dropout"])(x)
        last = {"kernel_regularizer": penalty}
    logits = layers.Dense(n_classes, dtype="float32", name="logits", **last)(x)
    return keras.Model(inputs, logits, name="head")


def _standardise(core: keras.Model, rows: np.ndarray) -> None:
    """Set the head's standardisation by training rows, as the untrained network sees them."""
    import keras

    if any(layer.name == "suffix" for layer in core.layers):
        rows = keras.Model(core.input, core.get_layer("pooling").output).predict(rows, verbose=0)
    # Of half precision, squares of many rows overflow.
    rows = rows.astype(np.float32, copy=False)
    variance = rows.var(axis=0)
    # A channel that never answers stays at zero.
    core.get_layer("head").get_layer("standardise").set_weights(
        [rows.mean(axis=0), np.where(variance > 0, variance, 1.0)]
    )


def _stages(config: Config) -> tuple[Stage, ...]:
    """Who is trained when: the head, all that is not frozen, or the one and then the other."""
    from spaces.training.convolution.learner import Stage

    epochs = config["epochs"]
    if config["training"] == "frozen":
        return (Stage(epochs, config["learning_rate"]),)
    if config["training"] == "unfrozen":
        return (Stage(epochs, config["unfrozen_learning_rate"], _set_suffix(unfrozen=True)),)
    alone = min(max(1, round(config["head_share"] * epochs)), max(1, epochs - 1))
    return (
        Stage(alone, config["learning_rate"], _set_suffix(unfrozen=False)),
        Stage(max(1, epochs - alone), config["unfrozen_learning_rate"], _set_suffix(unfrozen=True)),
    )


def _set_suffix(*, unfrozen: bool) -> Callable[[keras.Model], None]:
    return lambda core: _unfreeze(core.get_layer("suffix"), unfrozen=unfrozen)


def _unfreeze(suffix: keras.Model, *, unfrozen: bool) -> None:
    """Set which layers are trained: of batch normalisation nothing ever is.

    A layer of it that is not trained keeps the moments of photographs: a batch of a few dozen pictures has no
    better ones.
    """
    import keras

    for layer in suffix.layers:
        layer.trainable = unfrozen and not isinstance(layer, keras.layers.BatchNormalization)


def _by_picture(task: Task, outputs: np.ndarray) -> Task:
    """Put the same folds in terms of all pictures of the cache, so that no output need be copied."""
    if not isinstance(task.X, TensorRows):
        raise TypeError("the rows of a cache are numbered, those of an array are not")
    place = task.X.rows
    y = np.zeros(len(outputs), dtype=np.int32)
    y[place] = task.y
    folds = tuple(Fold(place[fold.train], place[fold.valid]) for fold in task.folds)
    return dataclasses.replace(task, X=outputs, y=y, folds=folds)


def _picture_size(shape: tuple[int, ...]) -> int:
    """Height and width of pictures of a shape, which are as high as they are wide."""
    if len(shape) != 3 or shape[0] != shape[1]:
        raise SettingsError(f"vgg16_transfer: pictures of shape {shape}, but square RGB pictures are needed")
    return int(shape[0])


FAMILY = VGG16Transfer()
