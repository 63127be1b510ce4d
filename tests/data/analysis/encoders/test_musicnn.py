from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import pytest

from data.analysis.encoders.musicnn import DIMENSION, SAMPLE_RATE, TAGS, Musicnn, log_mel_patches
from data.analysis.encoders.musicnn_weights import find_weights
from data.analysis.music_tags import music_tags
from data.errors import EncoderError
from tests.support.encoders import random_musicnn


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("musicnn") / "weights"


@pytest.fixture(scope="module")
def variables(folder: Path) -> Mapping[str, np.ndarray]:
    return random_musicnn(folder)


@pytest.fixture(scope="module")
def encoder(folder: Path, variables: Mapping[str, np.ndarray]) -> Musicnn:
    return Musicnn(find_weights(folder))


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(3).normal(scale=0.1, size=round(seconds * SAMPLE_RATE)).astype(np.float32)


def test_log_mel_patches_equal_librosa() -> None:
    y = noise(7.5)
    S = librosa.feature.melspectrogram(y=y, sr=16_000, n_fft=512, hop_length=256, n_mels=96)
    expected = np.log10(10_000 * S + 1).T[: 2 * 187].reshape(2, 187, 96)
    np.testing.assert_allclose(log_mel_patches(y), expected, atol=1e-5)


def test_a_short_signal_is_padded_with_silence(encoder: Musicnn) -> None:
    patches = log_mel_patches(noise(1.0))
    assert patches.shape == (1, 187, 96)
    assert (patches[0, 70:] == 0).all()
    assert encoder.encode(noise(0.01)).shape == (1, DIMENSION)


class Reference:
    """The published network in numpy, for one patch.

    Parameters
    ----------
    variables : mapping of str to ndarray
        The checkpoint's.
    """

    def __init__(self, variables: Mapping[str, np.ndarray]) -> None:
        self._variables = variables

    def outputs(self, patch: np.ndarray) -> dict[str, np.ndarray]:
        x = self._normalised(patch[:, :, np.newaxis], "")
        padded = np.pad(x, ((3, 3), (0, 0), (0, 0)))
        front = [self._convolved(padded, "", "_1"), self._convolved(padded, "_1", "_2")]
        for number, length in ((2, 128), (3, 64), (4, 32)):
            # TensorFlow's "same" padding puts the odd value at the end.
            before = (length - 1) // 2
            same = np.pad(x, ((before, length - 1 - before), (0, 0), (0, 0)))
            front.append(self._convolved(same, f"_{number}", f"_{number + 1}"))
        joined = np.concatenate([channels.max(axis=1) for channels in front], axis=1)
        layers = [joined]
        for number in (5, 6, 7):
            padded = np.pad(layers[-1], ((3, 3), (0, 0)))[:, :, np.newaxis]
            convolved = self._convolved(padded, f"_{number}", f"_{number + 1}")[:, 0]
            layers.append(convolved if number == 5 else convolved + layers[-1])
        channels = np.concatenate(layers, axis=1)
        maximum, mean = channels.max(axis=0), channels.mean(axis=0)
        x = self._normalised(np.stack([maximum, mean], axis=1).ravel(), "_9")
        x = np.maximum(x @ self._variables["dense/kernel"] + self._variables["dense/bias"], 0)
        x = self._normalised(x, "_10")
        logits = x @ self._variables["dense_1/kernel"] + self._variables["dense_1/bias"]
        return {"maximum": maximum, "mean": mean, "dense": x, "tags": 1 / (1 + np.exp(-logits))}

    def _convolved(self, x: np.ndarray, number: str, normalisation: str) -> np.ndarray:
        kernel = self._variables[f"conv2d{number}/kernel"][:, :, 0]
        windows = np.lib.stride_tricks.sliding_window_view(x[:, :, 0], kernel.shape[:2])
        y = np.tensordot(windows, kernel, axes=([2, 3], [0, 1])) + self._variables[f"conv2d{number}/bias"]
        return self._normalised(np.maximum(y, 0), normalisation)

    def _normalised(self, x: np.ndarray, number: str) -> np.ndarray:
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        gamma, beta, mean, variance = (
            self._variables[f"batch_normalization{number}/{name}"] for name in names
        )
        return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta


def test_the_network_equals_its_description(encoder: Musicnn, variables: Mapping[str, np.ndarray]) -> None:
    y = noise(3.0)
    (patch,) = log_mel_patches(y)
    expected = Reference(variables).outputs(patch)
    outputs = encoder.outputs(y)
    assert outputs.keys() == expected.keys()
    for name, values in outputs.items():
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(values[0] / scale, expected[name] / scale, atol=1e-4, err_msg=name)


def test_a_vector_is_the_maximum_and_the_mean_of_each_channel(encoder: Musicnn) -> None:
    # One patch more than a batch.
    y = noise(51.0)
    vectors, outputs = encoder.encode(y), encoder.outputs(y)
    assert vectors.shape == (17, DIMENSION)
    assert (vectors == np.concatenate([outputs["maximum"], outputs["mean"]], axis=1)).all()
    assert (encoder.encode(y[: 187 * 256])[0] == pytest.approx(vectors[0], rel=1e-3, abs=1e-3)) is True


def test_tags_are_the_mean_over_patches(encoder: Musicnn) -> None:
    tags = encoder.tags(noise(7.0))
    assert tuple(tags) == TAGS
    assert list(tags.values()) == pytest.approx(encoder.outputs(noise(7.0))["tags"].mean(axis=0).tolist())


@pytest.mark.slow
def test_the_published_weights_give_the_published_tags(shared: Path, published_musicnn: None) -> None:
    expected = pd.read_csv(shared / "musicnn" / "tags_of_ten_tracks.csv", index_col="file")
    for path in sorted((shared / "gtzan" / "genres_original").glob("*/*.wav")):
        tags = music_tags(path)
        row = expected.loc[path.name]
        assert max(abs(tags[tag] - row[tag]) for tag in expected.columns) < 1e-3, path.name


def test_missing_weights_are_reported_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.analysis.encoders.musicnn_weights.PACKAGE", "a-package-that-is-not-installed")
    with pytest.raises(EncoderError, match=r"run 'make embeddings' .* or pass their folder to --embedding-"):
        find_weights()


def test_other_files_are_reported_in_one_line(tmp_path: Path, folder: Path, variables: object) -> None:
    with pytest.raises(EncoderError, match=r"has no MSD_musicnn\.index"):
        find_weights(tmp_path)
    for name in ("MSD_musicnn.index", "MSD_musicnn.data-00000-of-00001"):
        (tmp_path / name).write_bytes(b"not a checkpoint")
    with pytest.raises(EncoderError, match="not the checkpoint of MSD_musicnn") as error:
        Musicnn(find_weights(tmp_path))
    assert "\n" not in str(error.value)
