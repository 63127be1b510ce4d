"""Compare the files of a collection with a cache and with the parts of an interrupted run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import pyarrow as pa
import pyarrow.compute as pc

from data.cache.writer import OK
from data.collection.source_file import SourceFile
from data.io.folder import Folder, printable
from data.pipeline.parts import CHUNK, Parts
from data.pipeline.worker import file_digest

_COLUMNS = ("track_id", "label", "bytes", "mtime_ns", "file_sha256", "status", "reason")


class State(IntEnum):
    """What the cache and the parts contain of a file."""

    NEW = 0
    """Nothing, or only rows of an older content."""
    COMPLETE = 1
    """Everything: a part of this preparation, or the reason why the file is unusable."""
    IN_CACHE = 2
    """A row of the cache, which may lack requested tensors."""


@dataclass(frozen=True)
class FileStates:
    """States of all files of a collection.

    Attributes
    ----------
    states : bytearray
        `State` of each file, in the order of the files; one byte each, for collections of millions.
    unusable : dict of str to str
        Reason for each unchanged file that an earlier run could not use.
    """

    states: bytearray
    unusable: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, files: Sequence[SourceFile], folder: Folder, parts: Parts, *, with_old: bool, with_features: bool
    ) -> FileStates:
        """Compare files with a cache and with parts.

        Parameters
        ----------
        files : sequence of SourceFile
            The files.
        folder : Folder
            The cache; its manifest is read if `with_old`.
        parts : Parts
            Parts of interrupted runs with the same parameters; a part overrides the cache.
        with_old : bool
            Whether an old cache exists whose tables belong together.
        with_features : bool
            Whether tracks have features: audio has, images do not.
        """
        result = cls(bytearray(len(files)))
        number_of = {file.track_id: number for number, file in enumerate(files)}
        if with_old:
            manifest = folder.parquet("manifest.parquet")
            for batch in manifest.iter_batches(CHUNK, columns=list(_COLUMNS)):
                result._update(files, number_of, batch, State.IN_CACHE)
        for table in _usable_rows(parts, with_old=with_old, with_features=with_features):
            result._update(files, number_of, table, State.COMPLETE)
        return result

    def _update(
        self,
        files: Sequence[SourceFile],
        number_of: dict[str, int],
        table: pa.Table | pa.RecordBatch,
        usable_state: State,
    ) -> None:
        rows = (table[column].to_pylist() for column in _COLUMNS)
        for track, label, size, mtime_ns, digest, status, reason in zip(*rows, strict=True):
            number = number_of.get(track)
            if number is None:
                continue
            file = files[number]
            # Shards of tensors store labels too, so a track with another label is analysed again.
            is_current = label == file.label and _is_unchanged(file, size, mtime_ns, digest)
            # A file without a digest could not be opened, so its content is unknown.
            is_current = is_current and (status == OK or digest != "")
            path = printable(file.where)
            self.unusable.pop(path, None)
            if not is_current:
                self.states[number] = State.NEW
            elif status == OK:
                self.states[number] = usable_state
            else:
                self.states[number] = State.COMPLETE
                self.unusable[path] = reason


def _usable_rows(parts: Parts, *, with_old: bool, with_features: bool) -> Iterator[pa.Table]:
    """Read the rows of the parts, without those that lack features because a lost cache has them."""
    if with_old or not with_features:
        yield from parts.tables(_COLUMNS)
        return
    for table in parts.tables([*_COLUMNS, "features"]):
        yield table.filter(pc.or_(pc.is_valid(table["features"]), pc.not_equal(table["status"], OK)))


def _is_unchanged(file: SourceFile, size: int, mtime_ns: int, digest: str) -> bool:
    """Whether a file still has this size, and this modification time or digest."""
    if size != file.size:
        return False
    if mtime_ns == file.mtime_ns and file.size != -1:
        return True
    return digest != "" and file_digest(file.path) == digest
