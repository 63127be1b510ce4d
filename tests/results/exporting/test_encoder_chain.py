from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from data.analysis.encoders.musicnn import SAMPLE_RATE, Musicnn, log_mel_patches
from data.analysis.encoders.musicnn_weights import find_weights
from data.analysis.encoders.pooling import pool
from data.analysis.parameters import Embedding
from results.exporting.encoder_chain import build_chain, chain_formats, has_chain, noise_patches
from results.exporting.formats import write_formats
from spaces.training.dense.scalers import apply_scaler, fit_scaler
from tests.support.encoders import random_musicnn

EMBEDDING = Embedding(
    encoder="musicnn", sha256="a" * 64, sample_rate=SAMPLE_RATE, pooling="mean-std", dimension=3012
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "musicnn"
    random_musicnn(folder)
    return folder


def noise(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(scale=rng.uniform(0.01, 0.5), size=7 * SAMPLE_RATE).astype(np.float32)


@pytest.mark.slow
def test_the_joined_network_equals_its_parts_in_every_format(weights: Path, tmp_path: Path) -> None:
    encoder = Musicnn(find_weights(weights))
    X = np.stack([pool(encoder.encode(noise(seed)), "mean-std") for seed in range(4)])
    scaler = fit_scaler("standard", X)
    inputs = keras.Input((3012,))
    outputs = keras.layers.Dense(
        3, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(stddev=0.01, seed=0)
    )(inputs)
    head = keras.Model(inputs, outputs)
    assert has_chain(EMBEDDING, scaler)
    chain = build_chain(head, EMBEDDING, scaler, weights)
    expected = head.predict(apply_scaler(scaler, X[:1]), verbose=0)
    probabilities = chain.predict(log_mel_patches(noise(0)), verbose=0)
    np.testing.assert_allclose(probabilities, expected, atol=1e-3)
    differences = write_formats(
        chain, tmp_path, chain_formats(["onnx", "tflite", "savedmodel"]), noise_patches()
    )
    assert differences.keys() == {"onnx", "tflite"}
    assert (tmp_path / "model.onnx").is_file()


def test_other_encoders_and_scalings_cannot_be_joined() -> None:
    X = np.random.default_rng(0).normal(size=(20, 3))
    assert not has_chain(EMBEDDING.model_copy(update={"encoder": "onnx"}), fit_scaler("standard", X))
    assert not has_chain(EMBEDDING, fit_scaler("quantile", X))
