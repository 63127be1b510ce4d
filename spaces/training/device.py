"""How TensorFlow is set up in a process before it trains: threads, memory of the GPUs, precision."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from data.io.keras_import import import_keras

_HALF_PRECISION = (7, 0)
"""Compute capability from which a GPU multiplies matrices of float16 in hardware of its own (Volta)."""


def precision(capabilities: Sequence[tuple[int, int] | None]) -> str:
    """Keras's dtype policy for some GPUs.

    Parameters
    ----------
    capabilities : sequence of (int, int) or None
        Compute capability of each GPU; None where it is not known.

    Returns
    -------
    str
        ``"mixed_float16"`` where there are GPUs and all of them gain by it, else ``"float32"``.
    """
    able = [capability is not None and capability >= _HALF_PRECISION for capability in capabilities]
    return "mixed_float16" if able and all(able) else "float32"


def set_up(*, cpus: float, gpus: bool, deterministic: bool = False) -> bool:
    """Set threads and what is seen of the GPUs; to be called before TensorFlow's first operation.

    Parameters
    ----------
    cpus : float
        Cores that the process has reserved; it computes on as many threads, and on one at least.
    gpus : bool
        Whether the process has a share of the GPUs that it sees. It then takes of their memory what it needs,
        not all of it, for several trials share one; else it leaves them to those that have reserved them,
        which Ray by itself does not see to.
    deterministic : bool
        Use only deterministic implementations of TensorFlow's operations, which may be slower.

    Returns
    -------
    bool
        Whether TensorFlow sees what the process has reserved: without its CUDA libraries it sees no GPU.
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
    """`precision` of the GPUs that this process uses."""
    import tensorflow as tf

    details = map(tf.config.experimental.get_device_details, tf.config.get_visible_devices("GPU"))
    return precision([detail.get("compute_capability") for detail in details])


def gpu_names() -> list[str]:
    """Model names of the GPUs that this process uses; empty on a CPU."""
    import tensorflow as tf

    details = map(tf.config.experimental.get_device_details, tf.config.get_visible_devices("GPU"))
    return [str(detail.get("device_name")) for detail in details]


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Build layers under a dtype policy of Keras; the policy before comes back afterwards."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
