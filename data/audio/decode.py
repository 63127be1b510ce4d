"""Decode one audio file whole, or refuse it with a reason.

PCM files and FLAC are read by libsndfile, every other format by FFmpeg (through PyAV): see `data.audio.pcm`
and `data.audio.ffmpeg`. The content of a file decides, not its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data.audio.decoder import ACCEPTED_GAP_S, Decoder
from data.audio.refusal import UnusableError
from data.audio.region import Region, part_of
from data.errors import AudioError
from data.io.folder import require_regular

SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("wav", "au", "aif", "aiff", "flac", "w64", "caf", "wv", "ape", "tta"),
        *(
            "mp3",
            "mp2",
            "ogg",
            "oga",
            "opus",
            "spx",
            "m4a",
            "m4b",
            "mp4",
            "aac",
            "wma",
            "webm",
            "mka",
            "mpc",
            "ac3",
        ),
    )
)
"""File name endings, in lower case, of the files that are read as audio."""

DECODING = 2
"""Version of the choice of decoders. Caches of version 1 were read by libsndfile alone."""
RECODED_SINCE = frozenset({".mp3", ".ogg", ".opus"})
"""Endings of the files that version 1 decoded by another library than version 2."""

LONGEST_SECONDS = 6 * 3600
"""Longest track that is decoded; the samples of a longer one would take gigabytes."""
_LOUDEST = 1e10
"""Largest sample of a floating-point format that counts as audio; its powers are finite in 32 bits."""
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
        Length in seconds: the number of samples that were decoded over `native_sr`.
    sha256 : str
        Hex digest of the decoded mono samples at the file's own rate. Two files of the same sound have the
        same digest, whatever lossless format and name they have.
    peak : float
        Largest absolute sample of any channel.
    clipped : float
        Fraction of the samples, over all channels, that are at full scale.
    codec : str
        Codec of the file, such as ``mp3`` or ``pcm_16``.
    missing_s : float
        Seconds that the file should hold beyond what was decoded, at most `ACCEPTED_GAP_S`; 0 if it is whole.
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
    longest_s: float = LONGEST_SECONDS,
    region: Region | None = None,
) -> Audio:
    """Decode an audio file to mono at one sample rate.

    Channels are averaged. soxr changes the rate in high quality, and only if it differs. The file is read in
    blocks, so memory use is about twice the result whatever the number of channels or the rate.

    Parameters
    ----------
    path : str or Path
        An audio file of any format that libsndfile or FFmpeg decodes.
    sample_rate : int
        Sample rate of the result in Hz.
    min_samples : int
        Fewest samples, at `sample_rate`, that are useful: one frame of the analysis.
    other_rates : iterable of int
        Further rates in Hz at which the same samples are returned.
    longest_s : float
        Longest track in seconds; decoding stops there.
    region : Region, optional
        Part of the file to return; by default, all of it.

    Raises
    ------
    AudioError
        If the file cannot be read, is not audio, lacks more than `ACCEPTED_GAP_S` of what it should hold,
        holds samples that are not finite or far beyond full scale, or is too short or longer than
        `longest_s`; or if the region ends beyond the file's end.
    """
    try:
        audio = _decode(path, sample_rate, set(other_rates), region, longest_s)
    except OSError as error:
        raise AudioError(f"{path}: cannot be opened ({error.strerror or error})") from error
    except UnusableError as error:
        raise AudioError(f"{path}: {error}") from error
    if len(audio.y) == 0:
        raise AudioError(f"{path}: holds no samples")
    if len(audio.y) < min_samples:
        raise AudioError(
            f"{path}: too short ({len(audio.y)} samples at {sample_rate} Hz,"
            f" at least {min_samples} are needed)"
        )
    return audio


def _decode(
    path: str | Path, sample_rate: int, other_rates: Set[int], region: Region | None, longest_s: float
) -> Audio:
    from data.audio import ffmpeg, pcm

    require_regular(path)
    # Opened here first: the operating system explains better than a decoder why a file does not open.
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
            # Such as MP3 or AC-3 inside a WAV file.
            try:
                with ffmpeg.FfmpegFile(path) as file:
                    return _collect(part_of(file, region), sample_rate, other_rates, longest_s)
            except UnusableError:
                raise unknown from None
    with ffmpeg.FfmpegFile(path) as file:
        return _collect(part_of(file, region), sample_rate, other_rates, longest_s)


def _collect(file: Decoder, sample_rate: int, other_rates: Set[int], longest_s: float) -> Audio:
    """Decode all blocks to mono at `sample_rate`, and measure what the manifest reports."""
    import soxr

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
            raise UnusableError("holds samples that are not finite numbers (NaN or infinite)")
        if top > _LOUDEST:
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
            # Counted, because headers lie: a few megabytes can hold days of silence.
            raise UnusableError(f"longer than {_spoken(longest_s)}; cut it into pieces")
    for rate, resampler in resamplers.items():
        pieces[rate].append(resampler.resample_chunk(np.empty(0, dtype=np.float32), last=True))
    missing_s = max(0.0, file.missing_s(n_samples))
    if missing_s > ACCEPTED_GAP_S:
        raise UnusableError(
            f"cut short: {n_samples / native:.2f} of {n_samples / native + missing_s:.2f} s are there;"
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


def _spoken(seconds: float) -> str:
    """Return a duration in hours, or in minutes if it is shorter than two hours."""
    hours = seconds / 3600
    return f"{hours:g} hours" if hours >= 2 else f"{seconds / 60:g} minutes"
