"""From files to a cache: only what is new or changed is analysed, and what was done is never lost.

Each batch of files becomes a part, written whole under ``parts/`` by whoever analysed it. When all parts are
there they are put together with what the cache held before; ``cache.json`` is written last and the parts are
deleted after it. A run that is killed leaves the old cache as it was, and its parts to the next run.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from data.analysis import Batch, analyse_batch, file_digest, manifest_extras
from data.assembly import Parts, assemble
from data.cache import Cache, CacheInfo, fingerprint
from data.errors import AudioError, CacheError
from data.files import Folder
from data.parameters import Parameters
from data.scan import Found
from data.shards import tidy_shards
from data.spread import spread
from data.writing import manifest_schema

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = (4, 64)
"""Fewest and most files of a batch."""
_BATCH_BYTES = 1 << 27
"""Bytes of audio files, beyond the first one, at which a batch ends: a worker holds its tensors in memory."""
_SMALL = 40
"""Up to so many files are analysed sooner than other processes are started."""


@dataclass
class Preparation:
    """A cache in the making.

    Attributes
    ----------
    folder : Folder
        Where the cache lies.
    parameters : Parameters
        How audio is analysed.
    files : sequence of Found
        All files of the collection.
    source : str
        ``"audio"``, ``"demo"`` where the files were synthesised, or ``"images"`` where they are pictures.
    todo : list of Found
        Those that must be analysed.
    skipped : list of (str, str)
        Path and reason of each file that could not be used in this run.
    """

    folder: Folder
    parameters: Parameters
    files: Sequence[Found]
    source: Literal["audio", "demo", "images"] = "audio"
    todo: list[Found] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def plan(
        cls,
        uri: str,
        files: Sequence[Found],
        parameters: Parameters,
        *,
        source: Literal["audio", "demo", "images"] = "audio",
    ) -> Preparation:
        """Compare the files with what the cache, or an interrupted run, holds already.

        A file is taken for unchanged if its size and time are, or else its content.

        Raises
        ------
        CacheError
            If the folder holds a cache of another source, or one made with other parameters.
        """
        preparation = cls(Folder.at(uri), parameters, files, source)
        known = preparation._known()
        for file in files:
            size, mtime_ns, digest = known.get(file.track_id, (None, None, ""))
            same = (size, mtime_ns) == (file.size, file.mtime_ns) and size != -1
            if not same and not (digest and size == file.size and file_digest(file.path) == digest):
                preparation.todo.append(file)
        return preparation

    def run(self, *, workers: int | None, address: str | None, strict: bool) -> Iterator[int]:
        """Analyse what must be; yield the number of files of each batch as it is done.

        Raises
        ------
        AudioError
            If `strict`, at the first file that cannot be used.
        CacheError
            If the cache cannot be written.
        """
        if workers is None and address is None and len(self.todo) <= _SMALL:
            workers = 1
        work = partial(_analyse, parameters=self.parameters, cache=self.folder, parts=self._parts.folder)
        try:
            for count, skipped in spread(work, self._batches(workers), workers=workers, address=address):
                self.skipped += skipped
                if strict and skipped:
                    path, reason = skipped[0]
                    raise AudioError(f"{path}: {reason} (--strict: mend it or take it away)")
                yield count
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def finish(self, groups: Mapping[str, str]) -> CacheInfo:
        """Put the parts and the old cache together and write the new one.

        Parameters
        ----------
        groups : mapping of str to str
            Group of each track that was given one; the others are their own.

        Raises
        ------
        CacheError
            If fewer than two genres have a usable file, or the cache cannot be written.
        """
        try:
            info = assemble(
                self.folder,
                self._parts,
                self.files,
                groups,
                self.parameters,
                self._manifest(),
                source=self.source,
            )
            tidy_shards(self.folder)
            self.folder.remove_tree("parts")
            self.folder.remove_unfinished()
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        return info

    @property
    def _parts(self) -> Parts:
        # Parts of other parameters lie elsewhere, so that they never mix.
        key = fingerprint(self.parameters.model_dump())[:16]
        return Parts(self.folder / "parts" / key)

    def _manifest(self) -> pa.Table | None:
        """Manifest of the cache that is there; None if there is none."""
        if not self.folder.exists("cache.json"):
            return None
        info = Cache.open(self.folder.uri).info
        if info.source != self.source:
            raise CacheError(
                f"--cache {self.folder.uri}: holds data of another source ({info.source}); name a new folder"
            )
        if info.parameters != self.parameters.model_dump():
            raise CacheError(
                f"--cache {self.folder.uri}: was made with other parameters ({info.parameters});"
                " name a new folder, or give the same options"
            )
        table = self.folder.read_table("manifest.parquet")
        return table.select([*manifest_schema().names, *(name for name, _ in manifest_extras())])

    def _known(self) -> dict[str, tuple[int | None, int | None, str]]:
        """Size, time and digest of each file that was analysed already."""
        old = self._manifest()
        known: dict[str, tuple[int | None, int | None, str]] = {}
        columns = ["track_id", "bytes", "mtime_ns", "file_sha256"]
        for table in (*([] if old is None else [old]), *self._parts.tables(columns)):
            values = (table[column].to_pylist() for column in columns)
            known.update({row[0]: (row[1], row[2], row[3]) for row in zip(*values, strict=True)})
        return known

    def _batches(self, workers: int | None) -> list[Batch]:
        smallest, largest = _BATCH
        size = max(smallest, min(largest, len(self.todo) // (8 * (workers or 8))))
        first = self._parts.next_number()
        chunks: list[list[Found]] = []
        room = 0
        for file in self.todo:
            if not chunks or len(chunks[-1]) == size or file.size > room:
                chunks.append([])
                room = _BATCH_BYTES
            chunks[-1].append(file)
            room -= file.size
        return [
            Batch(f"{first + number:08d}-{uuid.uuid4().hex[:8]}", files)
            for number, files in enumerate(chunks)
        ]


def _analyse(
    batch: Batch, parameters: Parameters, cache: Folder, parts: Folder
) -> tuple[int, list[tuple[str, str]]]:
    return len(batch.files), analyse_batch(batch, parameters, cache, parts)


def _unwritable(folder: Folder, error: OSError) -> CacheError:
    return CacheError(
        f"--cache {folder.uri}: cannot be written ({error.strerror or error}); mend that and run the same"
        " command again, what is done is kept"
    )
