"""Set-up of TensorFlow in a process: threads, visible GPUs, precision.

The functions import TensorFlow themselves, because `import_keras` must configure it before its first import.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from data.io.keras_import import import_keras

_HALF_PRECISION = (7, 0)
"""Minimum compute capability of a GPU with dedicated hardware for float16 matrix products (Volta)."""


def precision(capabilities: Sequence[tuple[int, int] | None]) -> str:
    """Return the Keras dtype policy for GPUs.

    Parameters
    ----------
    capabilities : sequence of (int, int) or None
        Compute capability of each GPU; None if unknown.

    Returns
    -------
    str
        ``"mixed_float16"`` if all GPUs compute faster with it, ``"float32"`` otherwise and without a GPU.
    """
    fast = [capability is not None and capability >= _HALF_PRECISION for capability in capabilities]
    return "mixed_float16" if fast and all(fast) else "float32"


def set_up(*, cpus: float, gpus: bool, deterministic: bool = False) -> bool:
    """Set the number of threads and the visible GPUs; call it before TensorFlow's first operation.

    Parameters
    ----------
    cpus : float
        Number of cores that the process has reserved. It uses as many threads, and at least one.
    gpus : bool
        Whether the process has reserved a share of the visible GPUs. If so, TensorFlow allocates only the
        memory it needs, because several trials may share a GPU. If not, the GPUs are hidden, because Ray does
        not hide GPUs that other processes have reserved.
    deterministic : bool
        Whether to use only deterministic implementations of operations, which may be slower.

    Returns
    -------
    bool
        False if the process has reserved GPUs but TensorFlow sees none, for example without CUDA libraries.
    """
    import_keras()
    import tensorflow as tf

    count = max(1, int(cpus))
    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(count)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    if not gpus:
        tf.config.set_visible_devices([], "GPU")
        return True
    return bool(tf.config.list_physical_devices("GPU"))


def device_precision() -> str:
    """Return the `precision` for the GPUs that this process uses."""
    return precision([details.get("compute_capability") for details in _gpu_details()])


def gpu_names() -> list[str]:
    """Return the model names of the GPUs that this process uses; empty on a CPU."""
    return [str(details.get("device_name")) for details in _gpu_details()]


def _gpu_details() -> list[dict[str, Any]]:
    import tensorflow as tf

    return [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.get_visible_devices("GPU")]


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Build layers with a Keras dtype policy; the previous policy is restored at the end."""
    import keras

    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)
