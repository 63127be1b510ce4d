"""Describe the content and the faults of a cache, as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.analysis.landmarks import LANDMARK, united_groups
from data.cache.cache import Cache
from data.cache.format import CacheInfo, require_current
from data.cache.partition import GIVEN_SPLIT
from data.cache.writer import GIVEN_GROUP, OK
from data.collection.near_duplicates import near_duplicates
from data.collection.tags import tag_coverage
from data.errors import CacheError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.parquet as pq

SILENT = 1e-4
"""A clip with no sample above this fraction of full scale, -80 dB, is silent."""
CLIPPED = 1e-3
"""A clip with more than this fraction of its samples at full scale is clipped."""
SHORT = 0.5
"""A clip below this fraction of the segment length is short."""
_FROM_AUDIO = ("audio", "demo")
_LEAK_PARTS = 5
_AT_ONCE = 4096


def inspect(cache: Cache) -> dict[str, Any]:
    """Describe a cache.

    Returns
    -------
    dict
        Only JSON types. ``silent``, ``clipped``, ``short`` and the two kinds of duplicates are lists of
        tracks, or None where the cache was not made from audio; ``exact_duplicates`` are known of all, in a
        table of features as tracks of equal numbers.
        Durations in seconds, rates in Hz.
        ``leak`` is the fraction of validation tracks that would have a copy, or a track of their group, in
        training if a five-fold split were made by track alone; no split of this program is.
        ``named`` is the number of tracks whose group the user gave, ``codecs`` counts tracks by codec (empty
        for older caches), ``incomplete`` lists tracks that lack up to 50 ms. ``balance`` is the number of
        tracks of the largest genre over that of the smallest, ``sides`` counts tracks by side of the
        partition that came with them, ``formats`` by ending. ``bytes`` describes the sizes of the files; it
        is None where they are unknown. ``tags`` counts the tags of up to about 200 files; it is None if the
        files are not where the cache was made from.

    Raises
    ------
    CacheError
        If the manifest is missing, lacks a column, or is of another preparation than ``cache.json``.
    """
    name = f"{cache.folder.uri}/manifest.parquet"
    try:
        manifest = cache.folder.parquet("manifest.parquet")
    except FileNotFoundError as error:
        raise CacheError(f"{name}: missing; prepare the cache again") from error
    require_current(manifest, cache.info.fingerprint, cache.folder)
    # Landmarks, which are most of it, are read piece by piece.
    columns = [column for column in manifest.schema_arrow.names if column != "landmarks"]
    files = manifest.read(columns).to_pandas()
    for column in ("track_id", "label", "group", "duration_s", "sample_rate", "sha256", "status", "reason"):
        if column not in files.columns:
            raise CacheError(f"{name}: no column {column!r}; prepare the cache again")
    tracks = files[files["status"] == OK].reset_index(drop=True)
    skipped = files[files["status"] != OK]
    return {
        "cache": cache.folder.uri,
        "source": cache.info.source,
        "synthetic": cache.info.synthetic,
        "fingerprint": cache.info.fingerprint,
        "collection": cache.collection,
        "parameters": cache.info.parameters,
        "files": len(files),
        "tracks": len(tracks),
        "segments": len(cache.features.X) if cache.folder.exists("features.parquet") else None,
        "groups": int(tracks["group"].nunique()),
        "genres": {str(k): int(v) for k, v in tracks["label"].value_counts().sort_index().items()},
        "balance": _balance(tracks["label"]),
        "sides": _counted(tracks, GIVEN_SPLIT),
        "formats": dict(Counter(Path(str(path)).suffix.lower() for path in tracks["path"]).most_common()),
        "bytes": _distribution(tracks.loc[tracks["bytes"] >= 0, "bytes"], "smallest", "largest")
        if "bytes" in tracks
        else None,
        "tags": tag_coverage(tracks["path"].astype(str).tolist()),
        "duration_s": _distribution(tracks["duration_s"].dropna(), "shortest", "longest"),
        "sample_rates": {str(int(k)): v for k, v in sorted(Counter(tracks["sample_rate"].dropna()).items())},
        "skipped": dict(zip(skipped["track_id"], skipped["reason"], strict=True)),
        "named": int(tracks[GIVEN_GROUP].notna().sum()) if GIVEN_GROUP in tracks else 0,
        "codecs": _counted(tracks, "codec"),
        "incomplete": _named(tracks, tracks["missing_s"] > 0) if "missing_s" in tracks else [],
        **_heard(tracks, cache.info),
        **_copies(tracks, manifest, heard=cache.info.source in _FROM_AUDIO),
    }


def _distribution(values: pd.Series[float], low: str, high: str) -> dict[str, float] | None:
    if not len(values):
        return None
    quantiles = {low: 0.0, "median": 0.5, high: 1.0}
    numbers = values.to_numpy(float)
    described = {name: round(float(np.quantile(numbers, q)), 3) for name, q in quantiles.items()}
    return described | {"total": round(float(numbers.sum()), 3)}


def _balance(labels: pd.Series[str]) -> float | None:
    counts = labels.value_counts()
    return round(float(counts.max() / counts.min()), 3) if len(counts) else None


def _counted(tracks: pd.DataFrame, column: str) -> dict[str, int]:
    return dict(sorted(Counter(tracks[column].dropna()).items())) if column in tracks else {}


def _near(manifest: pq.ParquetFile, track_ids: set[str]) -> list[tuple[str, str]]:
    """Pairs of those tracks whose landmarks agree."""
    names: list[str] = manifest.read(["track_id"])["track_id"].to_pylist()

    def sketches() -> Iterator[list[np.ndarray]]:
        for batch in manifest.iter_batches(_AT_ONCE, columns=["track_id", "landmarks"]):
            rows = zip(batch["track_id"].to_pylist(), batch["landmarks"].to_pylist(), strict=True)
            yield [
                np.frombuffer(marks if marks and name in track_ids else b"", dtype=LANDMARK)
                for name, marks in rows
            ]

    return [(names[a], names[b]) for a, b in near_duplicates(sketches).tolist()]


def _named(tracks: pd.DataFrame, chosen: pd.Series[bool]) -> list[str]:
    return [str(track) for track in tracks.loc[chosen, "track_id"]]


def _heard(tracks: pd.DataFrame, info: CacheInfo) -> dict[str, list[str] | None]:
    """Find faults that only the audio shows."""
    if info.source not in _FROM_AUDIO:
        return dict.fromkeys(("short", "silent", "clipped"))
    return {
        "short": _named(tracks, tracks["duration_s"] < SHORT * info.parameters["segment_seconds"]),
        "silent": _named(tracks, tracks["peak"] < SILENT),
        "clipped": _named(tracks, tracks["clipped"] > CLIPPED),
    }


def _copies(tracks: pd.DataFrame, manifest: pq.ParquetFile, *, heard: bool) -> dict[str, Any]:
    """Find tracks of one recording, the leak that they would cause, and contradicting labels."""
    track_id, label = tracks["track_id"].astype(str).tolist(), tracks["label"].astype(str).tolist()
    exact = [rows for rows in tracks.groupby("sha256").indices.values() if len(rows) > 1]
    pairs = [(int(rows[0]), int(row)) for rows in exact for row in rows[1:]]
    # One of several exact copies is compared: the others would give the same pairs.
    row_of = dict(zip(track_id, range(len(track_id)), strict=True))
    first_copies = set(tracks.drop_duplicates("sha256")["track_id"])
    marked = "landmarks" in manifest.schema_arrow.names
    near = [(row_of[a], row_of[b]) for a, b in _near(manifest, first_copies)] if marked else []
    recording = united_groups(track_id, pairs + near)
    # A track of the same artist or album in training leaks as a copy does.
    together = united_groups(tracks["group"].astype(str).tolist(), pairs + near)
    size = Counter(together)
    chance = [1 - (1 / _LEAK_PARTS) ** (size[name] - 1) for name in together]
    labels: dict[str, set[str]] = {}
    for name, genre in zip(recording, label, strict=True):
        labels.setdefault(name, set()).add(genre)
    return {
        "exact_duplicates": [[track_id[row] for row in rows] for rows in exact],
        "near_duplicates": [[track_id[a], track_id[b]] for a, b in near] if heard and marked else None,
        "leak": round(float(np.mean(chance)), 4) if chance else 0.0,
        "contradicting": [
            track for track, name in zip(track_id, recording, strict=True) if len(labels[name]) > 1
        ],
    }
