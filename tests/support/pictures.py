"""A small cache of images, in which each genre has its own colour and frequency of stripes."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa

from data.cache.cache import Cache
from data.cache.format import FORMAT, CacheInfo
from data.cache.rows import Rows
from data.cache.shards import TrackTensors, write_shard
from data.dataset.splits import make_split
from data.dataset.task import Task, search_task
from data.io.folder import Folder

GENRES = ("blues", "disco", "metal")


def picture_cache(folder: Path, *, tracks: int = 10, size: int = 32) -> Path:
    """Write a cache with one image per track and a unique fingerprint, which names stored network outputs."""
    rng = np.random.default_rng(0)
    target = Folder.at(folder)
    shard = []
    for number, genre in enumerate(GENRES):
        for track in range(tracks):
            stripes = np.sin(np.arange(size) * (0.4 + 0.5 * number) + rng.uniform(0, 6))[:, None, None]
            colour = np.eye(3)[number] * 60
            picture = 110 + 60 * stripes + colour + rng.normal(scale=30, size=(size, size, 3))
            content = np.clip(picture, 0, 255).astype(np.uint8)[None]
            shard.append(TrackTensors(f"{genre}/{genre}.{track:05d}", genre, content))
    write_shard(target / "image", "all", shard)
    names = [tensors.track_id for tensors in shard]
    count = len(names)
    labels = [tensors.label for tensors in shard]
    columns = {
        "track_id": names,
        "label": labels,
        "group": names,
        "part": ["all"] * count,
        "status": ["ok"] * count,
    }
    target.write_table("manifest.parquet", pa.table(columns))
    info = CacheInfo(
        format=FORMAT, source="images", parameters={}, fingerprint=uuid.uuid4().hex, versions={"numpy": "0"}
    )
    target.write_json("cache.json", info.model_dump(mode="json"))
    return folder


def picture_task(folder: Path, *, folds: int = 1) -> Task:
    """Return the task of a search on a cache."""
    rows: Rows = Cache.open(folder).rows("image")
    return search_task(rows, make_split(rows.tracks(), folds=folds, test_fraction=0.2, seed=0))
