"""A part of an audio file, from one time to another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from data.audio.decoder import ACCEPTED_GAP_S, Decoder
from data.audio.refusal import UnusableError

_SUFFIX = re.compile(r"#t=(?P<start>\d+(?:\.\d+)?)(?:,(?P<end>\d+(?:\.\d+)?))?$")


@dataclass(frozen=True, slots=True)
class Region:
    """A part of an audio file.

    Attributes
    ----------
    start_s : float
        Start in seconds, from 0.
    end_s : float or None
        End in seconds, greater than `start_s`; None for the end of the file.
    """

    start_s: float
    end_s: float | None = None

    def __str__(self) -> str:
        """Format the region as a W3C media fragment: ``t=10,25.5``."""
        end = "" if self.end_s is None else f",{_plain(self.end_s)}"
        return f"t={_plain(self.start_s)}{end}"

    @classmethod
    def of_track(cls, track_id: str, path: str) -> Region | None:
        """Return the region that a track's name ends with; None if the track is the whole file at `path`."""
        match = _SUFFIX.search(track_id)
        if match is None or path.endswith(match[0]):
            return None
        return cls(float(match["start"]), float(match["end"]) if match["end"] else None)


def part_of(decoder: Decoder, region: Region | None) -> Decoder:
    """Return a decoder of a region of a file; the decoder itself without a region."""
    return decoder if region is None else _Part(decoder, region)


class _Part:
    """Decoder of a region; see `data.audio.decoder.Decoder`."""

    def __init__(self, decoder: Decoder, region: Region) -> None:
        self._decoder, self._region = decoder, region
        self.codec, self.sample_rate, self.channels = decoder.codec, decoder.sample_rate, decoder.channels
        self._first = round(region.start_s * self.sample_rate)
        self._end = None if region.end_s is None else round(region.end_s * self.sample_rate)
        self._decoded = 0

    def blocks(self) -> Iterator[np.ndarray]:
        """Decode up to the end of the region and drop the samples before its start."""
        for block in self._decoder.blocks():
            start, self._decoded = self._decoded, self._decoded + len(block)
            piece = block[max(0, self._first - start) : None if self._end is None else self._end - start]
            if len(piece):
                yield piece
            if self._end is not None and self._decoded >= self._end:
                return

    def missing_s(self, n_samples: int) -> float:
        """Seconds that are missing from the region after `n_samples` of it were decoded."""
        if self._end is None:
            if self._decoded <= self._first:
                raise UnusableError(self._beyond())
            return self._decoder.missing_s(self._decoded)
        missing_s = (self._end - self._decoded) / self.sample_rate
        if missing_s > ACCEPTED_GAP_S or not n_samples:
            raise UnusableError(self._beyond())
        return max(0.0, missing_s)

    def _beyond(self) -> str:
        length_s = self._decoded / self.sample_rate
        end_s = self._region.end_s
        where = f"from {_plain(self._region.start_s)} s" + ("" if end_s is None else f" to {_plain(end_s)} s")
        return f"region beyond the end: {where} of {length_s:.2f} s; correct start and end in the table"


def _plain(seconds: float) -> str:
    """Format a time in seconds with at most three decimals."""
    return f"{seconds:.3f}".rstrip("0").rstrip(".")
