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
def test_precision_is_halved_where_all_gpus_gain_by_it(capabilities: Any, policy: str) -> None:
    assert device.precision(capabilities) == policy


def test_memory_grows_on_every_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    grown = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [f"{kind}:0", f"{kind}:1"])
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda gpu, grows: grown.append((gpu, grows))
    )
    keras_import.grow_memory()
    assert grown == [("GPU:0", True), ("GPU:1", True)]


def test_the_gpus_of_the_process_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.device_precision() == "float32"
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _: ["GPU:0"])
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda _: {"compute_capability": (8, 0)}
    )
    assert device.device_precision() == "mixed_float16"


def test_the_policy_before_comes_back() -> None:
    before = keras.config.dtype_policy().name
    with device.dtype_policy("mixed_float16"):
        assert keras.layers.Dense(1).compute_dtype == "float16"
    assert keras.config.dtype_policy().name == before


@pytest.mark.parametrize(
    ("cpus", "count", "gpus", "done"),
    [(3.0, 3, True, "False\n"), (0.5, 1, False, "hidden [] GPU\nTrue\n")],
)
def test_a_trial_leaves_alone_what_it_has_not_reserved(
    cpus: float, count: int, gpus: bool, done: str
) -> None:
    said = python(
        "from spaces.training import device\n"
        "import tensorflow as tf\n"
        "tf.config.set_visible_devices = lambda *given: print('hidden', *given)\n"
        "tf.config.list_physical_devices = lambda kind: []\n"
        f"print(device.set_up(cpus={cpus}, gpus={gpus}))\n"
        f"assert tf.config.threading.get_intra_op_parallelism_threads() == {count}\n",
        # The user's number of threads is meant for other programs.
        OMP_NUM_THREADS="7",
    )
    assert (said.stdout, said.returncode) == (done, 0), said.stderr


def test_runs_can_be_made_deterministic() -> None:
    said = python(
        "from spaces.training import device\n"
        "device.set_up(cpus=1, gpus=False, deterministic=True)\n"
        "from tensorflow.python.framework import config\n"
        "print(config.is_op_determinism_enabled())\n"
    )
    assert (said.stdout, said.returncode) == ("True\n", 0), said.stderr
