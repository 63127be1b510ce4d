"""Read PCM files and FLAC with libsndfile: WAV, AIFF, AU, W64, FLAC.

libsndfile corrects a wrong length in the header and reports it only in its log. The log is read here, to
distinguish a file that was cut short from a short one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import soundfile

from data.audio.id3 import tag_length
from data.audio.refusal import UnusableError

_MAGIC = (b"RIFF", b"RIFX", b"RF64", b"FORM", b".snd", b"dns.", b"riff", b"fLaC")
"""First four bytes of the files that libsndfile reads."""
_HEAD_BYTES = 16
_BLOCK = 1 << 18
_NO_LENGTH = 2**63 - 1
"""Number of samples that libsndfile reports for an unknown length, as in a FLAC written to a pipe."""
_UNKNOWN_SIZES = frozenset({0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF})
"""Sizes that programs write for an unknown length, when they write to a pipe."""
_DECLARED = re.compile(
    r"^\s*(?:data|SSND|Data Size)\s*:\s*(0x[0-9A-Fa-f]+|\d+) \(should be (\d+)\)", re.MULTILINE
)
_CUT_SHORT = re.compile(r"frame count \d+ does not match|riff : \d+ \(should be")
_UNKNOWN_CODEC = re.compile("unimplemented|not implemented|unsupported|unknown format", re.IGNORECASE)


def is_pcm(file: BinaryIO) -> bool:
    """Whether libsndfile reads this file, according to its first bytes."""
    head = file.read(_HEAD_BYTES)
    if tag := tag_length(head):
        file.seek(tag)
        return file.read(4) == b"fLaC"
    return head.startswith(_MAGIC)


class UnknownCodecError(UnusableError):
    """libsndfile can read the container, but not its codec."""


class PcmFile:
    """An open PCM or FLAC file; see `data.audio.decode.Decoder`.

    Parameters
    ----------
    path : str or Path
        The file.

    Raises
    ------
    UnusableError
        If libsndfile cannot read it.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            # Bytes, because a name that is not UTF-8 cannot be encoded.
            self._file = soundfile.SoundFile(os.fsencode(path))
        except soundfile.LibsndfileError as error:
            raise _refusal(error) from error
        if self._file.format == "FLAC":
            # soundfile seeks after each block; that fails if the length is wrong or unknown.
            self._file.seekable = lambda: False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def codec(self) -> str:
        """Codec of the file, such as ``pcm_16`` or ``flac``."""
        return "flac" if self._file.format == "FLAC" else str(self._file.subtype).lower()

    @property
    def sample_rate(self) -> int:
        """Sample rate of the file in Hz."""
        return int(self._file.samplerate)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self._file.channels)

    def blocks(self) -> Iterator[np.ndarray]:
        """Decode the file: float32 arrays of shape (n, channels), full scale 1."""
        while True:
            try:
                block = self._file.read(_BLOCK, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise _refusal(error) from error
            if len(block):
                yield block
            if len(block) < _BLOCK:
                return

    def missing_s(self, n_samples: int) -> float:
        """Seconds by which the file is shorter than its header says."""
        log = self._file.extra_info
        missing = 0.0
        for declared, present in _DECLARED.findall(log):
            size = int(declared, 0)
            if size > int(present) and size not in _UNKNOWN_SIZES:
                missing = max(missing, (size - int(present)) / max(1, int(present)) * n_samples)
        if _CUT_SHORT.search(log) and not missing:
            raise UnusableError("cut short: the end of the audio is missing; copy it again")
        if self._file.frames != _NO_LENGTH:
            missing = max(missing, self._file.frames - n_samples)
        return missing / self.sample_rate


def _refusal(error: soundfile.LibsndfileError) -> UnusableError:
    reason = error.error_string.rstrip(".")
    if _UNKNOWN_CODEC.search(reason):
        return UnknownCodecError(f"its codec is not supported ({reason}); convert it to WAV or FLAC")
    return UnusableError(f"not readable as audio ({reason})")
