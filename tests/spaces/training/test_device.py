from __future__ import annotations

from typing import Any

import keras
import pytest
import tensorflow as tf

from data.io import keras_import
from spaces.training import device
from tests.support.processes import python


@pytest.mark.parametrize(
    ("capabilities", "policy"),
    [
        ([], "float32"),
        ([(7, 0)], "mixed_float16"),
        ([(8, 6), (9, 0)], "mixed_float16"),
        ([(6, 1)], "float32"),
        ([(8, 0), (6, 1)], "float32"),
        ([None], "float32"),
    ],
)
def test_half_precision_is_used_if_all_gpus_have_hardware_for_it(capabilities: Any, policy: str) -> None:
    assert device.precision(capabilities) == policy


def test_every_gpu_allocates_memory_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    grown = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [f"{kind}:0", f"{kind}:1"])
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda gpu, grows: grown.append((gpu, grows))
    )
    keras_import.grow_memory()
    assert grown == [("GPU:0", True), ("GPU:1", True)]


def test_the_visible_gpus_determine_the_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.device_precision() == "float32"
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _: ["GPU:0"])
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda _: {"compute_capability": (8, 0)}
    )
    assert device.device_precision() == "mixed_float16"


def test_the_previous_dtype_policy_is_restored() -> None:
    previous = keras.config.dtype_policy().name
    with device.dtype_policy("mixed_float16"):
        assert keras.layers.Dense(1).compute_dtype == "float16"
    assert keras.config.dtype_policy().name == previous


@pytest.mark.parametrize(
    ("cpus", "threads", "gpus", "expected"),
    [(3.0, 3, True, "False\n"), (0.5, 1, False, "visible [] GPU\nTrue\n")],
)
def test_a_process_uses_only_the_cores_and_gpus_that_it_has_reserved(
    cpus: float, threads: int, gpus: bool, expected: str
) -> None:
    process = python(
        "from spaces.training import device\n"
        "import tensorflow as tf\n"
        "tf.config.set_visible_devices = lambda *arguments: print('visible', *arguments)\n"
        "tf.config.list_physical_devices = lambda kind: []\n"
        f"print(device.set_up(cpus={cpus}, gpus={gpus}))\n"
        f"assert tf.config.threading.get_intra_op_parallelism_threads() == {threads}\n",
        # The user sets this number of threads for other programs.
        OMP_NUM_THREADS="7",
    )
    assert (process.stdout, process.returncode) == (expected, 0), process.stderr


def test_operations_can_be_made_deterministic() -> None:
    process = python(
        "from spaces.training import device\n"
        "device.set_up(cpus=1, gpus=False, deterministic=True)\n"
        "from tensorflow.python.framework import config\n"
        "print(config.is_op_determinism_enabled())\n"
    )
    assert (process.stdout, process.returncode) == ("True\n", 0), process.stderr
