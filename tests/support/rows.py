"""Rows of features of three genres, and a cache of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from data.analysis.feature_names import FEATURES
from data.cache.format import FORMAT, CacheInfo
from data.cache.rows import Rows
from data.io.folder import Folder

GENRES = ("blues", "disco", "metal")


def make_rows(*, tracks: int = 20, segments: int = 1, seed: int = 0, spread: float = 2.0) -> Rows:
    """Gaussian feature rows of three genres, `tracks` of each."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(GENRES), len(FEATURES)))
    label = np.repeat(np.arange(len(GENRES)), tracks * segments)
    number = np.tile(np.repeat(np.arange(tracks), segments), len(GENRES))
    names = [f"{GENRES[genre]}/{GENRES[genre]}.{n:05d}" for genre, n in zip(label, number, strict=True)]
    track_id = np.array(names, dtype=object)
    return Rows(
        X=centres[label] + spread * rng.normal(size=(len(label), len(FEATURES))),
        track_id=track_id,
        segment=np.tile(np.arange(segments, dtype=np.int32), len(GENRES) * tracks),
        label=np.array(GENRES, dtype=object)[label],
        group=track_id.copy(),
    )


def write_cache(folder: Path, rows: Rows, *, synthetic: bool = False) -> Path:
    """Write rows as a cache."""
    keys = {"track_id": rows.track_id, "segment": rows.segment, "label": rows.label, "group": rows.group}
    frame = pd.concat([pd.DataFrame(keys), pd.DataFrame(rows.X, columns=list(FEATURES))], axis=1)
    target = Folder.at(folder)
    target.write_table("features.parquet", pa.Table.from_pandas(frame, preserve_index=False))
    info = CacheInfo(
        format=FORMAT,
        source="features-csv",
        synthetic=synthetic,
        parameters={"sample_rate": 22050, "segment_seconds": 30.0},
        fingerprint="0" * 64,
        versions={},
    )
    target.write_json("cache.json", info.model_dump(mode="json"))
    return folder
