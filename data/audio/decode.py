"""Decode one audio file completely, or refuse it with a reason.

libsndfile reads PCM files and FLAC, FFmpeg (through PyAV) every other format: see `data.audio.pcm` and
`data.audio.ffmpeg`. The content of a file decides, not its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soxr

from data.audio import ffmpeg, pcm
from data.audio.decoder import ACCEPTED_GAP_S, Decoder
from data.audio.refusal import UnusableError
from data.audio.region import Region, part_of
from data.errors import AudioError
from data.io.folder import require_regular

_LOSSLESS = (".wav", ".au", ".aif", ".aiff", ".flac", ".w64", ".caf", ".wv", ".ape", ".tta")
_MPEG = (".mp3", ".mp2", ".m4a", ".m4b", ".mp4", ".aac", ".ac3")
_OTHERS = (".ogg", ".oga", ".opus", ".spx", ".wma", ".webm", ".mka", ".mpc")
SUFFIXES = frozenset((*_LOSSLESS, *_MPEG, *_OTHERS))
"""Suffixes, in lower case, of the files that are read as audio."""

DECODING = 2
"""Version of the choice of decoders. Version 1 used libsndfile for all files."""
RECODED_SINCE = frozenset({".mp3", ".ogg", ".opus"})
"""Suffixes of the files that version 1 decoded with another library than version 2."""

LONGEST_SECONDS = 6 * 3600
"""Maximum length of a track; the samples of a longer one would take gigabytes."""
_MAX_SAMPLE = 1e10
"""Maximum absolute sample of a floating-point file; its powers are finite in 32 bits."""
_FULL_SCALE = 1 - 2**-15
"""The largest positive sample of 16 bits."""


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
        Length in seconds: the number of decoded samples divided by `native_sr`.
    sha256 : str
        Hex digest of the decoded mono samples at the file's own rate. Two files with the same samples have
        the same digest, whatever their names and lossless formats.
    peak : float
        Largest absolute sample of any channel.
    clipped : float
        Fraction of the samples of all channels that are at full scale.
    codec : str
        Codec of the file, such as ``mp3`` or ``pcm_16``.
    missing_s : float
        Seconds of audio that are missing from the file, at most `ACCEPTED_GAP_S`; 0 if it is complete.
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
    codec: str = ""
    missing_s: float = 0.0
    others: Mapping[int, np.ndarray] = field(default_factory=dict)


def load(
    path: str | Path,
    *,
    sample_rate: int = 22050,
    min_samples: int = 2048,
    other_rates: Iterable[int] = (),
    region: Region | None = None,
    longest_s: float = LONGEST_SECONDS,
) -> Audio:
    """Decode an audio file to mono at one sample rate.

    Channels are averaged. soxr resamples in high quality, only if the rates differ. The file is read in
    blocks, so memory use is about twice the result for any number of channels and any rate.

    Parameters
    ----------
    path : str or Path
        An audio file of any format that libsndfile or FFmpeg decodes.
    sample_rate : int
        Sample rate of the result in Hz.
    min_samples : int
        Minimum number of samples at `sample_rate`: one frame of the analysis.
    other_rates : iterable of int
        Further rates in Hz at which the same samples are returned.
    region : Region, optional
        Part of the file to return; by default, all of it.
    longest_s : float
        Longest track in seconds; decoding stops there.

    Raises
    ------
    AudioError
        If the file cannot be read, is not audio, lacks more than `ACCEPTED_GAP_S` of its stated length, holds
        samples that are not finite or far beyond full scale, or is too short or longer than `longest_s`;
        or if the region ends after the end of the file.
    """
    try:
        audio = _decode(path, sample_rate, set(other_rates), region, longest_s)
    except OSError as error:
        raise AudioError(f"{path}: cannot be opened ({error.strerror or error})") from error
    except UnusableError as error:
        raise AudioError(f"{path}: {error}") from error
    if len(audio.y) == 0:
        raise AudioError(f"{path}: contains no samples")
    if len(audio.y) < min_samples:
        raise AudioError(
            f"{path}: too short ({len(audio.y)} samples at {sample_rate} Hz, minimum {min_samples})"
        )
    return audio


def _decode(
    path: str | Path, sample_rate: int, other_rates: Set[int], region: Region | None, longest_s: float
) -> Audio:
    require_regular(path)
    # Open the file here first, because the errors of the operating system are clearer than a decoder's.
    with Path(path).open("rb") as raw:
        if not raw.read(1):
            raise UnusableError("empty file (0 bytes)")
        raw.seek(0)
        pcm_file = pcm.is_pcm(raw)
    if pcm_file:
        try:
            with pcm.PcmFile(path) as file:
                return _collect(part_of(file, region), sample_rate, other_rates, longest_s)
        except pcm.UnknownCodecError as unknown:
            # For example MP3 or AC-3 inside a WAV file.
            try:
                with ffmpeg.FfmpegFile(path) as file:
                    return _collect(part_of(file, region), sample_rate, other_rates, longest_s)
            except UnusableError:
                raise unknown from None
    with ffmpeg.FfmpegFile(path) as file:
        return _collect(part_of(file, region), sample_rate, other_rates, longest_s)


def _collect(file: Decoder, sample_rate: int, other_rates: Set[int], longest_s: float) -> Audio:
    """Decode all blocks to mono at each rate, and measure the values of the manifest."""
    native = file.sample_rate
    rates = {sample_rate, *other_rates}
    resamplers = {
        rate: soxr.ResampleStream(native, rate, 1, dtype="float32", quality="HQ") for rate in rates - {native}
    }
    digest = hashlib.sha256()
    pieces: dict[int, list[np.ndarray]] = {rate: [np.empty(0, dtype=np.float32)] for rate in rates}
    n_samples = n_values = clipped = 0
    peak = 0.0
    for block in file.blocks():
        magnitude = np.abs(block)
        top = float(magnitude.max(initial=0.0))
        if not np.isfinite(top):
            raise UnusableError("contains samples that are not finite numbers (NaN or infinite)")
        if top > _MAX_SAMPLE:
            raise UnusableError(f"damaged: samples up to {top:.0e}, but full scale is 1; copy it again")
        peak = max(peak, top)
        if top >= _FULL_SCALE:
            clipped += int((magnitude >= _FULL_SCALE).sum())
        mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)
        digest.update(mono.tobytes())
        for rate in rates:
            pieces[rate].append(mono if rate == native else resamplers[rate].resample_chunk(mono))
        n_samples += len(block)
        n_values += block.size
        if n_samples > longest_s * native:
            # Count the samples, because headers can be wrong: a few megabytes can hold days of silence.
            raise UnusableError(f"longer than {_duration(longest_s)}; cut it into pieces")
    for rate, resampler in resamplers.items():
        pieces[rate].append(resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True))
    missing_s = max(0.0, file.missing_s(n_samples))
    if missing_s > ACCEPTED_GAP_S:
        raise UnusableError(
            f"cut short: {n_samples / native:.2f} of {n_samples / native + missing_s:.2f} s are present;"
            " copy it again"
        )
    samples = {rate: np.concatenate(blocks) for rate, blocks in pieces.items()}
    return Audio(
        y=samples[sample_rate],
        sr=sample_rate,
        native_sr=native,
        channels=file.channels,
        duration_s=n_samples / native,
        sha256=digest.hexdigest(),
        peak=peak,
        clipped=clipped / max(1, n_values),
        codec=file.codec,
        missing_s=missing_s,
        others={rate: samples[rate] for rate in other_rates},
    )


def _duration(seconds: float) -> str:
    """Return a duration in hours, or in minutes if it is shorter than two hours."""
    hours = seconds / 3600
    return f"{hours:g} hours" if hours >= 2 else f"{seconds / 60:g} minutes"
