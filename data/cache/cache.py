"""Open a cache for reading; `data.cache.format` describes its files."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from data.analysis.feature_names import FEATURES
from data.analysis.kinds import EMBEDDED, EMBEDDING_PREFIX, FEATURE_KIND, Kind, kinds_in
from data.cache import fingerprints
from data.cache.format import READABLE_FORMATS, CacheInfo, how_to_make, interrupted, require_current
from data.cache.rows import KEYS, Origin, Rows, joined
from data.cache.tensor_reader import read_tables, read_tensors
from data.errors import CacheError
from data.io.command_names import command_name
from data.io.documents import require_format, validated
from data.io.folder import Folder


@dataclass(frozen=True)
class Cache:
    """A cache that is open for reading.

    Attributes
    ----------
    folder : Folder
        The folder of the cache.
    info : CacheInfo
        Content of ``cache.json``.
    """

    folder: Folder
    info: CacheInfo

    @classmethod
    def open(cls, uri: str | Path) -> Cache:
        """Open the cache at a path or URI.

        Raises
        ------
        CacheError
            If the cache does not exist, cannot be read, or has another format.
        """
        folder = Folder.at(uri)
        try:
            content = folder.read_json("cache.json")
        except FileNotFoundError as error:
            if folder.exists("parts"):
                raise interrupted(folder) from error
            raise CacheError(
                f"{uri}: no cache here (no cache.json); make one with"
                f" '{command_name('data.prepare')} --audio DIR --cache {shlex.quote(str(uri))}'"
            ) from error
        except (NotADirectoryError, PermissionError) as error:
            raise CacheError(
                f"{uri}: cannot be read ({error.strerror or error}); give the folder of a cache"
            ) from error
        where, advice = f"{uri}/cache.json", "prepare the cache again in a new folder"
        require_format(content, READABLE_FORMATS, where=where, error=CacheError, advice=advice)
        return cls(folder, validated(CacheInfo, content, where=where, error=CacheError, advice=advice))

    @cached_property
    def collection(self) -> str:
        """Fingerprint of the collection: tracks, content, labels and groups.

        Raises
        ------
        CacheError
            If the manifest of a cache of version 1 is damaged or does not belong to ``cache.json``.
        """
        if self.info.collection is not None:
            return self.info.collection
        try:
            manifest = self.folder.parquet("manifest.parquet")
        except FileNotFoundError:
            manifest = None
        columns = list(fingerprints.COLUMNS)
        if manifest is None or not set(columns) <= set(manifest.schema_arrow.names):
            # The only remaining way to distinguish this cache from others.
            return self.info.fingerprint
        require_current(manifest, self.info.fingerprint, self.folder)
        return fingerprints.collection_fingerprint([manifest.read(columns).sort_by("track_id")])

    def input_fingerprint(self, kind: Kind) -> str:
        """Fingerprint of one kind of input; see `data.cache.fingerprints.input_fingerprint`."""
        return fingerprints.input_fingerprint(kind, self.info.parameters, self.collection)

    @cached_property
    def features(self) -> Rows:
        """The 57 published features, one row per segment.

        Raises
        ------
        CacheError
            If the cache has no features, or their table lacks a column, contains a number that is not finite,
            or does not belong to ``cache.json``.
        """
        name = f"{self.folder.uri}/features.parquet"
        try:
            require_current(self.folder.parquet("features.parquet"), self.info.fingerprint, self.folder)
            table = self.folder.read_table("features.parquet")
        except FileNotFoundError as error:
            raise CacheError(f"{name}: missing; {how_to_make(self.folder, self.info.source)}") from error
        missing = [column for column in (*KEYS, *FEATURES) if column not in table.column_names]
        if missing:
            raise CacheError(f"{name}: no column {missing[0]!r}; prepare the cache again")
        X = np.column_stack([table[column].to_numpy() for column in FEATURES]).astype(np.float64)
        if not np.isfinite(X).all():
            row, column = np.argwhere(~np.isfinite(X))[0]
            track = table["track_id"][int(row)].as_py()
            raise CacheError(f"{name}: {FEATURES[column]} of track {track} is not finite; prepare it again")
        X.flags.writeable = False
        return replace(Rows.of(X, table), blocks=((FEATURE_KIND, len(FEATURES)),))

    @cached_property
    def melspec(self) -> Rows:
        """Log-mel spectrograms: float16 dB, shape (n, n_mels, n_frames), one per window.

        ``X`` is mapped from files that all processes of a node share, so only rows in use take memory, and
        only once; ``segment`` counts the windows of a track.

        Raises
        ------
        CacheError
            If the cache has no spectrograms, or a shard is missing or damaged.
        """
        return self._tensors("melspec")

    @cached_property
    def image(self) -> Rows:
        """Images: uint8 RGB, shape (n, height, width, 3), one per window; mapped like `melspec`."""
        return self._tensors("image")

    @property
    def encoder_weights(self) -> dict[str, str]:
        """SHA-256 of the weights of each encoder, by its name."""
        embeddings = self.info.parameters.get("embeddings", {})
        return {name: str(embeddings[name]["sha256"]) for name in sorted(embeddings)}

    def kind_of(self, reads: Kind) -> Kind:
        """Resolve the input of a family: `EMBEDDED` becomes features and all embeddings of this cache.

        Raises
        ------
        CacheError
            If the family reads embeddings and the cache has none.
        """
        if reads != EMBEDDED:
            return reads
        if not self.encoder_weights:
            where = how_to_make(self.folder, self.info.source, "embedding musicnn")
            raise CacheError(f"{self.folder.uri}: has no embeddings; {where}")
        return "+".join([FEATURE_KIND, *(f"{EMBEDDING_PREFIX}{name}" for name in self.encoder_weights)])

    def tables(self, kind: Kind) -> Iterator[pa.Table]:
        """Yield tensors as Arrow tables, one per shard: key columns, and ``tensor`` as a fixed-shape tensor.

        Raises
        ------
        CacheError
            If the cache has no such tensors, or a shard is missing or damaged.
        """
        return read_tables(self.folder, kind, self.info.fingerprint)

    def rows(self, kind: Kind) -> Rows:
        """Read the rows of a kind of input.

        Parameters
        ----------
        kind : str
            ``features``, ``melspec``, ``image`` or ``embedding-NAME``. Features and embeddings can be joined
            by ``+``, which concatenates their columns as float32. `EMBEDDED` means features and all
            embeddings.

        Raises
        ------
        CacheError
            If the cache has no such input, or one of its tables is missing or damaged.
        """
        kinds = kinds_in(self.kind_of(kind))
        if len(kinds) > 1:
            return joined([self.rows(name) for name in kinds], self.folder.uri)
        match kind:
            case "features":
                return self.features
            case "melspec":
                return self.melspec
            case "image":
                return self.image
        rows = self._tensors(kind)
        X = np.asarray(rows.X[np.arange(len(rows.X))])
        X.flags.writeable = False
        return replace(rows, X=X, blocks=((kind, X.shape[1]),), origin=None)

    def _tensors(self, kind: Kind) -> Rows:
        uri = self.folder.path if self.folder.is_local else self.folder.uri
        key = self.input_fingerprint(kind)
        rows = read_tensors(self.folder, kind, self.info.fingerprint, key)
        return replace(rows, origin=Origin(uri, kind, key))
