"""The way of tensors from a task to the device: kept there where they fit, else streamed in large pieces."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from data.dataset.task import Inputs, TensorRows

RESIDENT_BYTES = 1 << 30
"""Tensors up to this size are kept on the device for as long as the process lives."""

_PIECE_BYTES = 1 << 26
"""Size of a streamed piece; two are there at a time, one in use and one on its way."""

_kept: list[tuple[Inputs, tf.Tensor]] = []
"""The inputs that are on the device, at most one: trials of a process mostly share them."""


class Feed:
    """Inputs of a task, for steps that name their rows.

    Parameters
    ----------
    X : ndarray or TensorRows, shape (n, ...)
        The inputs. They stay in the type that they are cached in, which is a half or a quarter of float32,
        but for bytes on a GPU, which become float16.
    resident_bytes : int
        Size up to which they are kept on the device.
    """

    def __init__(self, X: Inputs, *, resident_bytes: int = RESIDENT_BYTES) -> None:
        self._X = X
        self.resident = X.nbytes // X.dtype.itemsize * _device_type(X.dtype).itemsize <= resident_bytes

    def pieces(self, rows: np.ndarray) -> Iterator[tuple[tf.Tensor, np.ndarray, slice]]:
        """Give the data of consecutive steps.

        Parameters
        ----------
        rows : ndarray of int, shape (n_steps, n_batch)
            Row numbers of each step.

        Yields
        ------
        data : tf.Tensor, shape (n_data, ...)
            Inputs.
        places : ndarray of int64, shape (n_steps of the piece, n_batch)
            Rows of `data` that each step takes. TensorFlow keeps int32 in host memory, so that each step
            would copy its row numbers to the GPU.
        steps : slice
            Which of the steps these are.
        """
        if not len(rows):
            return
        if self.resident:
            yield _on_device(self._X), rows.astype(np.int64), slice(0, len(rows))
            return
        step_bytes = max(1, self._X.nbytes // len(self._X) * rows.shape[1])
        each = max(1, _PIECE_BYTES // step_bytes)
        bounds = [*range(0, len(rows), each), len(rows)]
        # One thread reads ahead while the device works.
        with ThreadPoolExecutor(1) as reader:
            waiting = [reader.submit(self._read, rows[bounds[0] : bounds[1]])]
            for number, (start, end) in enumerate(pairwise(bounds)):
                data, places = waiting.pop().result()
                if end < len(rows):
                    waiting.append(reader.submit(self._read, rows[end : bounds[number + 2]]))
                yield data, places, slice(start, end)

    def _read(self, rows: np.ndarray) -> tuple[tf.Tensor, np.ndarray]:
        # Sorted, so that a disk is read forwards; once each, however often steps take it.
        chosen, places = np.unique(rows, return_inverse=True)
        return _to_device(self._X[chosen]), places.reshape(rows.shape).astype(np.int64)


def _on_device(X: Inputs) -> tf.Tensor:
    """Copy all inputs to the device, or find the copy that an earlier trial of this process made."""
    for known, tensor in _kept:
        if _same(known, X):
            return tensor
    release()
    _kept.append((X, _to_device(X[np.arange(len(X))])))
    return _kept[0][1]


def _to_device(values: np.ndarray) -> tf.Tensor:
    return tf.constant(values.astype(_device_type(values.dtype), copy=False))


def _device_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Type in which inputs lie on the device.

    TensorFlow picks rows of bytes on the CPU only: on a GPU all pictures would be sent there and back. Half
    precision holds each colour exactly.
    """
    half = dtype == np.uint8 and bool(tf.config.list_logical_devices("GPU"))
    return np.dtype(np.float16) if half else np.dtype(dtype)


def release() -> None:
    """Forget the copy on the device; whoever still uses it keeps it until then."""
    _kept.clear()


def _same(known: Inputs, X: Inputs) -> bool:
    if isinstance(known, TensorRows) and isinstance(X, TensorRows):
        return known.origin == X.origin and np.array_equal(known.rows, X.rows)
    return known is X
