"""VGG16 with an eighth of its filters, for tests of what is built on a backbone."""

from __future__ import annotations

from typing import Any

_BLOCKS = ((2, 8), (2, 16), (3, 32), (3, 64), (3, 64))
"""Number of layers and of filters per layer of each block."""


def narrow_vgg16(
    *,
    include_top: bool,
    weights: None,
    input_shape: tuple[int, int, int] | None = None,
    input_tensor: Any = None,
) -> Any:
    """Build the network like `keras.applications.VGG16`, with the same names of layers."""
    import keras

    assert not include_top
    inputs = keras.Input(input_shape) if input_tensor is None else input_tensor
    x = inputs
    for block, (n_layers, filters) in enumerate(_BLOCKS, start=1):
        for layer in range(1, n_layers + 1):
            name = f"block{block}_conv{layer}"
            x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(x)
        x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return keras.Model(keras.utils.get_source_inputs(inputs), x, name="vgg16")
