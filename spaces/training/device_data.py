"""Transfer of a task's inputs to the device: kept there if they fit, otherwise streamed in large pieces."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from data.dataset.task import Inputs, TensorRows

RESIDENT_BYTES = 1 << 30
"""Maximum size of inputs that stay on the device for the lifetime of the process."""

_PIECE_BYTES = 1 << 26
"""Size of a streamed piece; two exist at a time, one in use and one being read."""

_resident_inputs: list[tuple[Inputs, tf.Tensor]] = []
"""Inputs on the device with their copy there; at most one entry, because trials of a process share them."""


class Feed:
    """Inputs of a task for training steps, selected by row numbers.

    Parameters
    ----------
    X : ndarray or TensorRows, shape (n, ...)
        The inputs. They keep their cached type, a half or a quarter of the size of float32. The exception
        are bytes on a GPU, which become float16.
    resident_bytes : int
        Maximum size of inputs that are kept on the device.
    """

    def __init__(self, X: Inputs, *, resident_bytes: int = RESIDENT_BYTES) -> None:
        self._X = X
        self.resident = X.nbytes // X.dtype.itemsize * _device_type(X.dtype).itemsize <= resident_bytes

    def pieces(self, rows: np.ndarray) -> Iterator[tuple[tf.Tensor, np.ndarray, slice]]:
        """Yield the data of consecutive steps.

        Parameters
        ----------
        rows : ndarray of int, shape (n_steps, n_batch)
            Row numbers of each step.

        Yields
        ------
        data : tf.Tensor, shape (n_data, ...)
            Inputs.
        places : ndarray of int64, shape (n_piece_steps, n_batch)
            Rows of `data` for each step. They are int64 because TensorFlow keeps int32 in host memory, from
            which each step would copy its row numbers to the GPU.
        steps : slice
            Range of these steps.
        """
        if not len(rows):
            return
        if self.resident:
            yield _on_device(self._X), rows.astype(np.int64), slice(0, len(rows))
            return
        step_bytes = max(1, self._X.nbytes // len(self._X) * rows.shape[1])
        piece_steps = max(1, _PIECE_BYTES // step_bytes)
        bounds = [*range(0, len(rows), piece_steps), len(rows)]
        # A thread reads the next piece while the device computes.
        with ThreadPoolExecutor(1) as reader:
            waiting = [reader.submit(self._read, rows[bounds[0] : bounds[1]])]
            for number, (start, end) in enumerate(pairwise(bounds)):
                data, places = waiting.pop().result()
                if end < len(rows):
                    waiting.append(reader.submit(self._read, rows[end : bounds[number + 2]]))
                yield data, places, slice(start, end)

    def _read(self, rows: np.ndarray) -> tuple[tf.Tensor, np.ndarray]:
        # Sorted for sequential reads; each row is read once, even if several steps use it.
        unique_rows, places = np.unique(rows, return_inverse=True)
        return _to_device(self._X[unique_rows]), places.reshape(rows.shape).astype(np.int64)


def _on_device(X: Inputs) -> tf.Tensor:
    """Return all inputs on the device, if possible the copy of an earlier trial of this process."""
    for resident, tensor in _resident_inputs:
        if _same(resident, X):
            return tensor
    release()
    _resident_inputs.append((X, _to_device(X[np.arange(len(X))])))
    return _resident_inputs[0][1]


def _to_device(values: np.ndarray) -> tf.Tensor:
    return tf.constant(values.astype(_device_type(values.dtype), copy=False))


def _device_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of the inputs on the device.

    TensorFlow gathers rows of bytes on the CPU only, so that all images on a GPU would be copied to the CPU
    and back. Half precision represents each colour value exactly.
    """
    half = dtype == np.uint8 and bool(tf.config.list_logical_devices("GPU"))
    return np.dtype(np.float16) if half else np.dtype(dtype)


def release() -> None:
    """Drop the copy on the device; its memory is freed when nothing uses it any more."""
    _resident_inputs.clear()


def _same(first: Inputs, second: Inputs) -> bool:
    if isinstance(first, TensorRows) and isinstance(second, TensorRows):
        return first.origin == second.origin and np.array_equal(first.rows, second.rows)
    return first is second
