"""Run any encoder in an ONNX file that converts mono audio to vectors."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from data.analysis.encoders.base import Encoder
from data.errors import EncoderError
from data.io.onnx_session import first_line, open_session

_EMBEDDING_NAMES = ("embedding", "embeddings")
"""Names of the output to use if a file has several."""
_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")
_RATES = (4_000, 192_000)
_MAX_DIMENSION = 1 << 16
"""Maximum length of a vector."""
_MIN_PATCH_SECONDS = 0.02
_BATCH = 8
"""Patches per batch."""
_PROBE_SECONDS = 3.0
"""Length of the noise that tests an encoder without a fixed patch length."""


class OnnxEncoder(Encoder):
    """An encoder in an ONNX file, run by onnxruntime on one core.

    The input is float32 of shape ``(n_samples,)`` or ``(n, n_samples)``; the output is of shape ``(d,)``,
    ``(n, d)`` or ``(n, n_frames, d)``. Each frame counts as a patch.

    Parameters
    ----------
    path : str or Path
        The file.
    sample_rate : int, optional
        Rate in Hz of the input audio; by default, ``sample_rate`` of the file's metadata.
    seconds : float, optional
        Length of a patch. The default is that of the file's input if it is fixed, otherwise ``seconds`` of
        the file's metadata, otherwise the whole segment.

    Attributes
    ----------
    seconds : float or None
        Length of a patch in seconds; None if each segment is one patch.
    has_frames : bool
        Whether the output has several vectors per patch.

    Raises
    ------
    EncoderError
        If onnxruntime cannot load the file, its inputs or outputs have another shape or type, its rate is
        unknown, or it fails on a patch of noise.
    """

    def __init__(
        self, path: str | Path, *, sample_rate: int | None = None, seconds: float | None = None
    ) -> None:
        self._name = str(path)
        self._session = _session(Path(path))
        metadata = self._session.get_modelmeta().custom_metadata_map
        self._input, input_shape = self._checked_input()
        self._output = self._checked_output()
        self.sample_rate = self._chosen_rate(sample_rate, metadata.get("sample_rate"))
        self._samples = self._chosen_samples(input_shape[-1], seconds, metadata.get("seconds"))
        self.seconds = None if self._samples is None else self._samples / self.sample_rate
        self._has_batch_axis = len(input_shape) == 2
        self._fixed_batch = input_shape[0] if self._has_batch_axis and input_shape[0] else None
        self._batch = self._fixed_batch or 1
        probe = self._probe()
        self.dimension = int(probe.shape[2])
        self.has_frames = bool(probe.shape[1] > 1)
        if self._has_batch_axis and self._fixed_batch is None and self._samples is not None:
            self._batch = self._probed_batch()

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Encode a signal; see `Encoder.encode`.

        A remainder of less than half a patch is dropped; a longer one is padded with silence.
        """
        patches = self._cut(y)
        vectors = np.concatenate(
            [self._run(patches[first : first + self._batch]) for first in range(0, len(patches), self._batch)]
        ).reshape(-1, self.dimension)
        if not np.isfinite(vectors).all():
            raise EncoderError(f"{self._name}: the encoder's output is not finite (NaN or infinite)")
        return vectors

    def _cut(self, y: np.ndarray) -> np.ndarray:
        """Patches of a signal, float32, shape (n_patches, n_samples)."""
        if self._samples is None:
            return y[np.newaxis]
        count = max(1, math.floor(len(y) / self._samples + 0.5))
        length = count * self._samples
        padded = np.pad(y[:length], (0, max(0, length - len(y))))
        return padded.reshape(count, self._samples)

    def _run(self, patches: np.ndarray) -> np.ndarray:
        """Vectors of at most a batch of patches, float32, shape (n_patches, n_frames, d)."""
        count = len(patches)
        if self._fixed_batch is not None:
            patches = np.pad(patches, ((0, self._fixed_batch - count), (0, 0)))
        audio = patches if self._has_batch_axis else patches[0]
        try:
            (output,) = self._session.run([self._output], {self._input: np.ascontiguousarray(audio)})
        except Exception as error:  # the errors of onnxruntime have no common base class
            raise EncoderError(
                f"{self._name}: fails on audio of shape {audio.shape} ({first_line(error)});"
                " set the length of a patch with --embedding-seconds, or export it with a dynamic axis"
            ) from error
        vectors = np.asarray(output, dtype=np.float32)
        expected = len(patches)
        if vectors.ndim == 2:
            vectors = vectors[np.newaxis] if expected == 1 else vectors[:, np.newaxis]
        elif vectors.ndim == 1 and expected == 1:
            vectors = vectors[np.newaxis, np.newaxis]
        if vectors.ndim != 3 or len(vectors) != expected or not vectors.size:
            raise EncoderError(
                f"{self._name}: output {self._output!r} has shape {np.shape(output)} for audio of shape"
                f" {audio.shape}; expected (d), (n, d) or (n, frames, d)"
            )
        if vectors.shape[2] > _MAX_DIMENSION or vectors.shape[2] != getattr(
            self, "dimension", vectors.shape[2]
        ):
            raise EncoderError(
                f"{self._name}: output {self._output!r} has vectors of {vectors.shape[2]} numbers;"
                f" expected one length of at most {_MAX_DIMENSION}"
            )
        return vectors[:count]

    def _checked_input(self) -> tuple[str, list[int | None]]:
        """Name and shape of the only input; None means a dynamic axis."""
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(node.name for node in inputs) or "none"
            raise EncoderError(f"{self._name}: has {len(inputs)} inputs ({names}); expected one, mono audio")
        (audio,) = inputs
        shape = [size if isinstance(size, int) and size > 0 else None for size in audio.shape]
        if audio.type != "tensor(float)" or len(shape) not in (1, 2):
            raise EncoderError(
                f"{self._name}: input {audio.name!r} is {audio.type} of shape {audio.shape}; expected mono"
                " float32 audio of shape (n_samples) or (n, n_samples)"
            )
        return audio.name, shape

    def _checked_output(self) -> str:
        """Name of the output with the vectors."""
        outputs = self._session.get_outputs()
        candidates = [node for node in outputs if node.name in _EMBEDDING_NAMES] or outputs
        if len(candidates) != 1:
            names = ", ".join(node.name for node in outputs)
            raise EncoderError(
                f"{self._name}: has {len(outputs)} outputs ({names}); export it with one output, or name one"
                " 'embedding'"
            )
        (output,) = candidates
        if output.type not in _FLOATS or not 1 <= len(output.shape or [0]) <= 3:
            raise EncoderError(
                f"{self._name}: output {output.name!r} is {output.type} of shape {output.shape}; expected"
                " floats of shape (d), (n, d) or (n, frames, d)"
            )
        return str(output.name)

    def _chosen_rate(self, requested: int | None, recorded: str | None) -> int:
        rate = requested if requested is not None else _number(recorded)
        if rate is None:
            raise EncoderError(
                f"{self._name}: its metadata states no sample_rate; pass the rate of its training audio with"
                " --embedding-rate HZ"
            )
        lowest, highest = _RATES
        if not (lowest <= rate <= highest and rate == int(rate)):
            raise EncoderError(
                f"{self._name}: sample rate {rate:g} Hz; --embedding-rate must be from {lowest} to {highest}"
            )
        return int(rate)

    def _chosen_samples(self, fixed: int | None, requested: float | None, recorded: str | None) -> int | None:
        """Length of a patch in samples, from the input's shape, the option or the metadata."""
        samples = None if requested is None else round(requested * self.sample_rate)
        if fixed is not None:
            if samples not in (None, fixed):
                raise EncoderError(
                    f"{self._name}: expects patches of {fixed} samples ({fixed / self.sample_rate:g} s at"
                    f" {self.sample_rate} Hz), not of {samples}; leave out --embedding-seconds"
                )
            samples = fixed
        elif samples is None and (seconds := _number(recorded)) is not None:
            samples = round(seconds * self.sample_rate)
        if samples is not None and samples < _MIN_PATCH_SECONDS * self.sample_rate:
            raise EncoderError(
                f"{self._name}: a patch of {samples} samples at {self.sample_rate} Hz is shorter than"
                f" {_MIN_PATCH_SECONDS} s; its input is not mono audio, or --embedding-seconds is too short"
            )
        return samples

    def _probe(self) -> np.ndarray:
        """Vectors of a patch of noise, shape (1, n_frames, d)."""
        samples = self._samples or round(_PROBE_SECONDS * self.sample_rate)
        noise = np.random.default_rng(0).normal(scale=0.1, size=(1, samples)).astype(np.float32)
        vectors = self._run(noise)
        if not np.isfinite(vectors).all():
            raise EncoderError(f"{self._name}: the encoder's output is not finite (NaN or infinite)")
        return vectors

    def _probed_batch(self) -> int:
        """Find the number of patches per run; some files with a batch axis only work for one patch."""
        noise = np.random.default_rng(0).normal(scale=0.1, size=(2, self._samples or 1)).astype(np.float32)
        try:
            batched = self._run(noise)
            separate = np.concatenate([self._run(noise[:1]), self._run(noise[1:])])
        except EncoderError:
            return 1
        same = batched.shape == separate.shape and np.allclose(batched, separate, rtol=1e-3, atol=1e-4)
        return _BATCH if same else 1


def files_of(path: str | Path) -> list[Path]:
    """List the file and the files of its external tensors, which must be copied with it.

    Raises
    ------
    EncoderError
        If the file is not ONNX, or a tensor is stored outside its folder or is missing.
    """
    import onnx
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    path = Path(path)
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise EncoderError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # protobuf's errors
        raise EncoderError(f"{path}: not an ONNX file ({first_line(error)})") from error
    names = {
        ExternalDataInfo(tensor).location for tensor in model.graph.initializer if uses_external_data(tensor)
    }
    for name in sorted(names):
        if Path(name).name != name or not (path.parent / name).is_file():
            raise EncoderError(f"{path}: its weights {name!r} are not in the same folder; export it again")
    return [path, *(path.parent / name for name in sorted(names))]


def _session(path: Path) -> Any:
    if not path.is_file():
        raise EncoderError(f"{path}: no such file; --embedding takes musicnn or an ONNX file")
    try:
        # Several worker processes share the cores.
        return open_session(path, threads=1)
    except Exception as error:  # the errors of onnxruntime have no common base class
        raise EncoderError(f"{path}: onnxruntime cannot load it ({first_line(error)})") from error


def _number(text: str | None) -> float | None:
    """Parse a number of the metadata; None if it is not a number."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
