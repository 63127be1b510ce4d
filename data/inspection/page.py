"""One HTML file about a cache that works offline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np

from data.cache.cache import Cache
from data.cache.writer import OK
from data.collection.summary import NO_GROUPS
from data.inspection.clips import Clip, make_clip
from data.io.pages import page_templates

_PER_GENRE = 3
_PER_PROBLEM = 12
"""Clips per kind of problem: the page holds all sounds in itself."""
_PAIRS = 8
_GENRES = 40
_BINS = 20
_DUPLICATES = {"exact_duplicates": "Exact duplicates", "near_duplicates": "Near duplicates"}
_PROBLEMS = {
    "silent": "Silent",
    "clipped": "Clipped: more than 0.1 % of the samples at full scale",
    "short": "Short: less than half a segment",
    "incomplete": "Lack up to 50 ms at their end",
    "contradicting": "Contradicting labels: copies of one recording in several genres",
}


@dataclass(frozen=True)
class Bar:
    """A bar of a chart: name, text of its value, and length from 0 to 100."""

    name: str
    value: str
    width: float


def page(cache: Cache, content: Mapping[str, Any]) -> str:
    """Render the page of a cache.

    Parameters
    ----------
    cache : Cache
        The cache; players need its files where the manifest names them.
    content : mapping
        What `data.collection.quality.inspect` says about it.
    """
    names = ["track_id", "label", "path", "duration_s", "status"]
    manifest = cache.folder.read_table("manifest.parquet", names)
    tracks = {row["track_id"]: row for row in manifest.to_pylist() if row["status"] == OK}
    bytes_of = _column(cache, "bytes")
    clips = _Clips(tracks, audible=content["source"] in ("audio", "demo"))
    return (
        page_templates("data")
        .get_template("inspect.html")
        .render(
            content=content,
            no_groups=NO_GROUPS,
            charts=[
                ("Tracks per genre", _bars(content["genres"])),
                ("Partition", _bars(content["sides"])),
                ("Length in seconds", _histogram([row["duration_s"] for row in tracks.values()], 1.0)),
                ("Size in MB", _histogram(bytes_of, 1e6)),
                ("Formats", _bars(content["formats"])),
                ("Codecs", _bars(content["codecs"])),
                ("Sample rates in Hz", _bars(content["sample_rates"])),
                ("Tags", _bars(content["tags"] or {})),
            ],
            skipped=list(content["skipped"].items()),
            duplicates=[
                (
                    title,
                    len(content[key] or []),
                    [clips.of(pair[:2]) for pair in (content[key] or [])[:_PAIRS]],
                )
                for key, title in (
                    ("exact_duplicates", "Exact duplicates"),
                    ("near_duplicates", "Near duplicates"),
                )
            ],
            problems=[
                (title, len(content[key] or []), clips.of((content[key] or [])[:_PER_PROBLEM]))
                for key, title in _PROBLEMS.items()
            ],
            genres=[(genre, clips.of(clips.examples(genre))) for genre in list(content["genres"])[:_GENRES]],
            made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    )


class _Clips:
    """Clips of tracks; each track is decoded once."""

    def __init__(self, tracks: Mapping[str, dict[str, Any]], *, audible: bool) -> None:
        self._tracks, self._audible = tracks, audible
        self._made: dict[str, Clip] = {}

    def examples(self, genre: str) -> list[str]:
        """Return some tracks of a genre, evenly spread over its names."""
        names = sorted(name for name, row in self._tracks.items() if row["label"] == genre)
        chosen = np.linspace(0, len(names) - 1, min(_PER_GENRE, len(names))).astype(int)
        return [names[number] for number in chosen]

    def of(self, names: Sequence[str]) -> list[Clip]:
        """Return the clips of tracks; without sound if the cache was not made from audio."""
        for name in names:
            if name not in self._made:
                row = self._tracks[name]
                self._made[name] = make_clip(row) if self._audible else Clip(name, row["label"])
        return [self._made[name] for name in names]


def _column(cache: Cache, name: str) -> list[float]:
    manifest = cache.folder.parquet("manifest.parquet")
    if name not in manifest.schema_arrow.names:
        return []
    return [value for value in manifest.read([name])[name].to_pylist() if value is not None and value >= 0]


def _bars(counts: Mapping[Any, int]) -> list[Bar]:
    most = max(counts.values(), default=1)
    return [Bar(str(name), str(count), 100 * count / most) for name, count in counts.items()]


def _histogram(values: Iterable[float | None], unit: float) -> list[Bar]:
    """Bars of a histogram with equal bins."""
    present = np.array([value for value in values if value is not None], dtype=float) / unit
    if not len(present):
        return []
    if present.min() == present.max():
        return _bars({f"{present[0]:.3g}": len(present)})
    counts, edges = np.histogram(present, bins=min(_BINS, len(np.unique(present))))
    # As many decimals as distinguish the edges of a bin.
    decimals = max(0, 1 - math.floor(math.log10(edges[1] - edges[0])))
    return [
        Bar(f"{low:.{decimals}f} to {high:.{decimals}f}", str(count), 100 * count / counts.max())
        for (low, high), count in zip(pairwise(edges), counts.tolist(), strict=True)
    ]
