"""Random features in the shape of the published table, and a search task from the features of a cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from data.analysis.feature_names import FEATURES
from data.cache.format import FORMAT, CacheInfo
from data.io.folder import Folder

if TYPE_CHECKING:
    from data.dataset.task import Task


def random_cache(folder: Path, *, tracks: int = 1000, genres: int = 10) -> str:
    """Write a cache of random features, marked synthetic; return its path."""
    rng = np.random.default_rng(0)
    genre_of_track = np.arange(tracks) % genres
    track_id = [f"genre{genre}/genre{genre}.{number:05d}" for number, genre in enumerate(genre_of_track)]
    centres = rng.normal(size=(genres, len(FEATURES)))
    keys = {
        "track_id": track_id,
        "segment": np.zeros(tracks, dtype=np.int32),
        "label": [f"genre{genre}" for genre in genre_of_track],
        "group": track_id,
    }
    values = centres[genre_of_track] + 2 * rng.normal(size=(tracks, len(FEATURES)))
    frame = pd.concat([pd.DataFrame(keys), pd.DataFrame(values, columns=list(FEATURES))], axis=1)
    target = Folder.at(folder)
    target.write_table("features.parquet", pa.Table.from_pandas(frame, preserve_index=False))
    info = CacheInfo(
        format=FORMAT,
        source="features-csv",
        synthetic=True,
        parameters={"sample_rate": 22050, "segment_seconds": 30.0},
        fingerprint="0" * 64,
        versions={},
    )
    target.write_json("cache.json", info.model_dump(mode="json"))
    return str(folder)


def features_task(cache: str, *, folds: int, test_fraction: float, seed: int) -> Task:
    """Split a cache's features as a search does; return the task that trials receive."""
    from data.cache.cache import Cache
    from data.dataset.splits import make_split
    from data.dataset.task import search_task

    rows = Cache.open(cache).features
    return search_task(rows, make_split(rows.tracks(), folds=folds, test_fraction=test_fraction, seed=seed))
