"""How features and tensors are taken from audio: the parameters that a cache and an export both keep."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


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
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sample_rate: int = Field(default=22050, ge=4000, le=192_000)
    segment_seconds: float = Field(default=30.0, ge=0.5)
    n_fft: int = Field(default=2048, ge=64)
    hop_length: int = Field(default=512, ge=1)

    @model_validator(mode="after")
    def _frames_fit(self) -> Parameters:
        if self.n_fft % 2 or self.n_fft % self.hop_length:
            raise ValueError(
                f"n_fft {self.n_fft} must be even and a multiple of hop_length {self.hop_length}"
            )
        return self
