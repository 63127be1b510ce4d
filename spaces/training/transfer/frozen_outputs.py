"""Outputs of a backbone's frozen part for the images of a cache, computed once per node for all trials."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from data.cache.fingerprints import fingerprint
from data.cache.rows import Origin
from data.dataset.task import tensors_at
from data.io.activity import report_activity
from data.io.scratch import make_room, making, scratch_folder, used
from spaces.training.device import gpu_names
from spaces.training.transfer import weights as pretrained
from spaces.training.transfer.backbones import BACKBONES, build, pooled_array

_FORMAT = 1
"""Version of the computation; a change invalidates stored outputs."""

_BATCH_SIZE = 8
"""Images per batch; VGG16 needs 46 MB for each image of 300 x 300."""

_KEPT_ARRAYS = 2
"""Number of memory-mapped and of pooled arrays that a process keeps."""


class Frozen(NamedTuple):
    """The frozen part of a backbone and the images it is applied to.

    Attributes
    ----------
    origin : Origin
        The images and their cache.
    size : int
        Height and width of the images in pixels.
    backbone : str
        One of `BACKBONES`.
    weights : str
        Source of its weights: ``imagenet``, ``none`` or a file.
    unfrozen, dropped : int
        Numbers of last blocks outside the frozen part: trained blocks and removed blocks.
    """

    origin: Origin
    size: int
    backbone: str
    weights: str
    unfrozen: int
    dropped: int = 0

    @property
    def path(self) -> Path:
        """File of the outputs; its name is a fingerprint of everything that they depend on."""
        backbone = BACKBONES[self.backbone]
        n_excluded = self.unfrozen + self.dropped
        layer = backbone.blocks[n_excluded - 1] if n_excluded else "output"
        gpus = gpu_names()
        digest = fingerprint(
            {
                # GPUs round differently: a trial that is resumed on another device must not mix both outputs.
                **({"device": gpus} if gpus else {}),
                "format": _FORMAT,
                "keras": keras.__version__,
                "pictures": [self.origin.kind, self.origin.fingerprint, self.size],
                "weights": pretrained.fingerprint(self.backbone, self.weights),
                "scaling": backbone.scaling,
                "layer": f"{self.backbone}/{layer}",
            }
        )
        return scratch_folder() / f"frozen-{self.backbone}-{digest[:32]}.npy"


def frozen_outputs(frozen: Frozen, pooling: str | None = None) -> np.ndarray:
    """Return the outputs for all images of the cache.

    Parameters
    ----------
    frozen : Frozen
        Frozen part and images.
    pooling : str, optional
        ``avg``, ``max`` or ``flatten``; by default, outputs are not pooled.

    Returns
    -------
    ndarray of float32, shape (n_images, rows, columns, channels), or (n_images, n) if pooled
        Read-only, in the order of the cache. The process keeps the last few arrays.

    Raises
    ------
    CacheError
        If the cache is missing or has changed, or if the outputs cannot be written.
    """
    path = frozen.path
    if not path.exists():
        with making(path) as temporary:
            if temporary is not None:
                _compute(frozen, temporary)
    used(path)
    return _mapped(path) if pooling is None else _pooled(path, pooling)


@lru_cache(maxsize=_KEPT_ARRAYS)
def _mapped(path: Path) -> np.ndarray:
    outputs: np.ndarray = np.load(path, mmap_mode="r")
    return outputs


@lru_cache(maxsize=_KEPT_ARRAYS)
def _pooled(path: Path, pooling: str) -> np.ndarray:
    return pooled_array(pooling, _mapped(path))


def _compute(frozen: Frozen, target: Path) -> None:
    """Compute the outputs for all images and write them to an array file."""
    images = tensors_at(frozen.origin)
    weights = pretrained.load(frozen.backbone, frozen.weights)
    prefix = build(frozen.backbone, frozen.size, weights, frozen.unfrozen, frozen.dropped).prefix
    shape = (len(images), *prefix.output_shape[1:])
    make_room(target.parent, 4 * int(np.prod(shape)))
    # Not memory-mapped, because a full disk would then kill the process; `write` raises an error.
    with target.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for start in range(0, len(images), _BATCH_SIZE):
            report_activity(f"{start} of {len(images)} images through the frozen {frozen.backbone}, once")
            batch = np.asarray(images[start : start + _BATCH_SIZE])
            file.write(prefix.predict_on_batch(batch).astype("<f4").tobytes())
