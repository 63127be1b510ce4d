"""`vgg16_transfer`: an image network pretrained on photographs, with a new head, on images of spectrograms.

BASELINE is the network of the published study: a frozen VGG16, Dense 512 and 64 with L2, softmax; RMSprop at
1e-4, batches of 42, 10 epochs; 45 % on GTZAN.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from data.analysis.kinds import Kind
from data.errors import SettingsError
from spaces.training.family import Config, Family, Learner
from spaces.training.learning_rates import OPTIMIZERS, SCHEDULES
from spaces.training.transfer import weights as pretrained
from spaces.training.transfer.backbones import BACKBONES, check_size

if TYPE_CHECKING:
    import optuna

    from data.dataset.task import Task


_DEFAULT_WEIGHTS = "imagenet"


class VGG16Transfer(Family):
    """Dense heads on pretrained backbones.

    Parameters
    ----------
    weights : str
        Source of the backbones' weights: ``imagenet``, ``none`` or a file.
    fingerprints : mapping of str to str, optional
        Fingerprint of the weights of each backbone in the space. By default, the space has all backbones.
    """

    name: ClassVar[str] = "vgg16_transfer"
    reads: ClassVar[Kind] = "image"
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
        """Keep the backbones that have weights and that accept images of this size; see `Family.for_search`.

        If `fixed` names a backbone, only its weights and those of the BASELINE are downloaded.
        """
        source = weights or _DEFAULT_WEIGHTS
        if source not in (pretrained.IMAGENET, pretrained.NONE):
            source = str(Path(source).expanduser().absolute())
        names, size = tuple(BACKBONES), _image_size(shape)
        fixed_name = (fixed or {}).get("backbone")
        candidates = (names[0], fixed_name) if fixed_name in names else names
        usable = check_size(tuple(name for name in names if name in candidates), size)
        if source not in (pretrained.IMAGENET, pretrained.NONE):
            # The file determines the backbone.
            usable = names
        fingerprints = pretrained.find_weights(source, usable)
        check_size(tuple(fingerprints), size)
        return VGG16Transfer(source, fingerprints)

    def as_recorded(self, baseline: Config, weights: Mapping[str, str]) -> VGG16Transfer:
        """Return the result of `for_search`, from the recorded BASELINE and `weights` of a run."""
        return VGG16Transfer(baseline["weights"], weights)

    def baseline(self, max_epochs: int) -> dict[str, Any]:
        """Return the BASELINE with at most `max_epochs` epochs, on the first backbone of the space."""
        source = {"backbone": self._backbones[0], "weights": self._source}
        return {**super().baseline(max_epochs), **source}

    def space(self, trial: optuna.Trial, max_epochs: int) -> None:
        """Suggest one configuration; see `Family.space`."""
        trial.suggest_categorical("backbone", self._backbones)
        # A single choice, so that each trial and each export records the source of its weights.
        trial.suggest_categorical("weights", (self._source,))
        # The last blocks detect objects; textures and edges, which spectrograms have too, come earlier.
        dropped = trial.suggest_int("dropped_blocks", 0, 2)
        training = trial.suggest_categorical("training", ("frozen", "unfrozen", "in_turn"))
        if training != "frozen":
            trial.suggest_int("unfrozen_blocks", 1, 2)
            trial.suggest_float("unfrozen_learning_rate", 1e-6, 3e-4, log=True)
        if training == "in_turn":
            trial.suggest_float("head_share", 0.2, 0.7)
        if dropped:
            # Earlier maps are larger: flattened, they would have hundreds of thousands of values.
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
        """Create the untrained heads of a configuration, one per fold, on the outputs of the frozen part."""
        from data.dataset.task import TensorRows
        from spaces.training.transfer.frozen_outputs import Frozen
        from spaces.training.transfer.heads import Heads

        if not isinstance(task.X, TensorRows):
            raise TypeError("transfer learning needs images from a cache, not an array")
        size = _image_size(task.X.tensor_shape)
        check_size((config["backbone"],), size)
        self._check_weights(config["backbone"])
        unfrozen = 0 if config["training"] == "frozen" else config["unfrozen_blocks"]
        frozen = Frozen(
            task.X.origin, size, config["backbone"], config["weights"], unfrozen, config["dropped_blocks"]
        )
        return Heads(frozen, config, task, seed=seed)

    def check_recorded(self) -> None:
        """Check that the weights are those that the run recorded; see `Family.check_recorded`."""
        for backbone in self.weights:
            self._check_weights(backbone)

    def _check_weights(self, backbone: str) -> None:
        recorded = self.weights.get(backbone)
        if recorded not in (None, pretrained.fingerprint(backbone, self._source)):
            raise SettingsError(
                f"{self._source}: the weights of {backbone} have changed since the search began;"
                f" restore the file with SHA-256 {recorded[:8]}..."
            )

    def prepare(self, X: np.ndarray, preparation: Mapping[str, Any]) -> np.ndarray:
        """Return images, uint8, unchanged: the network scales them itself; see `Family.prepare`."""
        return X


def _image_size(shape: tuple[int, ...]) -> int:
    """Return the height and width of square RGB images."""
    if len(shape) != 3 or shape[0] != shape[1]:
        raise SettingsError(f"vgg16_transfer: images of shape {shape}, but it needs square RGB images")
    return int(shape[0])


FAMILY = VGG16Transfer()
