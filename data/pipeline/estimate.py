"""Estimate the time and the disk space that preparing a collection takes, from headers of some files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.analysis.parameters import Parameters, Windows
from data.collection.source_file import SourceFile

_SAMPLED = 50
"""Files whose headers are read."""
_FEATURE_COST, _WINDOW_COST, _EMBEDDING_COST = 0.2 / 30, 0.04 / 30, 0.5 / 30
"""Seconds of one core per second of audio, measured: decoding and features, each tensor, each encoder."""
_TRACK_BYTES = 9_000
"""Bytes per 30 s of audio in the tables: mainly landmarks, from which duplicates are found."""


@dataclass(frozen=True)
class Estimate:
    """What preparing a collection takes, roughly.

    Attributes
    ----------
    audio_s : float
        Length of all audio in seconds.
    core_s : float
        Time in seconds on one core.
    disk_bytes : float
        Size of the cache.
    """

    audio_s: float
    core_s: float
    disk_bytes: float

    def line(self, cores: int) -> str:
        """Describe the estimate, with the time on a number of cores."""
        minutes = self.core_s / cores / 60
        time = f"{minutes / 60:.1f} h" if minutes > 90 else f"{max(1, round(minutes))} min"
        return (
            f"estimate: {self.audio_s / 3600:.1f} h of audio, about {time} on {cores} cores (with ten seconds"
            f" to start), {self.disk_bytes / 1e6:.0f} MB in the cache"
        )


def estimate(files: Sequence[SourceFile], parameters: Parameters) -> Estimate | None:
    """Estimate from the headers of up to 50 files; None if none of them states a length."""
    sampled = files[:: max(1, len(files) // _SAMPLED)]
    seconds, sizes = 0.0, 0
    for file in sampled:
        length = _length(file)
        if length:
            seconds, sizes = seconds + length, sizes + file.size
    if not sizes:
        return None
    audio_s = seconds / sizes * sum(max(0, file.size) for file in files if file.region is None)
    audio_s += sum(
        file.region.end_s - file.region.start_s for file in files if file.region and file.region.end_s
    )
    kinds = [kind for kind in (parameters.melspec, parameters.image) if kind is not None]
    cost = _FEATURE_COST + len(kinds) * _WINDOW_COST + len(parameters.embeddings) * _EMBEDDING_COST
    rate = sum(_bytes_per_second(kind, parameters) for kind in kinds)
    dimensions = sum(embedding.dimension for embedding in parameters.embeddings.values())
    segment_rate = (_TRACK_BYTES / 30) + (4 * dimensions / parameters.segment_seconds)
    return Estimate(audio_s, audio_s * cost, audio_s * (rate + segment_rate))


def _bytes_per_second(kind: Windows, parameters: Parameters) -> float:
    size = getattr(kind, "size", None)
    nbytes = (
        3 * size**2
        if size is not None
        else 2 * kind.n_mels * kind.seconds * parameters.sample_rate / parameters.hop_length
    )
    return float(nbytes / (kind.seconds * (1 - kind.overlap)))


def _length(file: SourceFile) -> float:
    """Length in seconds that the header of a file states; 0 if it states none."""
    import mutagen
    import soundfile

    try:
        return float(soundfile.info(file.path).duration)
    except (soundfile.SoundFileError, OSError, RuntimeError):
        pass
    try:
        header = mutagen.File(Path(file.path))
    except (mutagen.MutagenError, OSError, ValueError, KeyError, IndexError):
        return 0.0
    return float(getattr(getattr(header, "info", None), "length", 0.0) or 0.0)
