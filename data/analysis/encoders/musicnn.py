"""MusiCNN as an encoder: the channels of its network, pooled over patches of three seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data.analysis.encoders.base import Encoder
from data.analysis.encoders.musicnn_weights import WeightFiles
from data.analysis.stft import framed, hann, mel_bank
from data.errors import EncoderError

if TYPE_CHECKING:
    import keras


SAMPLE_RATE = 16_000
"""Sample rate in Hz of the training audio."""
_N_FFT, _HOP_LENGTH, _N_MELS, _N_FRAMES = 512, 256, 96, 187
_GAIN = 10_000.0
"""The level of a band is log10(gain * power + 1)."""
PATCH_SECONDS = _N_FRAMES * _HOP_LENGTH / SAMPLE_RATE
"""Length of a patch: 2.992 s."""
LAYER = "maximum+mean"
"""Outputs of the network that form the vector."""
DIMENSION = 1506
"""Length of a patch's vector: maximum and mean over the patch of 753 channels."""
BATCH = 16
"""Patches per batch, with 145 MB of activations."""
TAGS = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s",
    "alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul",
    "indie rock", "Mellow", "electronica", "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies",
    "blues", "hard rock", "ambient", "acoustic", "experimental", "female vocalist", "guitar", "Hip-Hop",
    "70s", "party", "country", "easy listening", "sexy", "catchy", "funk", "electro", "heavy metal",
    "Progressive rock", "60s", "rnb", "indie pop", "sad", "House", "happy",
)  # fmt: skip
"""The 50 Last.fm tags in the order of the network's outputs, in their original spelling."""


class Musicnn(Encoder):
    """MusiCNN, trained on the Million Song Dataset.

    Its vector is the input of the network's dense layers. On the development half of 299 recordings, this was
    more accurate than the 200 units of the penultimate layer (``benchmarks/embedding_layers.py``).

    Parameters
    ----------
    weights : WeightFiles
        The published weights.
    """

    sample_rate = SAMPLE_RATE
    dimension = DIMENSION

    def __init__(self, weights: WeightFiles) -> None:
        import tensorflow as tf

        self._network = load_network(weights)
        # `predict` would take longer per call, and trace again for each number of patches.
        self._run = tf.function(
            lambda patches: self._network(patches, training=False),
            input_signature=[tf.TensorSpec([None, _N_FRAMES, _N_MELS], tf.float32)],
            autograph=False,
        )

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Encode a signal; see `Encoder.encode`. A remainder shorter than a patch is dropped."""
        outputs = self.outputs(y)
        return np.concatenate([outputs["maximum"], outputs["mean"]], axis=1)

    def tags(self, y: np.ndarray) -> dict[str, float]:
        """Activation of each of the 50 tags, from 0 to 1: the mean over patches."""
        mean = self.outputs(y)["tags"].mean(axis=0)
        return dict(zip(TAGS, map(float, mean), strict=True))

    def outputs(self, y: np.ndarray) -> dict[str, np.ndarray]:
        """All outputs of the network, each of shape (n_patches, ...); see `musicnn_network.build`."""
        patches = log_mel_patches(y)
        pieces = [self._run(patches[first : first + BATCH]) for first in range(0, len(patches), BATCH)]
        outputs = {name: np.concatenate([piece[name].numpy() for piece in pieces]) for name in pieces[0]}
        if not all(np.isfinite(values).all() for values in outputs.values()):
            raise EncoderError("musicnn: the network's output is not finite")
        return outputs


def log_mel_patches(y: np.ndarray) -> np.ndarray:
    """Cut the log-mel levels of a signal into patches.

    Equal to ``log10(10000 * librosa.feature.melspectrogram(y=y, sr=16000, n_fft=512, hop_length=256,
    n_mels=96) + 1)`` except for rounding.

    Parameters
    ----------
    y : ndarray of float32, shape (n_samples,)
        Mono samples at `SAMPLE_RATE`.

    Returns
    -------
    ndarray of float32, shape (n_patches, 187, 96)
        Patches without overlap. A signal shorter than a patch is padded with silence.
    """
    from scipy import fft

    frames = framed(np.pad(y, _N_FFT // 2), _N_FFT, _HOP_LENGTH)
    n_patches = max(1, len(frames) // _N_FRAMES)
    D = fft.rfft(frames[: n_patches * _N_FRAMES] * hann(_N_FFT), axis=1)
    power = np.square(D.real) + np.square(D.imag)
    levels = np.log10(_GAIN * (power @ mel_bank(SAMPLE_RATE, _N_FFT, _N_MELS, 0.0, SAMPLE_RATE / 2)) + 1)
    padded = np.pad(levels, ((0, n_patches * _N_FRAMES - len(levels)), (0, 0)))
    return padded.reshape(n_patches, _N_FRAMES, _N_MELS).astype(np.float32, copy=False)


def load_network(weights: WeightFiles) -> keras.Model:
    """Build the network with its published weights; see `musicnn_network.build`.

    Raises
    ------
    EncoderError
        If the files are missing or damaged, or contain the weights of another network.
    """
    from data.analysis.encoders import musicnn_network

    network = musicnn_network.build()
    read_variable = weights.reader()
    for layer in network.layers:
        names = musicnn_network.variable_names(layer)
        if not names:
            continue
        values = [
            musicnn_network.as_weight(read_variable(name), weight.shape)
            for name, weight in zip(names, layer.weights, strict=True)
        ]
        for name, value, weight in zip(names, values, layer.weights, strict=True):
            if value.shape != tuple(weight.shape) or not np.isfinite(value).all():
                raise EncoderError(
                    f"{weights.index}: variable {name!r} has shape {value.shape}, not {tuple(weight.shape)},"
                    " or contains a number that is not finite; these are not the weights of MusiCNN"
                )
        layer.set_weights(values)
    return network
