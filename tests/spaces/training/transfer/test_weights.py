from __future__ import annotations

import hashlib
import os
import socket
import time
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.utils import file_utils

from data.errors import SettingsError
from spaces.training.transfer import weights as pretrained
from spaces.training.transfer.backbones import BACKBONES, bare
from spaces.training.transfer.weights import IMAGENET, NONE, find_weights, fingerprint, load

ALL = tuple(BACKBONES)


@pytest.fixture(scope="module")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with weights of the smallest backbone, saved by Keras."""
    path = tmp_path_factory.mktemp("weights") / "mine.weights.h5"
    model = bare("mobilenetv3small", 32)
    model.set_weights(load("mobilenetv3small", NONE))
    model.save_weights(path)
    return path


def test_a_file_determines_its_backbone(small_weights: Path) -> None:
    fingerprints = find_weights(str(small_weights), ALL)
    assert list(fingerprints) == ["mobilenetv3small"]
    assert len(fingerprints["mobilenetv3small"]) == 64
    expected = load("mobilenetv3small", NONE)
    for weight, expected_weight in zip(load("mobilenetv3small", str(small_weights)), expected, strict=True):
        np.testing.assert_array_equal(weight, expected_weight)


def test_a_file_of_another_network_is_refused(small_weights: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"mine\.weights\.h5: not the weights of vgg16 without its top layers \("
    ):
        find_weights(str(small_weights), ("vgg16",))


def test_a_file_of_an_unknown_network_is_refused_with_all_candidates(tmp_path: Path) -> None:
    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save_weights(path)
    with pytest.raises(
        SettingsError,
        match=r"not the weights of vgg16 .*; nor of xception, efficientnetv2b0, mobilenetv3small",
    ) as caught:
        find_weights(str(path), ALL)
    assert "\n" not in str(caught.value)


def test_an_incomplete_file_is_refused(small_weights: Path, tmp_path: Path) -> None:
    content = small_weights.read_bytes()
    path = tmp_path / "half.weights.h5"
    for length in (0, 100, len(content) // 2):
        path.write_bytes(content[:length])
        with pytest.raises(SettingsError, match=r"half\.weights\.h5: not a complete HDF5 file"):
            find_weights(str(path), ALL)


def test_numbers_that_are_not_finite_are_refused(small_weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "nan.weights.h5"
    path.write_bytes(small_weights.read_bytes())
    with h5py.File(path, "r+") as file:
        file["layers/conv2d/vars/0"][0, 0, 0, 0] = np.nan
    with pytest.raises(SettingsError, match="not finite"):
        find_weights(str(path), ALL)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.h5: no such file; use imagenet, none, or a file"):
        find_weights(str(tmp_path / "nowhere.h5"), ALL)


def test_without_a_network_the_message_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(file_utils, "urlretrieve", unreachable)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path), raising=False)
    with pytest.raises(SettingsError) as caught:
        find_weights(IMAGENET, ("vgg16",))
    message = str(caught.value)
    assert message.startswith("--weights imagenet: Keras cannot download vgg16_weights_tf_dim")
    assert "--weights FILE" in message
    assert "\n" not in message


def test_untrained_weights_are_always_the_same() -> None:
    first, second = load("mobilenetv3small", NONE), load("mobilenetv3small", NONE)
    for weight, expected in zip(second, first, strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert find_weights(NONE, ALL) == dict.fromkeys(ALL, "none")


def test_the_published_weights_are_those_of_vgg16(shared: Path) -> None:
    path = str(shared / "weights" / "vgg16_imagenet_notop.weights.h5")
    assert find_weights(path, ALL) == {"vgg16": fingerprint("vgg16", path)}
    first = load("vgg16", path)[0]
    # First values of the published first kernel (Simonyan and Zisserman, 2014).
    np.testing.assert_allclose(first[0, 0, :, 0], [0.4294707, 0.55037946, 0.4800154], atol=1e-5)


def test_one_process_per_node_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    active, most_active = 0, 0
    model = bare("mobilenetv3small", BACKBONES["mobilenetv3small"].min_size)

    def download(**_: object) -> object:
        nonlocal active, most_active
        active += 1
        most_active = max(most_active, active)
        time.sleep(0.2)
        active -= 1
        return model

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.applications, BACKBONES["mobilenetv3small"].application, download)
    # File locks exclude threads as well as processes.
    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(load, "mobilenetv3small", IMAGENET) for _ in range(3)]:
            future.result()
    assert most_active == 1


def test_a_download_in_a_read_only_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "models" / BACKBONES["vgg16"].download
    path.parent.mkdir()
    path.write_bytes(b"weights")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    access = os.access
    monkeypatch.setattr(os, "access", lambda folder, mode: mode != os.W_OK and access(folder, mode))
    assert fingerprint("vgg16", "imagenet") == hashlib.sha256(b"weights").hexdigest()
    # Given a name, Keras would look in another folder and download the file again.
    requested = []
    monkeypatch.setattr(keras.applications, "VGG16", lambda **options: requested.append(options["weights"]))
    pretrained._load("vgg16", "imagenet")
    assert requested == [str(path)]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_reading_weights_allocates_gpu_memory_on_demand(
    small_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = []

    def grow(gpu: str, enabled: bool) -> None:
        grown.append((gpu, enabled))
        # TensorFlow raises this after its first operation.
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind: ["gpu"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", grow)
    find_weights(str(small_weights), ALL)
    assert grown


def test_a_download_without_data_times_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(pretrained, "_DOWNLOAD_TIMEOUT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/weights.h5"
        # Download with Keras's own function from a server that never answers.
        monkeypatch.setattr(
            keras.applications, "MobileNetV3Small", lambda **_: keras.utils.get_file("weights.h5", address)
        )
        with pytest.raises(SettingsError, match=r"Keras cannot download .*timed out"):
            load("mobilenetv3small", IMAGENET)
    assert socket.getdefaulttimeout() is None
