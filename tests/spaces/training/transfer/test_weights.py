from __future__ import annotations

import hashlib
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from data.errors import SettingsError
from spaces.training.transfer import weights as pretrained
from spaces.training.transfer.backbones import BACKBONES, bare
from spaces.training.transfer.weights import IMAGENET, NONE, fingerprint, load, settle

ALL = tuple(BACKBONES)


@pytest.fixture(scope="module")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the smallest backbone, as Keras saves them."""
    path = tmp_path_factory.mktemp("weights") / "mine.weights.h5"
    model = bare("mobilenetv3small", 32)
    model.set_weights(load("mobilenetv3small", NONE))
    model.save_weights(path)
    return path


def test_a_file_names_its_backbone(small_weights: Path) -> None:
    found = settle(str(small_weights), ALL)
    assert list(found) == ["mobilenetv3small"]
    assert len(found["mobilenetv3small"]) == 64
    expected = load("mobilenetv3small", NONE)
    for mine, theirs in zip(load("mobilenetv3small", str(small_weights)), expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_file_of_another_network_is_refused(small_weights: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"mine\.weights\.h5: not the weights of vgg16 without its top \("
    ):
        settle(str(small_weights), ("vgg16",))


def test_a_file_of_no_backbone_names_them_all(tmp_path: Path) -> None:
    import keras

    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save_weights(path)
    with pytest.raises(
        SettingsError,
        match=r"not the weights of vgg16 .*; nor of xception, efficientnetv2b0, mobilenetv3small",
    ) as caught:
        settle(str(path), ALL)
    assert "\n" not in str(caught.value)


def test_a_file_cut_short_is_refused(small_weights: Path, tmp_path: Path) -> None:
    content = small_weights.read_bytes()
    path = tmp_path / "half.weights.h5"
    for length in (0, 100, len(content) // 2):
        path.write_bytes(content[:length])
        with pytest.raises(SettingsError, match=r"half\.weights\.h5: not a whole HDF5 file .*cut short"):
            settle(str(path), ALL)


def test_numbers_that_are_not_finite_are_refused(small_weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "nan.weights.h5"
    path.write_bytes(small_weights.read_bytes())
    with h5py.File(path, "r+") as file:
        file["layers/conv2d/vars/0"][0, 0, 0, 0] = np.nan
    with pytest.raises(SettingsError, match="not finite"):
        settle(str(path), ALL)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.h5: no such file; give imagenet, none, or a file"):
        settle(str(tmp_path / "nowhere.h5"), ALL)


def test_without_a_network_the_line_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import urllib.error

    from keras.src.utils import file_utils

    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(file_utils, "urlretrieve", unreachable)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path), raising=False)
    with pytest.raises(SettingsError) as caught:
        settle(IMAGENET, ("vgg16",))
    line = str(caught.value)
    assert line.startswith("--weights imagenet: Keras cannot download vgg16_weights_tf_dim")
    assert "--weights FILE" in line
    assert "\n" not in line


def test_untrained_weights_are_always_the_same() -> None:
    first, second = load("mobilenetv3small", NONE), load("mobilenetv3small", NONE)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert settle(NONE, ALL) == dict.fromkeys(ALL, "none")


def test_the_real_weights_are_vgg16s(shared: Path) -> None:
    path = str(shared / "weights" / "vgg16_imagenet_notop.weights.h5")
    assert settle(path, ALL) == {"vgg16": fingerprint("vgg16", path)}
    first = load("vgg16", path)[0]
    # The published first kernel begins so (Simonyan and Zisserman, 2014).
    np.testing.assert_allclose(first[0, 0, :, 0], [0.4294707, 0.55037946, 0.4800154], atol=1e-5)


def test_one_process_of_a_node_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, most = 0, 0
    model = bare("mobilenetv3small", BACKBONES["mobilenetv3small"].smallest)

    def download(**_: object) -> object:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.2)
        at_once -= 1
        return model

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.applications, BACKBONES["mobilenetv3small"].application, download)
    # A lock on a file is held by whoever opened it, threads as well as processes.
    with ThreadPoolExecutor(3) as pool:
        for found in [pool.submit(load, "mobilenetv3small", IMAGENET) for _ in range(3)]:
            found.result()
    assert most == 1


def test_a_download_in_a_read_only_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "models" / BACKBONES["vgg16"].download
    path.parent.mkdir()
    path.write_bytes(b"weights")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    writable = os.access
    monkeypatch.setattr(os, "access", lambda where, mode: mode != os.W_OK and writable(where, mode))
    assert fingerprint("vgg16", "imagenet") == hashlib.sha256(b"weights").hexdigest()
    # Keras itself would look for it, or put it, into a folder of its own elsewhere.
    asked = []
    monkeypatch.setattr(keras.applications, "VGG16", lambda **options: asked.append(options["weights"]))
    pretrained._load("vgg16", "imagenet")
    assert asked == [str(path)]
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_the_process_that_searches_leaves_the_memory_of_gpus(
    small_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = []

    def grow(gpu: str, enabled: bool) -> None:
        grown.append((gpu, enabled))
        # As TensorFlow does where it has been used already.
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind: ["gpu"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", grow)
    settle(str(small_weights), ALL)
    assert grown


def test_a_download_that_is_silent_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(pretrained, "_SILENCE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/weights.h5"
        # As Keras's own function downloads, from a server that never answers.
        monkeypatch.setattr(
            keras.applications, "MobileNetV3Small", lambda **_: keras.utils.get_file("weights.h5", address)
        )
        with pytest.raises(SettingsError, match=r"Keras cannot download .*timed out"):
            load("mobilenetv3small", IMAGENET)
    assert socket.getdefaulttimeout() is None
