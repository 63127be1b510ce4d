from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from data.analysis.encoders.onnx import OnnxEncoder, files_of
from data.errors import EncoderError
from tests.support.encoders import DIMENSION, RATE, WINDOW, frames_of, write_onnx

RESHAPE = helper.make_node("Reshape", ["audio", "shape"], ["frames"])
FRAMES = [RESHAPE, helper.make_node("MatMul", ["frames", "matrix"], ["vectors"])]
LOGARITHM = [
    helper.make_node("MatMul", ["audio", "matrix"], ["product"]),
    helper.make_node("Log", ["product"], ["vectors"]),
]


def signal(windows: float) -> np.ndarray:
    return np.random.default_rng(1).normal(size=round(windows * WINDOW)).astype(np.float32)


FORMS: dict[str, Callable[[Path], OnnxEncoder]] = {
    "(n, fixed) to (n, d)": lambda path: OnnxEncoder(write_onnx(path), sample_rate=RATE),
    "(4, fixed) to (4, d)": lambda path: OnnxEncoder(
        write_onnx(path, audio=[4, WINDOW], vectors=[4, DIMENSION]), sample_rate=RATE
    ),
    "(fixed) to (d)": lambda path: OnnxEncoder(
        write_onnx(path, audio=[WINDOW], vectors=[DIMENSION]), sample_rate=RATE
    ),
    "(n, samples) to (n, frames, d)": lambda path: OnnxEncoder(
        write_onnx(
            path,
            audio=["n", "samples"],
            vectors=["n", "frames", DIMENSION],
            nodes=FRAMES,
            shape=[0, -1, WINDOW],
        ),
        sample_rate=RATE,
        seconds=2 * WINDOW / RATE,
    ),
    "(1, samples) to (1, frames, d)": lambda path: OnnxEncoder(
        write_onnx(
            path,
            audio=[1, "samples"],
            vectors=[1, "frames", DIMENSION],
            nodes=FRAMES,
            shape=[0, -1, WINDOW],
        ),
        sample_rate=RATE,
    ),
    "(samples) to (frames, d)": lambda path: OnnxEncoder(
        write_onnx(path, audio=["samples"], vectors=["frames", DIMENSION], nodes=FRAMES, shape=[-1, WINDOW]),
        sample_rate=RATE,
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_shape_of_input_and_output_is_supported(tmp_path: Path, form: str) -> None:
    encoder = FORMS[form](tmp_path / "a.onnx")
    assert (encoder.sample_rate, encoder.dimension) == (RATE, DIMENSION)
    y = signal(20)
    np.testing.assert_allclose(encoder.encode(y), frames_of(y), rtol=1e-4, atol=1e-4)


def test_a_short_remainder_is_dropped_and_a_longer_one_padded(tmp_path: Path) -> None:
    encoder = OnnxEncoder(write_onnx(tmp_path / "a.onnx"), sample_rate=RATE)
    y = signal(2.4)
    np.testing.assert_allclose(encoder.encode(y), frames_of(y), rtol=1e-4, atol=1e-4)
    y = signal(2.6)
    padded = np.pad(y, (0, 3 * WINDOW - len(y)))
    np.testing.assert_allclose(encoder.encode(y), frames_of(padded), rtol=1e-4, atol=1e-4)
    assert encoder.encode(y[:7]).shape == (1, DIMENSION)


def test_options_override_the_rate_and_patch_of_the_metadata(tmp_path: Path) -> None:
    dynamic = {"audio": ["samples"], "vectors": ["frames", DIMENSION], "nodes": FRAMES, "shape": [-1, WINDOW]}
    path = write_onnx(tmp_path / "a.onnx", metadata={"sample_rate": "8000", "seconds": "0.1"}, **dynamic)
    assert (OnnxEncoder(path).sample_rate, OnnxEncoder(path).seconds) == (8000, 0.1)
    other = OnnxEncoder(path, sample_rate=16_000, seconds=0.2)
    assert (other.sample_rate, other.seconds) == (16_000, 0.2)


@pytest.mark.parametrize(
    ("properties", "options", "reason"),
    [
        ({"audio": ["n", 2, WINDOW]}, {}, "expected mono float32 audio of shape"),
        ({"audio_type": TensorProto.DOUBLE, "nodes": [
            helper.make_node("Cast", ["audio"], ["x"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["x", "matrix"], ["vectors"]),
        ]}, {}, "expected mono float32 audio of shape"),
        ({"vectors": ["n", 1, 1, DIMENSION], "shape": [0, 1, 1, DIMENSION], "nodes": [
            helper.make_node("MatMul", ["audio", "matrix"], ["x"]),
            helper.make_node("Reshape", ["x", "shape"], ["vectors"]),
        ]}, {}, r"expected floats of shape \(d\)"),
        ({}, {"sample_rate": None}, "its metadata states no sample_rate; pass the rate"),
        ({"metadata": {"sample_rate": "fast"}}, {"sample_rate": None}, "its metadata states no sample_rate"),
        ({}, {"sample_rate": 12}, "--embedding-rate must be from 4000 to 192000"),
        ({}, {"seconds": 1.0}, "expects patches of 400 samples.*leave out --embedding-seconds"),
        (
            {"audio": ["samples"], "vectors": ["f", DIMENSION], "nodes": FRAMES, "shape": [-1, WINDOW]},
            {"seconds": 0.001},
            "a patch of 8 samples at 8000 Hz is shorter than 0.02 s",
        ),
        ({"opset": 99}, {}, "it needs opset 99, but onnxruntime supports opsets up to"),
        ({"nodes": LOGARITHM}, {}, "output is not finite"),
        (
            {"audio": ["samples"], "vectors": ["f", DIMENSION], "nodes": FRAMES, "shape": [-1, WINDOW]},
            {"seconds": 0.07},
            "fails on audio of shape.*set the length of a patch with --embedding-seconds",
        ),
    ],
)  # fmt: skip
def test_an_unsuitable_file_is_reported_in_one_line(
    tmp_path: Path, properties: dict[str, object], options: dict[str, object], reason: str
) -> None:
    path = write_onnx(tmp_path / "a.onnx", **properties)  # type: ignore[arg-type]
    with pytest.raises(EncoderError, match=reason) as error:
        OnnxEncoder(path, **({"sample_rate": RATE} | options))  # type: ignore[arg-type]
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_output_that_is_not_finite_for_some_audio_is_an_error(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["audio", "matrix"], ["product"]),
        helper.make_node("Exp", ["product"], ["vectors"]),
    ]
    encoder = OnnxEncoder(write_onnx(tmp_path / "a.onnx", nodes=nodes), sample_rate=RATE)
    with pytest.raises(EncoderError, match="not finite"):
        encoder.encode(1e3 * signal(2))


@pytest.mark.parametrize("content", [None, b"", b"this is not an ONNX file"])
def test_a_file_that_is_not_onnx_is_reported_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EncoderError, match=r"no such file|cannot load it|has 0 inputs") as error:
        OnnxEncoder(path, sample_rate=RATE)
    assert "\n" not in str(error.value)


def test_external_weights_belong_to_the_encoder(tmp_path: Path) -> None:
    whole = onnx.load(write_onnx(tmp_path / "whole.onnx"))
    path = tmp_path / "split.onnx"
    onnx.save(whole, path, save_as_external_data=True, location="split.data", size_threshold=0)
    assert files_of(path) == [path, tmp_path / "split.data"]
    y = signal(3)
    np.testing.assert_allclose(
        OnnxEncoder(path, sample_rate=RATE).encode(y), frames_of(y), rtol=1e-4, atol=1e-4
    )
    (tmp_path / "split.data").unlink()
    with pytest.raises(EncoderError, match=r"its weights 'split\.data' are not in the same folder"):
        files_of(path)
