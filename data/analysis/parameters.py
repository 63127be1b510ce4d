"""How features and tensors are taken from audio: the parameters that a cache and an export both keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data.errors import CacheError

TENSORS = ("melspec", "image")
"""Parameters that ask for tensors, which can be added to a cache later."""


class Windows(BaseModel):
    """How a segment is cut into windows of one length, each of which gives one tensor.

    Attributes
    ----------
    seconds : float
        Length of a window in seconds.
    overlap : float
        Share of a window that the next one repeats, from 0 to under 1.
    n_mels : int
        Number of mel bands.
    fmin, fmax : float
        Lowest and highest frequency in Hz; None is half the sample rate.
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
    """Pictures of log-mel spectrograms: uint8 RGB, shape (size, size, 3), low frequencies at the bottom.

    Attributes
    ----------
    size : int
        Height and width in pixels.
    colormap : str
        Name of a colour map of matplotlib.
    """

    seconds: float = Field(default=30.0, ge=0.2)
    size: int = Field(default=300, ge=8, le=2048)
    colormap: str = "magma"


class Parameters(BaseModel):
    """Parameters of the analysis; the defaults are those of the published table.

    Attributes
    ----------
    sample_rate : int
        Rate in Hz that all audio is brought to.
    segment_seconds : float
        Wanted length of a segment in seconds.
    n_fft : int
        Length of a frame in samples, even.
    hop_length : int
        Samples between frames; divides `n_fft`.
    melspec : Melspec, optional
        Log-mel spectrograms to cache, if any.
    image : Picture, optional
        Pictures of them to cache, if any.
    from_pictures : bool
        Whether the collection is pictures of spectrograms, of which only `image` can be made, not audio.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    sample_rate: int = Field(default=22050, ge=4000, le=192_000)
    segment_seconds: float = Field(default=30.0, ge=0.5)
    n_fft: int = Field(default=2048, ge=64)
    hop_length: int = Field(default=512, ge=1)
    melspec: Melspec | None = None
    image: Picture | None = None
    from_pictures: bool = False

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
    """Parameters of a cache to which tensors may be added.

    Parameters
    ----------
    old : mapping
        Parameters that the cache was made with.
    new : Parameters
        Those that are asked for. Tensors that they do not mention stay as the cache has them.
    where : str
        The cache, for the message.

    Raises
    ------
    CacheError
        If anything that the cache holds would come out otherwise.
    """
    kept = {kind: old.get(kind) for kind in TENSORS if getattr(new, kind) is None and old.get(kind)}
    asked = new.model_dump() | kept
    before, after = _flat({**asked, **old}), _flat(asked)
    added = [kind for kind in TENSORS if old.get(kind) is None]
    changed = [
        f"{name} {before.get(name)}, now {after.get(name)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name) and name.partition(".")[0] not in added
    ]
    if changed:
        raise CacheError(
            f"{where}: was made with other parameters ({'; '.join(changed)}); name a new folder, or give"
            " the same options"
        )
    return Parameters.model_validate(asked)


def _flat(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": content for inner, content in value.items()}
        else:
            flat[name] = value
    return flat
