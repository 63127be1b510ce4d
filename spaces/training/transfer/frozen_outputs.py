"""What the frozen part of a backbone makes of a cache's pictures: once a node, for all trials."""

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
"""Version of what is computed, apart from what `Frozen` says."""

_TOGETHER = 8
"""Pictures that pass through a network together: VGG16 takes 46 MB for one of 300 x 300."""

_MAPPED = 2
"""Outputs that a process keeps mapped, and pooled ones that it keeps in memory."""


class Frozen(NamedTuple):
    """The frozen part of a backbone, and the pictures that it is for.

    Attributes
    ----------
    origin : Origin
        Where the pictures lie.
    size : int
        Their height and width in pixels.
    backbone : str
        One of `BACKBONES`.
    weights : str
        Source of its weights: ``imagenet``, ``none`` or a file.
    unfrozen, dropped : int
        Last blocks that do not belong to it: those that are trained, and those that are left out.
    """

    origin: Origin
    size: int
    backbone: str
    weights: str
    unfrozen: int
    dropped: int = 0

    @property
    def path(self) -> Path:
        """The array file, named by a fingerprint of all that its content depends on."""
        backbone = BACKBONES[self.backbone]
        without = self.unfrozen + self.dropped
        layer = backbone.blocks[without - 1] if without else "output"
        gpus = gpu_names()
        digest = fingerprint(
            {
                # GPUs round differently, so a trial resumed on another device would see other inputs.
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
    """Return what the frozen part gives for all pictures of the cache.

    Parameters
    ----------
    frozen : Frozen
        The frozen part.
    pooling : str, optional
        ``avg``, ``max`` or ``flatten``; none by default.

    Returns
    -------
    ndarray of float32, shape (n_pictures, rows, columns, channels), or (n_pictures, n) if pooled
        Read-only, in the order of the cache; the same object for the same arguments while the process lives.

    Raises
    ------
    CacheError
        If the cache is not there or holds other pictures than it did, or the outputs cannot be written.
    """
    path = frozen.path
    if not path.exists():
        with making(path) as temporary:
            if temporary is not None:
                _compute(frozen, temporary)
    used(path)
    return _mapped(path) if pooling is None else _pooled(path, pooling)


@lru_cache(maxsize=_MAPPED)
def _mapped(path: Path) -> np.ndarray:
    outputs: np.ndarray = np.load(path, mmap_mode="r")
    return outputs


@lru_cache(maxsize=_MAPPED)
def _pooled(path: Path, pooling: str) -> np.ndarray:
    return pooled_array(pooling, _mapped(path))


def _compute(frozen: Frozen, target: Path) -> None:
    """Let all pictures pass through the frozen part; write what comes out as an array file."""
    pictures = tensors_at(frozen.origin)
    weights = pretrained.load(frozen.backbone, frozen.weights)
    prefix = build(frozen.backbone, frozen.size, weights, frozen.unfrozen, frozen.dropped).prefix
    shape = (len(pictures), *prefix.output_shape[1:])
    make_room(target.parent, 4 * int(np.prod(shape)))
    # Written, not mapped: a disk that is full then raises an error, where a map would end the process.
    with target.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for start in range(0, len(pictures), _TOGETHER):
            report_activity(f"{start} of {len(pictures)} pictures through the frozen {frozen.backbone}, once")
            batch = np.asarray(pictures[start : start + _TOGETHER])
            file.write(prefix.predict_on_batch(batch).astype("<f4").tobytes())
