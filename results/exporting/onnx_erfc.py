"""Operations of TensorFlow that tf2onnx does not know, taught to it."""

from __future__ import annotations

from typing import Any

import numpy as np


def teach() -> None:
    """Teach tf2onnx ``Erfc``, which Keras's exact GELU is made of: 1 - Erf."""
    from tf2onnx import utils  # type: ignore[import-untyped]
    from tf2onnx.handler import tf_op  # type: ignore[import-untyped]

    @tf_op("Erfc")
    class Erfc:
        @classmethod
        def version_9(cls, ctx: Any, node: Any, **_: Any) -> None:
            taken = node.output[0]
            kind, shape = ctx.get_dtype(taken), ctx.get_shape(taken)
            one = ctx.make_const(utils.make_name("one"), np.array(1, utils.map_onnx_to_numpy_type(kind)))
            erf = ctx.make_node("Erf", [node.input[0]])
            ctx.remove_node(node.name)
            ctx.make_node(
                "Sub",
                [one.output[0], erf.output[0]],
                name=node.name,
                outputs=[taken],
                shapes=[shape],
                dtypes=[kind],
            )
