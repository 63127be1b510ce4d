"""Analyse a batch of files in a worker process."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from data.analysis.embeddings import ENCODERS, open_encoders
from data.analysis.kinds import FEATURE_KIND
from data.analysis.parameters import Parameters, Picture
from data.analysis.segments import analyse
from data.audio.spectrogram_images import load_picture
from data.cache.shards import TrackTensors, tensors_of_tracks, write_shard
from data.cache.writer import MANIFEST, OK, SKIPPED, manifest_schema
from data.collection.source_file import SourceFile
from data.errors import AudioError, CacheError, EncoderError
from data.io.folder import Folder, printable, require_regular
from data.io.heap import keep_freed_memory


def analysed_schema() -> pa.Schema:
    """Arrow schema of a part: one row per file.

    The fixed columns of the manifest, then those that inspection and reruns need: size in bytes, modification
    time in nanoseconds and digest of the file, number of channels, peak and clipped fraction of the samples,
    landmarks (see `landmarks`), name of the part, codec, and missing seconds. ``features`` contains the
    float64 features of all segments; null if the cache already has them.
    """
    fields = [
        *manifest_schema(),
        *manifest_extras(),
        ("features", pa.binary()),
    ]
    return pa.schema(fields)


def manifest_extras() -> list[tuple[str, pa.DataType]]:
    """Columns of the manifest after the fixed ones, with their Arrow types."""
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
    """Files to analyse together.

    Attributes
    ----------
    name : str
        Name of the resulting part.
    files : sequence of SourceFile
        The files.
    cached : mapping of str to str
        Tracks whose features are already in the cache, with the part of their tensors.
    cached_kinds : tuple of str
        Kinds of tensors of these tracks that are copied from the cache.
    """

    name: str
    files: Sequence[SourceFile]
    cached: Mapping[str, str] = field(default_factory=dict)
    cached_kinds: tuple[str, ...] = ()


def analyse_batch(
    batch: Batch, parameters: Parameters, cache: Folder, parts: Folder
) -> list[tuple[str, str]]:
    """Analyse a batch of files and write the results as one part.

    Parameters
    ----------
    batch : Batch
        The files.
    parameters : Parameters
        Parameters of the analysis.
    cache : Folder
        Folder for the shards of tensors.
    parts : Folder
        Folder for the part.

    Returns
    -------
    list of (str, str)
        Path and reason of each file that was skipped.
    """
    keep_freed_memory()
    tensors: dict[str, list[TrackTensors]] = {}
    # Use the absolute path, because worker processes have another working folder.
    encoders = f"{cache.path if cache.is_local else cache.uri}/{ENCODERS}"
    open_encoders(parameters.embeddings, encoders, one_core=True)
    cached = _CachedTensors(batch, cache)
    # One thread per process, because the processes share the cores and rounding depends on the threads.
    with threadpool_limits(1):
        rows = [
            _analyse(file, parameters, encoders, tensors, cached) | {"part": batch.name}
            for file in batch.files
        ]
    # The part is written last, because it marks the shards of the same name as complete.
    for kind, tracks in tensors.items():
        write_shard(cache / kind, batch.name, tracks)
    parts.write_table(f"{batch.name}.parquet", pa.Table.from_pylist(rows, schema=analysed_schema()))
    return [
        (printable(file.where), row["reason"])
        for file, row in zip(batch.files, rows, strict=True)
        if row["status"] == SKIPPED
    ]


class _CachedTensors:
    """Tensors of a batch that the cache already has; each shard is read once.

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
        return track_id in self._batch.cached

    def of(self, track_id: str) -> dict[str, np.ndarray]:
        """Tensors of a track by kind, without those of missing or damaged shards."""
        part = self._batch.cached.get(track_id)
        tensors = {}
        for kind in self._batch.cached_kinds if part else ():
            if (kind, str(part)) not in self._shards:
                try:
                    shard = tensors_of_tracks(self._cache / kind, f"{part}.parquet")
                except CacheError:
                    shard = {}
                self._shards[kind, str(part)] = shard
            values = self._shards[kind, str(part)].get(track_id)
            if values is not None:
                tensors[kind] = values
        return tensors


def _analyse(
    file: SourceFile,
    parameters: Parameters,
    encoders: str,
    tensors: dict[str, list[TrackTensors]],
    cached: _CachedTensors,
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
        return row | {"status": SKIPPED, "reason": "its name or that of a folder is not UTF-8; rename it"}
    if parameters.from_pictures:
        return row | _picture(file, parameters, tensors)
    copied = cached.of(file.track_id)
    try:
        analysis = analyse(
            file.path,
            parameters.without(copied),
            with_features=not cached.has_features(file.track_id),
            with_landmarks=True,
            encoders=encoders,
            region=file.region,
        )
    except (AudioError, EncoderError) as error:
        return row | {"status": SKIPPED, "reason": str(error).removeprefix(f"{file.path}: ")}
    audio, inputs = analysis.audio, analysis.inputs
    X = inputs.pop(FEATURE_KIND, None)
    for kind, values in (copied | inputs).items():
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
        "landmarks": analysis.landmarks.tobytes(),
        "features": None if X is None else X.tobytes(),
    }


def _picture(
    file: SourceFile, parameters: Parameters, tensors: dict[str, list[TrackTensors]]
) -> dict[str, Any]:
    """Analyse an image."""
    try:
        picture = load_picture(file.path, size=(parameters.image or Picture()).size)
    except AudioError as error:
        return {"status": SKIPPED, "reason": str(error).removeprefix(f"{file.path}: ")}
    tensors.setdefault("image", []).append(TrackTensors(file.track_id, file.label, picture[np.newaxis]))
    return {"sha256": hashlib.sha256(picture.tobytes()).hexdigest(), "landmarks": b""}


def file_digest(path: str) -> str:
    """SHA-256 hex digest of a file's bytes; empty if it cannot be read."""
    try:
        require_regular(path)
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
