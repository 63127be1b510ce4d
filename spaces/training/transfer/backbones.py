"""Pretrained networks without their top: pictures in, feature maps out, in one part or two."""

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
        Its name there.
    scaling : str
        What its weights were trained on, as its ``preprocess_input`` has it: ``caffe`` (BGR less ImageNet's
        mean), ``tf`` (-1 to 1), or ``inside`` where the network itself begins with it.
    smallest : int
        Least height and width of a picture, in pixels.
    blocks : tuple of str
        Names of the layers with which its last block, the one before it and so on begin.
    download : str
        Name of the file of its ImageNet weights, in the folder ``models`` of Keras's own.
    """

    application: str
    scaling: Literal["caffe", "tf", "inside"]
    smallest: int
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
"""Mean red, green and blue of ImageNet's pictures, which networks of the Caffe era were trained without."""


class Parts(NamedTuple):
    """A backbone in one piece and in two; all share their weights.

    Attributes
    ----------
    whole : keras.Model
        RGB pictures of 0 to 255, shape (n, size, size, 3), to feature maps, shape
        (n, rows, columns, channels), of the last block that is kept.
    prefix : keras.Model
        Pictures to what the unfrozen blocks take; `whole` where nothing is unfrozen.
    suffix : keras.Model or None
        From there to the feature maps; None where nothing is unfrozen.
    """

    whole: keras.Model
    prefix: keras.Model
    suffix: keras.Model | None


def check_size(names: tuple[str, ...], size: int) -> tuple[str, ...]:
    """Return those of the backbones that pictures of a size are large enough for.

    Raises
    ------
    SettingsError
        If there is none.
    """
    fitting = tuple(name for name in names if size >= BACKBONES[name].smallest)
    if not fitting:
        least = min(names, key=lambda name: BACKBONES[name].smallest)
        raise SettingsError(
            f"the cache's pictures have {size} x {size} pixels, but {least} needs"
            f" {BACKBONES[least].smallest} at least; prepare larger ones"
        )
    return fitting


def bare(name: str, size: int) -> keras.Model:
    """Build a backbone as `keras.applications` has it, in its layers' order and with untrained weights."""
    import keras

    make = getattr(keras.applications, BACKBONES[name].application)
    model: keras.Model = make(include_top=False, weights=None, input_shape=(size, size, 3))
    return model


def build(name: str, size: int, weights: list[np.ndarray], unfrozen: int = 0, dropped: int = 0) -> Parts:
    """Build a backbone that takes pictures as they are.

    Parameters
    ----------
    name : str
        One of `BACKBONES`.
    size : int
        Height and width of the pictures in pixels.
    weights : list of ndarray
        Weights of the `bare` network, in its order.
    unfrozen : int
        How many of the last blocks that are kept make up the second part.
    dropped : int
        How many of its last blocks are left out; together at most as many as `Backbone.blocks` names.
    """
    import keras

    backbone = BACKBONES[name]
    pictures = keras.Input((size, size, 3), name="picture")
    x = pictures
    if backbone.scaling == "caffe":
        x = keras.layers.Rescaling(1.0, [-mean for mean in _CAFFE_MEAN], name="preprocessing")(x)
        # Blue first is how the first kernel wants its channels: turning the kernel leaves pictures RGB.
        weights = [weights[0][:, :, ::-1], *weights[1:]]
    elif backbone.scaling == "tf":
        x = keras.layers.Rescaling(1 / 127.5, -1.0, name="preprocessing")(x)
    make = getattr(keras.applications, backbone.application)
    whole = make(include_top=False, weights=None, input_tensor=x)
    whole.set_weights(weights)
    last = whole.get_layer(backbone.blocks[dropped - 1]).input if dropped else whole.output
    # As Keras makes it, it takes a list of one, and warns of each picture that comes alone.
    whole = keras.Model(pictures, last)
    if not unfrozen:
        return Parts(whole, whole, None)
    cut = whole.get_layer(backbone.blocks[dropped + unfrozen - 1]).input
    return Parts(whole, keras.Model(whole.input, cut), keras.Model(cut, whole.output, name="suffix"))


def pooled(pooling: str, maps: keras.KerasTensor) -> keras.KerasTensor:
    """Turn feature maps into rows by a layer: ``avg`` or ``max`` over the map, or ``flatten``."""
    from keras import layers

    kinds = {
        "avg": layers.GlobalAveragePooling2D,
        "max": layers.GlobalMaxPooling2D,
        "flatten": layers.Flatten,
    }
    return kinds[pooling](name="pooling")(maps)


def pooled_array(pooling: str, maps: np.ndarray) -> np.ndarray:
    """Give what `pooled` gives, of an array of shape (n, rows, columns, channels), without a network."""
    match pooling:
        case "avg":
            return np.asarray(maps.mean(axis=(1, 2)))
        case "max":
            return np.asarray(maps.max(axis=(1, 2)))
        case _:
            return maps.reshape(len(maps), -1)


def avoid_custom_gradients(model: keras.Model) -> None:
    """Replace `keras.activations.silu` in a network that is trained here and never exported.

    TensorFlow registers the custom gradient of `tf.nn.silu`, and the graph with it, for the lifetime of the
    process, so that each trial would leak its network.
    """
    import keras

    for layer in model.layers:
        if getattr(layer, "activation", None) is keras.activations.silu:
            layer.activation = _silu


def _silu(x: keras.KerasTensor) -> keras.KerasTensor:
    """Multiply by the sigmoid, in operations that have ordinary gradients."""
    import keras

    return x * keras.ops.sigmoid(x)
