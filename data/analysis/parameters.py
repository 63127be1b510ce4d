"""Parameters of the analysis of audio; caches and exports store them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from data.analysis.kinds import EMBEDDING_PREFIX, SPECTROGRAM_KINDS
from data.errors import CacheError


class Windows(BaseModel):
    """Cut a segment into windows of equal length; each window becomes one tensor.

    Attributes
    ----------
    seconds : float
        Length of a window in seconds.
    overlap : float
        Fraction of a window that the next one repeats, at least 0 and less than 1.
    n_mels : int
        Number of mel bands.
    fmin, fmax : float
        Lowest and highest frequency in Hz; None means half the sample rate.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    seconds: float = Field(ge=0.2)
    overlap: float = Field(default=0.0, ge=0, lt=1)
    n_mels: int = Field(default=128, ge=8, le=512)
    fmin: float = Field(default=0.0, ge=0)
    fmax: float | None = Field(default=None, gt=0)


class Melspec(Windows):
    """Log-mel spectrograms: float16 levels in dB, shape (n_mels, n_frames), over a range of 80 dB."""

    seconds: float = Field(default=3.0, ge=0.2)


class Picture(Windows):
    """Images of log-mel spectrograms: uint8 RGB, shape (size, size, 3), low frequencies at the bottom.

    Attributes
    ----------
    size : int
        Height and width in pixels.
    colormap : str
        Name of a matplotlib colour map.
    """

    seconds: float = Field(default=30.0, ge=0.2)
    size: int = Field(default=300, ge=8, le=2048)
    colormap: str = "magma"


class Embedding(BaseModel):
    """Vectors of a pretrained encoder: float32, shape (dimension,), one per segment.

    Attributes
    ----------
    encoder : str
        Type of the encoder: ``musicnn``, or ``onnx`` for a file.
    sha256 : str
        SHA-256 hex digest of its weights.
    sample_rate : int
        Rate in Hz of its input audio, resampled from the file's own rate.
    patch_seconds : float, optional
        Length of the patches of a segment; None if the whole segment is one patch.
    layer : str
        Layer of the network whose output is used, if there are several.
    pooling : str
        How the vectors of patches are pooled: ``mean`` or ``mean-std``.
    dimension : int
        Length of the pooled vector.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    encoder: Literal["musicnn", "onnx"]
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    sample_rate: int = Field(ge=4000, le=192_000)
    patch_seconds: float | None = Field(default=None, gt=0)
    layer: str = "output"
    pooling: Literal["mean", "mean-std"]
    dimension: int = Field(ge=1)


class Parameters(BaseModel):
    """Parameters of the analysis; the defaults are those of the published table.

    Attributes
    ----------
    sample_rate : int
        Sample rate in Hz of the analysis.
    segment_seconds : float
        Approximate length of a segment in seconds.
    n_fft : int
        Length of a frame in samples, even.
    hop_length : int
        Samples between frames; divides `n_fft`.
    melspec : Melspec, optional
        Log-mel spectrograms to cache, if any.
    image : Picture, optional
        Images of them to cache, if any.
    embeddings : mapping of str to Embedding
        Vectors of pretrained encoders to cache, by the encoder's name.
    from_pictures : bool
        Whether the collection is spectrogram images, which provide only `image`, instead of audio.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    sample_rate: int = Field(default=22050, ge=4000, le=192_000)
    segment_seconds: float = Field(default=30.0, ge=0.5)
    n_fft: int = Field(default=2048, ge=64)
    hop_length: int = Field(default=512, ge=1)
    melspec: Melspec | None = None
    image: Picture | None = None
    from_pictures: bool = False
    embeddings: Mapping[str, Embedding] = Field(default_factory=dict)

    @property
    def embedding_rates(self) -> set[int]:
        """Rates in Hz of the input audio of the encoders."""
        return {embedding.sample_rate for embedding in self.embeddings.values()}

    @property
    def tensor_kinds(self) -> tuple[str, ...]:
        """Kinds of tensors that are cached: ``melspec``, ``image``, ``embedding-NAME``."""
        spectrograms = tuple(kind for kind in SPECTROGRAM_KINDS if getattr(self, kind) is not None)
        return spectrograms + tuple(f"{EMBEDDING_PREFIX}{name}" for name in self.embeddings)

    def without(self, kinds: Container[str]) -> Parameters:
        """Return these parameters without some kinds of tensors."""
        removed: dict[str, Any] = {kind: None for kind in SPECTROGRAM_KINDS if kind in kinds}
        embeddings = {
            name: embedding
            for name, embedding in self.embeddings.items()
            if f"{EMBEDDING_PREFIX}{name}" not in kinds
        }
        return self.model_copy(update=removed | {"embeddings": embeddings})

    @model_serializer(mode="wrap")
    def _without_absent_embeddings(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Documents and fingerprints of caches without embeddings stay the same as in older versions.
        content: dict[str, Any] = serialize(self)
        if not self.embeddings:
            content.pop("embeddings", None)
        return content

    @model_validator(mode="after")
    def _frames_fit(self) -> Parameters:
        if self.n_fft % 2 or self.n_fft % self.hop_length:
            raise ValueError(
                f"n_fft {self.n_fft} must be even and a multiple of hop_length {self.hop_length}"
            )
        for kind in (self.melspec, self.image):
            if kind is None:
                continue
            if kind.seconds > self.segment_seconds:
                raise ValueError(
                    f"a window of {kind.seconds} s does not fit in a segment of {self.segment_seconds} s"
                )
            if kind.seconds * self.sample_rate < self.hop_length:
                raise ValueError(
                    f"a window of {kind.seconds} s is shorter than the {self.hop_length} samples (hop_length)"
                    f" from frame to frame at {self.sample_rate} Hz"
                )
            if not kind.fmin < (kind.fmax or self.sample_rate / 2) <= self.sample_rate / 2:
                raise ValueError(
                    f"fmin {kind.fmin} and fmax {kind.fmax} must rise and not exceed half of"
                    f" {self.sample_rate} Hz"
                )
        return self


def extended(old: Mapping[str, Any], new: Parameters, where: str) -> Parameters:
    """Merge the parameters of a cache with those of tensors to add.

    Parameters
    ----------
    old : mapping
        Parameters of the cache.
    new : Parameters
        Requested parameters. Tensors that they do not name keep those of the cache.
    where : str
        The cache, for the message.

    Raises
    ------
    CacheError
        If the content of the cache would change.
    """
    unchanged = {
        kind: old.get(kind) for kind in SPECTROGRAM_KINDS if getattr(new, kind) is None and old.get(kind)
    }
    requested = new.model_dump() | unchanged
    encoders = {**old.get("embeddings", {}), **requested.get("embeddings", {})}
    if encoders:
        requested["embeddings"] = encoders
    before, after = _flat({**requested, **old}), _flat(requested)
    added = [kind for kind in SPECTROGRAM_KINDS if old.get(kind) is None]
    added += [f"embeddings.{name}" for name in encoders if name not in old.get("embeddings", {})]
    changed = [
        f"{name} {before.get(name)}, now {after.get(name)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
        and not name.startswith(tuple(f"{kind}." for kind in added))
        and name not in added
    ]
    if changed:
        raise CacheError(
            f"{where}: was made with other parameters ({'; '.join(changed)}); choose a new folder, or use"
            " the same options"
        )
    return Parameters.model_validate(requested)


def _flat(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": content for inner, content in _flat(value).items()}
        else:
            flat[name] = value
    return flat
