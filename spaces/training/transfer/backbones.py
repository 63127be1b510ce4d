"""Pretrained networks without their classification layers, from images to feature maps, whole or split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from data.errors import SettingsError

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Backbone:
    """A network of `keras.applications`.

    Attributes
    ----------
    application : str
        Name in `keras.applications`.
    scaling : str
        Input scaling that the weights expect: ``caffe`` (BGR minus ImageNet's mean), ``tf`` (-1 to 1), or
        ``inside`` if the network scales its inputs itself.
    min_size : int
        Minimum height and width of an image, in pixels.
    blocks : tuple of str
        First layers of the last block, the block before it, and so on.
    download : str
        Name of the file with its ImageNet weights in Keras's folder ``models``.
    """

    application: str
    scaling: Literal["caffe", "tf", "inside"]
    min_size: int
    blocks: tuple[str, ...]
    download: str


BACKBONES = {
    "vgg16": Backbone(
        "VGG16",
        "caffe",
        32,
        ("block5_conv1", "block4_conv1", "block3_conv1", "block2_conv1"),
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    ),
    "xception": Backbone(
        "Xception",
        "tf",
        71,
        ("block14_sepconv1", "block13_sepconv1_act", "block12_sepconv1_act", "block11_sepconv1_act"),
        "xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
    ),
    "efficientnetv2b0": Backbone(
        "EfficientNetV2B0",
        "inside",
        32,
        ("block6a_expand_conv", "block5a_expand_conv", "block4a_expand_conv", "block3a_expand_conv"),
        "efficientnetv2-b0_notop.h5",
    ),
    "mobilenetv3small": Backbone(
        "MobileNetV3Small",
        "inside",
        32,
        (
            "expanded_conv_8_expand",
            "expanded_conv_6_expand",
            "expanded_conv_3_expand",
            "expanded_conv_1_expand",
        ),
        "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
    ),
}
"""The backbones by name."""

_CAFFE_MEAN = (123.68, 116.779, 103.939)
"""Mean red, green and blue of ImageNet; the ``caffe`` scaling subtracts it."""


class Parts(NamedTuple):
    """A backbone as a whole and split in two; all parts share their weights.

    Attributes
    ----------
    whole : keras.Model
        From RGB images of 0 to 255, shape (n, size, size, 3), to the feature maps of the last kept block,
        shape (n, rows, columns, channels).
    prefix : keras.Model
        From images to the input of the unfrozen blocks; `whole` if no block is unfrozen.
    suffix : keras.Model or None
        From the output of `prefix` to the feature maps; None if no block is unfrozen.
    """

    whole: keras.Model
    prefix: keras.Model
    suffix: keras.Model | None


def check_size(names: tuple[str, ...], size: int) -> tuple[str, ...]:
    """Return the backbones that accept images of a size.

    Raises
    ------
    SettingsError
        If none of them does.
    """
    fitting = tuple(name for name in names if size >= BACKBONES[name].min_size)
    if not fitting:
        smallest = min(names, key=lambda name: BACKBONES[name].min_size)
        raise SettingsError(
            f"the images in the cache have {size} x {size} pixels, but {smallest} needs at least"
            f" {BACKBONES[smallest].min_size}; prepare larger images"
        )
    return fitting


def bare(name: str, size: int) -> keras.Model:
    """Build a backbone exactly as in `keras.applications`, with untrained weights."""
    import keras

    create = getattr(keras.applications, BACKBONES[name].application)
    model: keras.Model = create(include_top=False, weights=None, input_shape=(size, size, 3))
    return model


def build(name: str, size: int, weights: list[np.ndarray], unfrozen: int = 0, dropped: int = 0) -> Parts:
    """Build a backbone for unscaled images.

    Parameters
    ----------
    name : str
        One of `BACKBONES`.
    size : int
        Height and width of the images in pixels.
    weights : list of ndarray
        Weights in the order of the `bare` network.
    unfrozen : int
        Number of blocks in the second part: the last ones that are kept.
    dropped : int
        Number of last blocks to remove. `unfrozen` and `dropped` together are at most the length of
        `Backbone.blocks`.
    """
    import keras

    backbone = BACKBONES[name]
    images = keras.Input((size, size, 3), name="picture")
    x = images
    if backbone.scaling == "caffe":
        x = keras.layers.Rescaling(1.0, [-mean for mean in _CAFFE_MEAN], name="preprocessing")(x)
        # The weights expect BGR. Reversing the channels of the first kernel lets it accept RGB.
        weights = [weights[0][:, :, ::-1], *weights[1:]]
    elif backbone.scaling == "tf":
        x = keras.layers.Rescaling(1 / 127.5, -1.0, name="preprocessing")(x)
    create = getattr(keras.applications, backbone.application)
    whole = create(include_top=False, weights=None, input_tensor=x)
    whole.set_weights(weights)
    output = whole.get_layer(backbone.blocks[dropped - 1]).input if dropped else whole.output
    # Keras's own model expects a list with one input and warns about anything else.
    whole = keras.Model(images, output)
    if not unfrozen:
        return Parts(whole, whole, None)
    middle = whole.get_layer(backbone.blocks[dropped + unfrozen - 1]).input
    return Parts(whole, keras.Model(whole.input, middle), keras.Model(middle, whole.output, name="suffix"))


def pooled(pooling: str, maps: keras.KerasTensor) -> keras.KerasTensor:
    """Pool feature maps to vectors with a layer: ``avg`` or ``max`` over each map, or ``flatten``."""
    from keras import layers

    pooling_layers = {
        "avg": layers.GlobalAveragePooling2D,
        "max": layers.GlobalMaxPooling2D,
        "flatten": layers.Flatten,
    }
    return pooling_layers[pooling](name="pooling")(maps)


def pooled_array(pooling: str, maps: np.ndarray) -> np.ndarray:
    """Return the same as `pooled` for an array of shape (n, rows, columns, channels), without a network."""
    match pooling:
        case "avg":
            return np.asarray(maps.mean(axis=(1, 2)))
        case "max":
            return np.asarray(maps.max(axis=(1, 2)))
        case _:
            return maps.reshape(len(maps), -1)


def avoid_custom_gradients(model: keras.Model) -> None:
    """Replace `keras.activations.silu` in a network that is trained but not exported.

    TensorFlow keeps the custom gradient of `tf.nn.silu` and its graph for the lifetime of the process: each
    trial would leak its network.
    """
    import keras

    for layer in model.layers:
        if getattr(layer, "activation", None) is keras.activations.silu:
            layer.activation = _silu


def _silu(x: keras.KerasTensor) -> keras.KerasTensor:
    """Multiply by the sigmoid, using operations with ordinary gradients."""
    import keras

    return x * keras.ops.sigmoid(x)
