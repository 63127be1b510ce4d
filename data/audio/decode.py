"""One audio file, decoded whole or refused with a reason."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data.audio.mp3_frames import last_frame_is_cut
from data.errors import AudioError
from data.io.folder import require_regular

if TYPE_CHECKING:
    import soundfile
    import soxr

SUFFIXES = frozenset({".wav", ".au", ".aif", ".aiff", ".mp3", ".flac", ".ogg", ".opus"})
"""Endings, in small letters, of the files that are taken for audio."""

_BLOCK = 1 << 18
_LOSSY = frozenset({"MP3", "OGG"})
_LOSSY_PADDING = 4 * 1152
"""Samples by which a whole file of these formats may be shorter than its header says: delay of encoder and
decoder."""
_NO_LENGTH = 2**63 - 1
"""libsndfile's number of samples where a file does not say it, as a FLAC that was written to a pipe."""
LONGEST_SECONDS = 6 * 3600
"""Longest track that is decoded: of a longer one the samples alone would take gigabytes."""
_LOUDEST = 1e10
"""Largest sample of float formats that is taken for audio; its powers are still finite in 32 bits."""
_UNKNOWN_SIZES = frozenset({0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF})
"""What programs that write to a pipe put where the length belongs."""
_DECLARED = re.compile(
    r"^\s*(?:data|SSND|Data Size)\s*:\s*(0x[0-9A-Fa-f]+|\d+) \(should be (\d+)\)", re.MULTILINE
)
_CUT_SHORT = re.compile(r"lacks an end-of-stream bit|frame count \d+ does not match|riff : \d+ \(should be")


@dataclass(frozen=True)
class Audio:
    """Decoded audio.

    Attributes
    ----------
    y : ndarray of float32, shape (n,)
        Mono samples at `sr`; full scale is 1.
    sr : int
        Sample rate of `y` in Hz.
    native_sr : int
        Sample rate of the file in Hz.
    channels : int
        Channels of the file.
    duration_s : float
        Length in seconds, from the file's own sample count.
    sha256 : str
        Hex digest of the decoded mono samples at the file's own rate: equal for two files of the same sound,
        whatever lossless format and name they have.
    peak : float
        Largest absolute sample of any channel.
    clipped : float
        Share of the samples, over all channels, that are at full scale.
    others : mapping of int to ndarray of float32, shape (m,)
        The same mono samples at further rates in Hz, each resampled from the file's own rate.
    """

    y: np.ndarray
    sr: int
    native_sr: int
    channels: int
    duration_s: float
    sha256: str
    peak: float
    clipped: float
    others: Mapping[int, np.ndarray] = field(default_factory=dict)


def load(
    path: str | Path,
    *,
    sample_rate: int = 22050,
    min_samples: int = 2048,
    other_rates: Iterable[int] = (),
) -> Audio:
    """Decode an audio file to mono at one sample rate.

    Channels are averaged; the rate is changed by soxr in high quality, and only if it differs. The file is
    read in blocks, so that many channels or a high rate cost no more memory than twice the result.

    Parameters
    ----------
    path : str or Path
        Any file that libsndfile reads: WAV, FLAC, Ogg Vorbis, Opus, MP3, AU, AIFF.
    sample_rate : int
        Wanted rate in Hz.
    min_samples : int
        Fewest samples, at the wanted rate, that are of use: one frame of the analysis.
    other_rates : iterable of int
        Further rates in Hz that the same samples are wanted at.

    Raises
    ------
    AudioError
        If the file cannot be read, is no audio, is shorter than its header says, holds samples that are not
        finite numbers or far beyond full scale, or is too short or longer than `LONGEST_SECONDS`.
    """
    import soundfile

    try:
        require_regular(path)
        # Opened here first: the operating system says better than libsndfile why a file does not open.
        with Path(path).open("rb") as raw:
            if not raw.read(1):
                raise AudioError(f"{path}: empty file (0 bytes)")
        # As bytes: a name that is not UTF-8 cannot be encoded again otherwise.
        with soundfile.SoundFile(os.fsencode(path)) as file:
            if file.format == "MP3":
                _check_frames(path)
            audio = _decode(file, sample_rate, set(other_rates))
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: not readable as audio ({error.error_string.rstrip('.')})") from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be opened ({error.strerror or error})") from error
    except _UnusableError as error:
        raise AudioError(f"{path}: {error}") from error
    if len(audio.y) == 0:
        raise AudioError(f"{path}: holds no samples")
    if len(audio.y) < min_samples:
        raise AudioError(
            f"{path}: too short ({len(audio.y)} samples at {sample_rate} Hz,"
            f" at least {min_samples} are needed)"
        )
    return audio


class _UnusableError(Exception):
    """Why a file that opens is no use; `load` adds which file."""


def _decode(file: soundfile.SoundFile, sample_rate: int, other_rates: Set[int]) -> Audio:
    native = file.samplerate
    _check_header(file.extra_info)
    if file.format == "FLAC":
        # The seek that soundfile adds to each block fails at an end that was not announced, or came early.
        file.seekable = lambda: False
    rates = {sample_rate, *other_rates}
    resamplers: dict[int, soxr.ResampleStream] = {}
    if rates != {native}:
        import soxr

        resamplers = {
            rate: soxr.ResampleStream(native, rate, 1, dtype="float32", quality="HQ")
            for rate in rates - {native}
        }
    digest = hashlib.sha256()
    pieces: dict[int, list[np.ndarray]] = {rate: [] for rate in rates}
    frames = 0
    clipped = 0
    peak = 0.0
    while True:
        block = file.read(_BLOCK, dtype="float32", always_2d=True)
        magnitude = np.abs(block)
        top = float(magnitude.max(initial=0.0))
        if not np.isfinite(top):
            raise _UnusableError("holds samples that are not finite numbers (NaN or infinite)")
        if top > _LOUDEST:
            raise _UnusableError(f"damaged: samples up to {top:.0e}, where full scale is 1; copy it again")
        peak = max(peak, top)
        if top >= _FULL_SCALE:
            clipped += int((magnitude >= _FULL_SCALE).sum())
        mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)
        digest.update(mono.tobytes())
        last = len(block) < _BLOCK
        for rate in rates:
            resampled = mono if rate == native else resamplers[rate].resample_chunk(mono, last=last)
            pieces[rate].append(resampled)
        frames += len(block)
        if frames > LONGEST_SECONDS * native:
            # Counted, because headers lie: a few megabytes may hold days of silence.
            raise _UnusableError(f"longer than {LONGEST_SECONDS // 3600} hours; cut it into pieces")
        if last:
            break
    padding = _LOSSY_PADDING if file.format in _LOSSY else 0
    if file.frames != _NO_LENGTH and frames < file.frames - padding:
        raise _UnusableError(f"cut short: {frames} of {file.frames} samples are there; copy it again")
    samples = {rate: np.concatenate(blocks) for rate, blocks in pieces.items()}
    return Audio(
        y=samples[sample_rate],
        sr=sample_rate,
        native_sr=native,
        channels=file.channels,
        duration_s=frames / native,
        sha256=digest.hexdigest(),
        peak=peak,
        clipped=clipped / max(1, frames * file.channels),
        others={rate: samples[rate] for rate in other_rates},
    )


_FULL_SCALE = 1 - 2**-15
"""The largest positive sample of 16 bits."""


def _check_frames(path: str | Path) -> None:
    if last_frame_is_cut(path):
        raise _UnusableError("cut short: the last frame is not there in full; copy it again")


def _check_header(log: str) -> None:
    """Refuse a file that libsndfile would read silently short.

    It corrects the length in the header to what is there and tells so in its log only.
    """
    for declared, found in _DECLARED.findall(log):
        size = int(declared, 0)
        if size > int(found) and size not in _UNKNOWN_SIZES:
            raise _UnusableError(f"cut short: {found} of {size} bytes of audio are there; copy it again")
    if _CUT_SHORT.search(log):
        raise _UnusableError("cut short: the end of the audio is missing; copy it again")
