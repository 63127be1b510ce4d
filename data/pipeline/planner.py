"""Plan and run the preparation of a cache: only new or changed files are analysed, and no work is lost.

Each batch of files becomes a part, which its worker writes under ``parts/``. The complete parts are
merged with the old cache; ``cache.json`` is written last, then the parts are deleted. A run that is killed
leaves its parts to the next run, and the old cache unchanged. If it is killed while the tables are replaced,
the cache is refused until the next run has finished it.
"""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from data.analysis.embeddings import ENCODERS
from data.analysis.encoders.catalogue import EncoderFiles
from data.analysis.parameters import Parameters, extended
from data.audio.decode import DECODING, RECODED_SINCE
from data.cache.cache import Cache
from data.cache.fingerprints import fingerprint
from data.cache.format import CacheInfo, of_one_preparation
from data.cache.partition import stored_sides
from data.cache.shards import tidy_shards
from data.cache.writer import OK
from data.collection.groups import kept_groups
from data.collection.scan import Found
from data.errors import AudioError, CacheError
from data.io.folder import Folder, printable
from data.pipeline.merge import assemble
from data.pipeline.parts import CHUNK, Parts
from data.pipeline.ray_map import node, spread
from data.pipeline.worker import Batch, analyse_batch, file_digest

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = (4, 64)
"""Smallest and largest number of files in a batch."""
_BATCH_BYTES = 1 << 27
"""Bytes of audio files, beyond the first one, at which a batch ends: a worker holds its tensors in memory."""
_UNKNOWN, _HELD, _USABLE = range(3)
"""What is known of a file: nothing valid; everything required; features, but perhaps no tensors."""
_SMALL = 40
"""Up to this number, analysing the files takes less time than starting other processes."""


@dataclass
class Preparation:
    """The preparation of a cache.

    Attributes
    ----------
    folder : Folder
        The cache.
    parameters : Parameters
        How audio is analysed. New files get all kinds of tensors that the cache holds, requested or not.
    files : sequence of Found
        All files of the collection.
    source : str
        ``"audio"``, ``"demo"`` where the files were synthesised, or ``"images"`` where they are pictures.
    todo : list of Found
        Those that must be analysed.
    held : dict of str to str
        Tracks of `todo` whose features the cache holds, with the part of their tensors: they lack others.
    held_kinds : tuple of str
        Kinds of tensors that the cache holds.
    skipped : list of (str, str)
        Path and reason of each file that could not be used in this run.
    unusable : dict of str to str
        Reason for each file that an earlier run could not use and that has not changed.
    with_old : bool
        Whether there is an old cache whose rows can be kept because its tables belong together.
    nodes : set of str
        Nodes of the cluster that did the work; empty if this process did.
    encoders : sequence of EncoderFiles
        Encoders whose files the cache does not have yet.
    decoding : int
        Version of the choice of decoders that the cache states; see `data.audio.decode.DECODING`.
    """

    folder: Folder
    parameters: Parameters
    files: Sequence[Found]
    source: Literal["audio", "demo", "images"] = "audio"
    todo: list[Found] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    held_kinds: tuple[str, ...] = ()
    skipped: list[tuple[str, str]] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)
    with_old: bool = False
    nodes: set[str] = field(default_factory=set)
    encoders: Sequence[EncoderFiles] = ()
    decoding: int = DECODING

    @classmethod
    def plan(
        cls,
        uri: str,
        files: Sequence[Found],
        parameters: Parameters,
        *,
        source: Literal["audio", "demo", "images"] = "audio",
        encoders: Sequence[EncoderFiles] = (),
    ) -> Preparation:
        """Compare the files with the cache and with the parts of an interrupted run.

        A file is unchanged if its size and time are, or else its content. Requested tensors that the cache
        lacks are made for all files.

        Raises
        ------
        CacheError
            If the folder holds a cache of another source, or one made with other parameters.
        """
        folder = Folder.at(uri)
        embeddings = {encoder.name: encoder.embedding for encoder in encoders}
        parameters = parameters.model_copy(update={"embeddings": embeddings})
        info = Cache.open(uri).info if folder.exists("cache.json") else None
        if info is not None:
            _require_source(info, folder, source)
            parameters = extended(info.parameters, parameters, f"--cache {folder.uri}")
        with_old = info is not None and of_one_preparation(folder, source)
        held_encoders = {} if info is None else info.parameters.get("embeddings", {})
        preparation = cls(folder, parameters, files, source, with_old=with_old)
        preparation.encoders = [encoder for encoder in encoders if encoder.name not in held_encoders]
        known = preparation._known()
        lacking = False
        if info is not None:
            before = Parameters.model_validate(info.parameters)
            lacking = before != parameters
            preparation.held_kinds = before.tensor_kinds
        part_of = preparation._parts_of_old() if lacking and with_old else {}
        for number, file in enumerate(files):
            if known[number] == _USABLE and lacking:
                preparation.held[file.track_id] = part_of.get(file.track_id) or ""
            elif known[number] != _UNKNOWN:
                continue
            preparation.todo.append(file)
        if info is not None and source == "audio":
            preparation._settle_decoding(info)
        return preparation

    def _settle_decoding(self, info: CacheInfo) -> None:
        """Keep the version of decoding of an old cache, and refuse to decode its other files in another way.

        Raises
        ------
        CacheError
            If the cache holds files of formats that are now decoded by another library, and more such files
            must be decoded.
        """
        if info.decoding == DECODING:
            return
        todo = {file.track_id for file in self.todo}
        recoded = [file for file in self.files if Path(file.path).suffix.lower() in RECODED_SINCE]
        decoded = [file for file in recoded if file.track_id in todo]
        kept = [file for file in recoded if file.track_id not in todo or file.track_id in self.held]
        if not kept:
            return
        if decoded:
            raise CacheError(
                f"--cache {self.folder.uri}: an older version decoded its {len(kept)} compressed files by"
                f" another library; name a new folder, so that they and {decoded[0].track_id} are decoded"
                " alike"
            )
        self.decoding = info.decoding

    def run(self, *, workers: int | None, address: str | None, strict: bool) -> Iterator[int]:
        """Analyse new and changed files; yield the number of files of each batch when it is done.

        Raises
        ------
        AudioError
            If `strict`, at the first file that cannot be used, in this run or an earlier one.
        CacheError
            If the cache cannot be written, or a node of the cluster does not see the files or the cache.
        """
        if strict:
            _require_usable(self.unusable.items())
        if workers is None and address is None and len(self.todo) <= _SMALL:
            workers = 1
        try:
            for encoder in self.encoders:
                encoder.copy_to(self.folder / ENCODERS / encoder.name)
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        work = partial(_analyse, parameters=self.parameters, cache=self.folder, parts=self._parts.folder)
        try:
            for done in spread(work, self._batches(workers), workers=workers, address=address):
                if address is not None:
                    self._require_shared(done)
                self.nodes |= {done.node} - {""}
                self.skipped += done.skipped
                if strict:
                    _require_usable(done.skipped)
                yield done.count
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def finish(
        self, groups: Mapping[str, str] | None = None, splits: Mapping[str, str] | None = None
    ) -> CacheInfo:
        """Merge the parts and the old cache, and write the new one.

        Parameters
        ----------
        groups : mapping of str to str, optional
            Group of each track that has one; any other track is a group of its own. By default, the groups
            that the cache was made with.
        splits : mapping of str to str, optional
            Side of each track that a given partition names; by default, those that the cache was made with.

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
                kept_groups(self.folder) if groups is None else groups,
                self.parameters,
                splits=stored_sides(self.folder) if splits is None else splits,
                with_old=self.with_old,
                source=self.source,
                decoding=self.decoding,
            )
            tidy_shards(self.folder)
            self.folder.remove_tree("parts")
            self.folder.remove_unfinished()
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        return info

    def _require_shared(self, done: _Done) -> None:
        """Refuse a node whose disks differ from those of this process."""
        if not self._parts.folder.exists(f"{done.part}.parquet"):
            raise CacheError(
                f"--cache {self.folder.uri}: files that node {done.host} wrote there are not visible here;"
                " name a folder that all nodes share, or a bucket (s3://...)"
            )
        for path, reason in done.skipped:
            if "No such file" in reason and Path(path).exists():
                raise CacheError(
                    f"{path}: node {done.host} does not see this file; put the collection where all nodes"
                    " of the cluster see it under the same path"
                )

    @property
    def _parts(self) -> Parts:
        # Parts of other parameters have other folders, so they never mix.
        key = fingerprint(self.parameters.model_dump())[:16]
        return Parts(self.folder / "parts" / key)

    def _known(self) -> bytearray:
        """State of each file in the cache and the parts."""
        known = bytearray(len(self.files))
        place = {file.track_id: number for number, file in enumerate(self.files)}
        columns = ["track_id", "label", "bytes", "mtime_ns", "file_sha256", "status", "reason"]
        # A part overrides the cache, even if the file has changed since.
        old = (
            self.folder.parquet("manifest.parquet").iter_batches(CHUNK, columns=columns)
            if self.with_old
            else []
        )
        for tables, usable_state in ((old, _USABLE), (self._whole_rows(columns), _HELD)):
            for table in tables:
                rows = (table[column].to_pylist() for column in columns)
                for track, label, size, mtime_ns, digest, status, reason in zip(*rows, strict=True):
                    if (number := place.get(track)) is not None:
                        path = printable(self.files[number].where)
                        # Without a digest the file could not be opened, so its content is unknown.
                        readable = status == OK or digest != ""
                        # Shards of tensors store labels too, so a track with another label is analysed again.
                        same_label = label == self.files[number].label
                        held = (
                            readable and same_label and _unchanged(self.files[number], size, mtime_ns, digest)
                        )
                        known[number] = (usable_state if status == OK else _HELD) if held else _UNKNOWN
                        self.unusable.pop(path, None)
                        if held and status != OK:
                            self.unusable[path] = reason
        return known

    def _parts_of_old(self) -> dict[str, str]:
        """Part that holds the tensors of each track in the cache."""
        manifest = self.folder.read_table("manifest.parquet", ["track_id", "part"])
        return dict(zip(manifest["track_id"].to_pylist(), manifest["part"].to_pylist(), strict=True))

    def _whole_rows(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Columns of the parts, without rows whose features are in an old cache that cannot be used."""
        import pyarrow.compute as pc

        if self.with_old or self.source == "images":
            yield from self._parts.tables(columns)
            return
        for table in self._parts.tables([*columns, "features"]):
            yield table.filter(pc.or_(pc.is_valid(table["features"]), pc.not_equal(table["status"], OK)))

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
            Batch(
                f"{first + number:08d}-{uuid.uuid4().hex[:8]}",
                files,
                {file.track_id: self.held[file.track_id] for file in files if file.track_id in self.held},
                self.held_kinds,
            )
            for number, files in enumerate(chunks)
        ]


def _require_usable(skipped: Iterable[tuple[str, str]]) -> None:
    for path, reason in skipped:
        raise AudioError(f"{path}: {reason} (--strict: fix or remove it)")


def _unchanged(file: Found, size: int, mtime_ns: int, digest: str) -> bool:
    """Whether a file still has this size and time, or this digest."""
    if size != file.size:
        return False
    if mtime_ns == file.mtime_ns and file.size != -1:
        return True
    return digest != "" and file_digest(file.path) == digest


def _require_source(info: CacheInfo, folder: Folder, source: str) -> None:
    if info.source != source:
        raise CacheError(
            f"--cache {folder.uri}: holds data of another source ({info.source}); name a new folder"
        )


@dataclass(frozen=True)
class _Done:
    """Result of a batch: its part, number of files, skipped files, and the node that analysed it."""

    part: str
    count: int
    skipped: list[tuple[str, str]]
    node: str
    host: str


def _analyse(batch: Batch, parameters: Parameters, cache: Folder, parts: Folder) -> _Done:
    skipped = analyse_batch(batch, parameters, cache, parts)
    return _Done(batch.name, len(batch.files), skipped, node(), socket.gethostname())


def _unwritable(folder: Folder, error: OSError) -> CacheError:
    return CacheError(
        f"--cache {folder.uri}: cannot be written ({error.strerror or error}); fix that and run the same"
        " command again; finished work is kept"
    )
