"""A small cache with tensors that a small network can classify, written like `data.prepare` writes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from data.analysis.feature_names import FEATURES
from data.analysis.parameters import Melspec, Parameters, Picture
from data.cache.fingerprints import fingerprint
from data.cache.format import FORMAT, CacheInfo
from data.cache.shards import TrackTensors, write_shard
from data.io.folder import Folder
from tests.support.rows import GENRES, make_rows

BANDS, FRAMES, SIZE = 16, 21, 32
"""Sizes of the tensors; FRAMES are 0.5 s."""


def write_tensor_cache(folder: Path, *, tracks: int = 12, windows: int = 2, seed: int = 0) -> Path:
    """Write features, spectrograms and images of three genres, each loud in its own third of the bands."""
    rng = np.random.default_rng(seed)
    target = Folder.at(folder)
    rows = make_rows(tracks=tracks)
    shards: dict[str, list[TrackTensors]] = {"melspec": [], "image": []}
    for track, label in zip(rows.track_id, rows.label, strict=True):
        third = GENRES.index(label)
        mel = -40 + 10 * rng.normal(size=(windows, BANDS, FRAMES))
        mel[:, third * 5 : third * 5 + 5] += 12
        shards["melspec"].append(TrackTensors(track, label, mel.astype(np.float16)))
        picture = rng.integers(0, 160, size=(1, SIZE, SIZE, 3))
        picture[:, third * 10 : third * 10 + 10] += 90
        shards["image"].append(TrackTensors(track, label, picture.astype(np.uint8)))
    for kind, tensors in shards.items():
        write_shard(target / kind, "0", tensors)
    keys = {"track_id": rows.track_id, "segment": rows.segment, "label": rows.label, "group": rows.group}
    columns = dict(zip(FEATURES, rows.X.T, strict=True))
    target.write_table("features.parquet", pa.table({**keys, **columns}))
    count = len(rows.track_id)
    manifest = {
        "track_id": rows.track_id,
        "group": rows.group,
        "part": ["0"] * count,
        "status": ["ok"] * count,
    }
    target.write_table("manifest.parquet", pa.table(manifest))
    parameters = Parameters(
        melspec=Melspec(seconds=0.5, n_mels=BANDS), image=Picture(seconds=1.0, size=SIZE, n_mels=BANDS)
    )
    info = CacheInfo(
        format=FORMAT,
        source="audio",
        parameters=parameters.model_dump(),
        fingerprint=fingerprint([str(folder), tracks, windows, seed]),
        versions={},
    )
    target.write_json("cache.json", info.model_dump(mode="json"))
    return folder
