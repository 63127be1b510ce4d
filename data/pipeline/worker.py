"""Analyse a batch of files: the work that is spread over the cores."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.analysis.embeddings import ENCODERS, open_encoders, segment_vectors
from data.analysis.feature_names import FEATURES
from data.analysis.features import extract, segment_bounds
from data.analysis.landmarks import landmarks
from data.analysis.parameters import Parameters, Picture
from data.analysis.spectrograms import tensors_of
from data.analysis.stft import Spectrum
from data.audio.decode import load
from data.audio.spectrogram_images import load_picture
from data.cache.shards import KINDS, TrackTensors, tensors_of_tracks, write_shard
from data.cache.writer import MANIFEST, OK, SKIPPED, manifest_schema
from data.collection.scan import Found
from data.errors import AudioError, CacheError, EncoderError
from data.io.folder import Folder, printable, require_regular

if TYPE_CHECKING:
    import pyarrow as pa


def analysed_schema() -> pa.Schema:
    """Arrow schema of a part: one row per file.

    The manifest's fixed columns, then those that inspection and reruns need: size in bytes, time of change in
    nanoseconds and digest of the file, its channels, the peak and the clipped fraction of its samples, its
    landmarks (see `landmarks`), the name of the part, the codec, and the seconds that the file lacks.
    ``features`` are the float64 values of its segments, one after another; null if the cache has them
    already.
    """
    import pyarrow as pa

    fields = [
        *manifest_schema(),
        *manifest_extras(),
        ("features", pa.binary()),
    ]
    return pa.schema(fields)


def manifest_extras() -> list[tuple[str, pa.DataType]]:
    """Columns of the manifest after the fixed ones, with their Arrow types."""
    import pyarrow as pa

    return [
        ("bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("file_sha256", pa.string()),
        ("channels", pa.int32()),
        ("peak", pa.float64()),
        ("clipped", pa.float64()),
        ("landmarks", pa.binary()),
        ("part", pa.string()),
        ("codec", pa.string()),
        ("missing_s", pa.float64()),
    ]


@dataclass(frozen=True)
class Batch:
    """Files to be analysed together.

    Attributes
    ----------
    name : str
        Name of the resulting part.
    files : sequence of Found
        The files.
    held : mapping of str to str
        Tracks whose features are known and need not be taken again, with the part of their tensors.
    held_kinds : tuple of str
        Kinds of tensors that the cache has of those tracks, which are copied.
    """

    name: str
    files: Sequence[Found]
    held: Mapping[str, str] = field(default_factory=dict)
    held_kinds: tuple[str, ...] = ()


def analyse_batch(
    batch: Batch, parameters: Parameters, cache: Folder, parts: Folder
) -> list[tuple[str, str]]:
    """Analyse a batch of files and write the results as one part.

    Parameters
    ----------
    batch : Batch
        The files.
    parameters : Parameters
        How to analyse them.
    cache : Folder
        Where shards of tensors are written.
    parts : Folder
        Where the part is written, whole.

    Returns
    -------
    list of (str, str)
        Path and reason of each file that was skipped.
    """
    import pyarrow as pa
    from threadpoolctl import threadpool_limits

    tensors: dict[str, list[TrackTensors]] = {}
    # Worker processes have another working folder.
    encoders = f"{cache.path if cache.is_local else cache.uri}/{ENCODERS}"
    open_encoders(parameters.embeddings, encoders, one_core=True)
    held = _HeldTensors(batch, cache)
    # One thread per process: the processes share the cores, and results do not depend on their number.
    with threadpool_limits(1):
        rows = [
            _analyse(file, parameters, encoders, tensors, held) | {"part": batch.name} for file in batch.files
        ]
    # The part comes last: it marks the shards of the same name as complete.
    for kind, tracks in tensors.items():
        write_shard(cache / kind, batch.name, tracks)
    parts.write_table(f"{batch.name}.parquet", pa.Table.from_pylist(rows, schema=analysed_schema()))
    return [
        (printable(file.where), row["reason"])
        for file, row in zip(batch.files, rows, strict=True)
        if row["status"] == SKIPPED
    ]


class _HeldTensors:
    """Tensors that the cache has of the tracks of a batch; each shard is read once.

    Parameters
    ----------
    batch : Batch
        The batch.
    cache : Folder
        The cache.
    """

    def __init__(self, batch: Batch, cache: Folder) -> None:
        self._batch, self._cache = batch, cache
        self._shards: dict[tuple[str, str], Mapping[str, np.ndarray]] = {}

    def has_features(self, track_id: str) -> bool:
        """Whether the cache has the features of a track."""
        return track_id in self._batch.held

    def of(self, track_id: str) -> dict[str, np.ndarray]:
        """Tensors of a track by kind; those of a shard that is missing or damaged are left out."""
        part = self._batch.held.get(track_id)
        found = {}
        for kind in self._batch.held_kinds if part else ():
            if (kind, str(part)) not in self._shards:
                try:
                    shard = tensors_of_tracks(self._cache / kind, f"{part}.parquet")
                except CacheError:
                    shard = {}
                self._shards[kind, str(part)] = shard
            values = self._shards[kind, str(part)].get(track_id)
            if values is not None:
                found[kind] = values
        return found


def _analyse(
    file: Found,
    parameters: Parameters,
    encoders: str,
    tensors: dict[str, list[TrackTensors]],
    held: _HeldTensors,
) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(MANIFEST)
    row |= {
        "track_id": file.track_id,
        "path": printable(file.path),
        "label": file.label,
        "group": file.track_id,
        "status": OK,
        "reason": "",
        "bytes": file.size,
        "mtime_ns": file.mtime_ns,
        "file_sha256": file_digest(file.path),
    }
    if row["path"] != file.path:
        return row | {"status": SKIPPED, "reason": "its name, or a folder's, is not UTF-8; rename it"}
    if parameters.from_pictures:
        return row | _picture(file, parameters, tensors)
    copied = held.of(file.track_id)
    missing = parameters.without(copied)
    try:
        audio = load(
            file.path,
            sample_rate=parameters.sample_rate,
            min_samples=parameters.n_fft,
            other_rates=missing.embedding_rates,
            region=file.region,
        )
        bounds = segment_bounds(len(audio.y), sr=audio.sr, segment_seconds=parameters.segment_seconds)
        vectors = segment_vectors(
            audio.others, bounds, sr=audio.sr, embeddings=missing.embeddings, encoders=encoders
        )
    except (AudioError, EncoderError) as error:
        return row | {"status": SKIPPED, "reason": str(error).removeprefix(f"{file.path}: ")}
    features = not held.has_features(file.track_id)
    X = np.empty((len(bounds) - 1, len(FEATURES)))
    marks = []
    windows: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
    for number in range(len(X)):
        y = audio.y[bounds[number] : bounds[number + 1]]
        spectrum = Spectrum.of(y, sr=audio.sr, n_fft=parameters.n_fft, hop_length=parameters.hop_length)
        if features:
            X[number] = extract(
                y,
                sr=audio.sr,
                n_fft=parameters.n_fft,
                hop_length=parameters.hop_length,
                spectrum=spectrum,
            )
        marks.append(landmarks(spectrum, first_frame=int(bounds[number]) // parameters.hop_length))
        for kind, values in tensors_of(spectrum, missing).items():
            windows[kind].append(values)
    made = {kind: np.concatenate(pieces) for kind, pieces in windows.items() if pieces}
    for kind, values in (copied | made | vectors).items():
        tensors.setdefault(kind, []).append(TrackTensors(file.track_id, file.label, values))
    return row | {
        "duration_s": audio.duration_s,
        "sample_rate": audio.native_sr,
        "sha256": audio.sha256,
        "channels": audio.channels,
        "peak": audio.peak,
        "clipped": audio.clipped,
        "codec": audio.codec,
        "missing_s": audio.missing_s,
        "landmarks": np.concatenate(marks).tobytes(),
        "features": X.tobytes() if features else None,
    }


def _picture(file: Found, parameters: Parameters, tensors: dict[str, list[TrackTensors]]) -> dict[str, Any]:
    """Analyse a file that is an image."""
    try:
        picture = load_picture(file.path, size=(parameters.image or Picture()).size)
    except AudioError as error:
        return {"status": SKIPPED, "reason": str(error).removeprefix(f"{file.path}: ")}
    tensors.setdefault("image", []).append(TrackTensors(file.track_id, file.label, picture[np.newaxis]))
    return {"sha256": hashlib.sha256(picture.tobytes()).hexdigest(), "landmarks": b""}


def file_digest(path: str) -> str:
    """SHA-256 hex digest of a file's bytes; empty where it cannot be read."""
    try:
        require_regular(path)
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
