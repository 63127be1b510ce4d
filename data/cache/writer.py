"""Write a cache: first the tables, then ``cache.json``; all store the same fingerprint."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from data.analysis.feature_names import FEATURES
from data.analysis.parameters import Parameters
from data.cache.fingerprints import USABLE, collection_fingerprint, preparation_fingerprint
from data.cache.format import FINGERPRINT, CacheInfo
from data.cache.partition import GIVEN_SPLIT
from data.cache.rows import KEYS
from data.errors import CacheError
from data.io.folder import Folder

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = (
    "track_id",
    "path",
    "label",
    "group",
    "duration_s",
    "sample_rate",
    "sha256",
    "status",
    "reason",
)
"""First columns of every manifest: one row per file, lengths in seconds, rates in Hz."""

GIVEN_GROUP = "given_group"
"""Column of a manifest: the user's group of a file, null if none."""

OK = USABLE
SKIPPED = "skipped"

_LIBRARIES = ("av", "librosa", "numpy", "pyarrow", "scipy", "soundfile", "soxr")


def feature_schema() -> pa.Schema:
    """Arrow schema of ``features.parquet``."""
    keys = {"track_id": pa.string(), "segment": pa.int32(), "label": pa.string(), "group": pa.string()}
    return pa.schema([(name, keys[name]) for name in KEYS] + [(name, pa.float64()) for name in FEATURES])


def manifest_schema() -> pa.Schema:
    """Arrow schema of the fixed columns of ``manifest.parquet``."""
    numbers = {"duration_s": pa.float64(), "sample_rate": pa.int32()}
    return pa.schema([(name, numbers.get(name, pa.string())) for name in MANIFEST])


def write_features(
    uri: str | Path,
    *,
    features: pd.DataFrame,
    manifest: pd.DataFrame,
    source: Literal["audio", "demo", "features-csv"],
    parameters: Parameters,
    synthetic: bool = False,
) -> CacheInfo:
    """Write a complete cache of features.

    Parameters
    ----------
    uri : str or Path
        The cache's folder, or a URI.
    features : DataFrame
        One row per segment, with the columns `KEYS` and `FEATURES`.
    manifest : DataFrame
        One row per file, with the columns `MANIFEST` and `GIVEN_GROUP`, and `GIVEN_SPLIT` if the collection
        has a partition; others are ignored. ``status`` is
        `OK` or `SKIPPED`, ``reason`` is empty if `OK`, ``sha256`` identifies the content of the track.
    source : str
        Source of the rows.
    parameters : Parameters
        Parameters of the analysis.
    synthetic : bool
        Whether the audio was synthesised.

    Returns
    -------
    CacheInfo
        Content of ``cache.json``.

    Raises
    ------
    CacheError
        If a column is missing or a table has no rows.
    """
    for name, frame, columns in (
        ("features", features, (*KEYS, *FEATURES)),
        ("manifest", manifest, (*MANIFEST, GIVEN_GROUP)),
    ):
        missing = [column for column in columns if column not in frame.columns]
        if missing:
            raise CacheError(f"{uri}: the table of {name} lacks the column {missing[0]!r}")
        if frame.empty:
            raise CacheError(f"{uri}: the table of {name} has no rows")
    folder = Folder.at(uri)
    optional_columns = {GIVEN_GROUP: pa.string(), GIVEN_SPLIT: pa.string()}
    schema = pa.schema([*manifest_schema(), *optional_columns.items()])
    manifest = manifest if GIVEN_SPLIT in manifest else manifest.assign(**{GIVEN_SPLIT: None})
    table = pa.Table.from_pandas(manifest, schema=schema, preserve_index=False)
    collection = collection_fingerprint([table.sort_by("track_id")])
    info = CacheInfo(
        source=source,
        synthetic=synthetic,
        parameters=parameters.model_dump(),
        fingerprint=preparation_fingerprint(parameters.model_dump(), collection),
        collection=collection,
        versions=versions(),
    )
    metadata = {FINGERPRINT: info.fingerprint.encode()}
    rows = pa.Table.from_pandas(features, schema=feature_schema(), preserve_index=False)
    with folder.writing_all(["features.parquet", "manifest.parquet"]) as streams:
        for stream, content in zip(streams, (rows, table), strict=True):
            pq.write_table(content.replace_schema_metadata(metadata), stream)
    write_info(folder, info)
    return info


def write_info(folder: Folder, info: CacheInfo) -> None:
    """Write ``cache.json``, which completes the cache."""
    folder.write_json("cache.json", info.model_dump())


def versions() -> dict[str, str]:
    """Versions of the libraries that determine the numbers of a cache."""
    installed = {}
    for name in _LIBRARIES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            installed[name] = "unknown"
    return installed
