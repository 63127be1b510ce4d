"""Decode compressed audio with FFmpeg through PyAV: MP3, AAC, ALAC, Ogg, Opus, WMA, WebM and others.

All packets are decoded: the length of a file is the number of decoded samples, not the estimate of a header.
FFmpeg trims the delay of encoder and decoder that the header states (gapless playback). The expected length
is stated in the frames or in the header, depending on the container; see `FfmpegFile.missing_s`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Self

import av
import numpy as np

from data.audio.mp3_frames import Frames, count_adts_frames, count_mp3_frames
from data.audio.ogg_pages import missing_samples, stated_samples
from data.audio.refusal import UnusableError

_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,loas,matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,oga"
    ",ogg,rm,tak,tta,w64,wav,webm,wv"
)
"""Accepted containers. Playlists are excluded, because they refer to other files and addresses."""
_STATES_LENGTH = frozenset(
    {"ape", "asf", "caf", "matroska", "mov", "mpc", "mpc8", "tak", "tta", "w64", "wav", "wv"}
)
"""Containers whose header states the length. For others, FFmpeg estimates it from the file size."""
_CUT_SHORT = "cut short: the end of the audio is missing; copy it again"
_OPUS_RATE = 48000
_PADDING_S = 0.06
"""Seconds by which a complete file may be shorter than stated, because of delay and last packet."""
_BLOCK = 1 << 18


class FfmpegFile:
    """An open file that FFmpeg decodes; see `data.audio.decode.Decoder`.

    Parameters
    ----------
    path : str or Path
        The file.

    Raises
    ------
    UnusableError
        If FFmpeg cannot read it, or it contains no audio.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        try:
            # The absolute path prevents FFmpeg from reading "x:y.mp3" as an address.
            self._container = av.open(
                str(self._path.absolute()),
                options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"},
            )
        except (av.FFmpegError, ValueError) as error:
            raise self._opening_error(error) from error
        stream = self._container.streams.best("audio")
        if stream is None:
            self._container.close()
            raise UnusableError("contains no audio, only pictures or text")
        self._stream = stream
        if stream.codec_context is None or not stream.codec_context.name:
            self._container.close()
            raise UnusableError("its audio cannot be decoded: the codec is unknown, or the file is encrypted")
        self._lost_s = 0.0
        self._read_s = 0.0
        self._frames: Frames | None = None
        if self._format == "mp3":
            self._frames = count_mp3_frames(path)
        elif self._format == "aac":
            self._frames = count_adts_frames(path)
        self._later_frames = self._decoded()
        # The first frame states the sample rate; the header of an HE-AAC stream may state half of it.
        # A file without audio frames may still decode to silence, from the frame that counts the others.
        first = None
        if self._frames is None or self._frames.count > 0:
            try:
                first = next(self._later_frames, None)
            except UnusableError:
                self._container.close()
                raise
        if first is None:
            self._container.close()
            raise UnusableError("contains no samples")
        self._first = first

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def codec(self) -> str:
        """Codec of the file, such as ``mp3`` or ``aac``."""
        return str(self._stream.codec_context.codec.canonical_name)

    @property
    def sample_rate(self) -> int:
        """Sample rate of the file in Hz."""
        return int(self._first.sample_rate)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self._first.layout.channels)

    @property
    def _format(self) -> str:
        return str(self._container.format.name).partition(",")[0]

    def blocks(self) -> Iterator[np.ndarray]:
        """Decode the file: float32 arrays of shape (n, channels), full scale 1."""
        pending: list[np.ndarray] = []
        length = 0
        stated = stated_samples(self._path) if self._format == "ogg" else None
        room = sys.maxsize if stated is None else stated
        for frame in chain([self._first], self._later_frames):
            if frame.sample_rate != self.sample_rate:
                raise UnusableError(
                    f"its sample rate changes from {self.sample_rate} to {frame.sample_rate} Hz; convert it"
                )
            values = _as_float(frame)[:room]
            room -= len(values)
            if pending and (length >= _BLOCK or values.shape[1] != pending[0].shape[1]):
                yield np.concatenate(pending)
                pending, length = [], 0
            pending.append(values)
            length += len(values)
        if pending:
            yield np.concatenate(pending)

    def missing_s(self, n_samples: int) -> float:
        """Seconds that are missing from the file.

        MP3 and AAC: frames are counted. Ogg: the last page is marked. Most other containers: the header
        states the length.
        """
        missing: float | None = 0.0
        if self._frames is not None:
            missing = self._frames.missing_s
        elif self._format == "ogg":
            samples = missing_samples(self._path)
            rate = _OPUS_RATE if self.codec == "opus" else self.sample_rate
            missing = None if samples is None else samples / rate
        elif self._format in _STATES_LENGTH:
            missing = self._stated_s() - max(self._read_s, n_samples / self.sample_rate)
            missing = missing if missing > _PADDING_S else 0.0
        if missing is None:
            raise UnusableError(_CUT_SHORT)
        return max(missing, self._lost_s)

    def _decoded(self) -> Iterator[av.AudioFrame]:
        """Yield the frames of all packets; add up the seconds that cannot be decoded."""
        try:
            for packet in self._container.demux(self._stream):
                seconds = float((packet.duration or 0) * packet.time_base) if packet.time_base else 0.0
                self._read_s += seconds
                try:
                    frames = packet.decode()
                except av.error.PatchWelcomeError:
                    raise
                except av.FFmpegError:
                    self._lost_s += seconds
                    continue
                if packet.is_corrupt and packet.size:
                    self._lost_s += seconds
                yield from (frame for frame in frames if isinstance(frame, av.AudioFrame))
        except av.error.PatchWelcomeError as error:
            raise UnusableError(
                "FFmpeg cannot decode its codec, or the joined parts differ in rate; convert it to FLAC"
            ) from error
        except av.FFmpegError as error:
            raise UnusableError(f"cut short or damaged ({error.strerror}); copy it again") from error

    def _stated_s(self) -> float:
        """Length in seconds that the header states; 0 if unknown."""
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        return (self._container.duration or 0) / 1e6

    def _opening_error(self, error: Exception) -> UnusableError:
        """Explain why FFmpeg cannot open the file."""
        with self._path.open("rb") as raw:
            head = raw.read(12)
        if head[4:8] == b"ftyp":
            return UnusableError("cut short: the table of its contents is missing; copy it again")
        if head.startswith((b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xfa", b"\xff\xf2")):
            frames = count_mp3_frames(self._path)
            if frames is None or frames.count == 0:
                return UnusableError("contains no samples")
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, av.error.InvalidDataError):
            reason = "unknown format"
        return UnusableError(f"not readable as audio ({reason})")


def _as_float(frame: av.AudioFrame) -> np.ndarray:
    """Convert the samples of a frame to float32, shape (n, channels); full scale is 1."""
    values = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, len(frame.layout.channels))
    samples = np.asarray(values, dtype=np.float32)
    if values.dtype == np.uint8:
        return (samples - 128) / 128
    # The most negative integer becomes -1.
    return samples / 2 ** (8 * values.dtype.itemsize - 1) if values.dtype.kind == "i" else samples
