"""Small encoders that tests make: ONNX files, and MusiCNN with random weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

RATE = 8000
WINDOW = 400
"""Samples of a patch, and rows of the matrix that the encoders multiply by."""
DIMENSION = 5
MATRIX = np.random.default_rng(0).normal(size=(WINDOW, DIMENSION)).astype(np.float32)

_PRODUCT = helper.make_node("MatMul", ["audio", "matrix"], ["vectors"])


def frames_of(y: np.ndarray) -> np.ndarray:
    """What the encoders give for whole windows of a signal, shape (n_windows, DIMENSION)."""
    return y[: len(y) // WINDOW * WINDOW].reshape(-1, WINDOW) @ MATRIX


def write_onnx(
    path: Path,
    *,
    audio: Sequence[int | str] = ("n", WINDOW),
    vectors: Sequence[int | str] = ("n", DIMENSION),
    nodes: Sequence[NodeProto] = (_PRODUCT,),
    shape: Sequence[int] | None = None,
    metadata: Mapping[str, str] | None = None,
    opset: int = 17,
    audio_type: int = TensorProto.FLOAT,
) -> Path:
    """Write an encoder.

    Parameters
    ----------
    path : Path
        Where to.
    audio, vectors : sequence of int or str
        Shapes of input and output; names stand for dynamic axes.
    nodes : sequence of NodeProto
        From ``audio`` to ``vectors``; they may use ``matrix``, and ``shape`` where it is given.
    shape : sequence of int, optional
        Content of the tensor ``shape``.
    metadata : mapping of str to str, optional
        Metadata of the file.
    opset : int
        Version of the operators.
    audio_type : int
        Type of the input.
    """
    tensors = [numpy_helper.from_array(MATRIX, "matrix")]
    if shape is not None:
        tensors.append(numpy_helper.from_array(np.array(shape, np.int64), "shape"))
    graph = helper.make_graph(
        list(nodes),
        "encoder",
        [helper.make_tensor_value_info("audio", audio_type, audio)],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, vectors)],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    helper.set_model_props(model, dict(metadata or {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def random_musicnn(folder: Path, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Write a checkpoint of MusiCNN with random weights, as the wheel lays it out; return its variables."""
    import tensorflow as tf

    from data.analysis.encoders import musicnn_network

    rng = np.random.default_rng(seed)
    variables: dict[str, np.ndarray] = {}
    for layer in musicnn_network.build().layers:
        for name, weight in zip(musicnn_network.variable_names(layer), layer.weights, strict=False):
            shape = tuple(weight.shape)
            if name.endswith("kernel"):
                value = rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))
                # The convolutions over time are stored with an axis for their single input channel.
                value = value[:, :, np.newaxis] if len(shape) == 3 else value
            elif name.endswith(("gamma", "variance")):
                value = rng.uniform(0.5, 1.5, size=shape) * (1 if "variance" in name else rng.choice([-1, 1]))
            else:
                value = rng.normal(scale=0.1, size=shape)
            variables[name] = value.astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    tf.raw_ops.SaveV2(
        prefix=str(folder / "MSD_musicnn"),
        tensor_names=list(variables),
        shape_and_slices=[""] * len(variables),
        tensors=[tf.constant(value) for value in variables.values()],
    )
    (folder / "LICENSE.md").write_text("Anybody may use these random numbers.\n")
    return variables
