"""Conversion of TensorFlow's ``Erfc``, which tf2onnx does not support."""

from __future__ import annotations

from typing import Any

import numpy as np


def register_erfc() -> None:
    """Register ``Erfc``, which Keras's exact GELU uses, with tf2onnx: 1 - Erf."""
    from tf2onnx import utils  # type: ignore[import-untyped]
    from tf2onnx.handler import tf_op  # type: ignore[import-untyped]

    @tf_op("Erfc")
    class Erfc:
        @classmethod
        def version_9(cls, ctx: Any, node: Any, **_: Any) -> None:
            output = node.output[0]
            kind, shape = ctx.get_dtype(output), ctx.get_shape(output)
            one = ctx.make_const(utils.make_name("one"), np.array(1, utils.map_onnx_to_numpy_type(kind)))
            erf = ctx.make_node("Erf", [node.input[0]])
            ctx.remove_node(node.name)
            ctx.make_node(
                "Sub",
                [one.output[0], erf.output[0]],
                name=node.name,
                outputs=[output],
                shapes=[shape],
                dtypes=[kind],
            )
