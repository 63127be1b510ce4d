"""Plan and run the preparation of a cache: only new or changed files are analysed, and no work is lost.

Each batch of files becomes a part, which its worker writes under ``parts/``. The complete parts are merged
with the old cache; ``cache.json`` is written last, then the parts are deleted. If a run is killed, the old
cache is unchanged and the next run uses its parts. If a run is killed while the tables are replaced, the
cache cannot be opened until the next run has finished it.
"""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from data.analysis.embeddings import ENCODERS
from data.analysis.encoders.catalogue import EncoderFiles
from data.analysis.parameters import Parameters, extended
from data.audio.decode import DECODING, RECODED_SINCE
from data.cache.cache import Cache
from data.cache.fingerprints import fingerprint
from data.cache.format import CacheInfo, tables_agree
from data.cache.partition import stored_sides
from data.cache.shards import tidy_shards
from data.collection.groups import kept_groups
from data.collection.source_file import SourceFile
from data.errors import AudioError, CacheError
from data.io.folder import Folder
from data.pipeline.file_states import FileStates, State
from data.pipeline.merge import assemble
from data.pipeline.parts import Parts
from data.pipeline.ray_map import node, spread
from data.pipeline.worker import Batch, analyse_batch

_BATCH = (4, 64)
"""Minimum and maximum number of files in a batch."""
_BATCH_BYTES = 1 << 27
"""Maximum size of the files of a batch after the first one, because a worker keeps its tensors in memory."""
_SMALL = 40
"""Number of files up to which the analysis takes less time than starting other processes."""


@dataclass
class Preparation:
    """The preparation of a cache: `plan` it, `run` it, then `finish` it.

    Attributes
    ----------
    folder : Folder
        The cache.
    parameters : Parameters
        Parameters of the analysis, including the tensors that the cache already has.
    files : sequence of SourceFile
        All files of the collection.
    source : str
        ``"audio"``, ``"demo"`` for synthesised files, or ``"images"``.
    todo : list of SourceFile
        Files to analyse.
    cached : dict of str to str
        Tracks of `todo` that only lack tensors, with the part of the tensors that the cache already has.
    cached_kinds : tuple of str
        Kinds of tensors that the cache already has.
    skipped : list of (str, str)
        Path and reason of each unusable file of this run.
    unusable : dict of str to str
        Reason for each unchanged file that an earlier run could not use.
    with_old : bool
        Whether an old cache exists whose tables belong together.
    nodes : set of str
        IDs of the cluster nodes that analysed files; empty without a cluster.
    encoders : sequence of EncoderFiles
        Encoders whose files the cache lacks.
    decoding : int
        Version of the choice of decoders to store; see `data.audio.decode.DECODING`.
    """

    folder: Folder
    parameters: Parameters
    files: Sequence[SourceFile]
    source: Literal["audio", "demo", "images"] = "audio"
    todo: list[SourceFile] = field(default_factory=list)
    cached: dict[str, str] = field(default_factory=dict)
    cached_kinds: tuple[str, ...] = ()
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
        files: Sequence[SourceFile],
        parameters: Parameters,
        *,
        source: Literal["audio", "demo", "images"] = "audio",
        encoders: Sequence[EncoderFiles] = (),
    ) -> Preparation:
        """Compare the files with the cache and with the parts of an interrupted run.

        A file is unchanged if it has the same size, and the same modification time or content. Requested
        tensors that the cache lacks are made for all files.

        Raises
        ------
        CacheError
            If the folder contains a cache of another source or with other parameters.
        """
        folder = Folder.at(uri)
        embeddings = {encoder.name: encoder.embedding for encoder in encoders}
        parameters = parameters.model_copy(update={"embeddings": embeddings})
        info = Cache.open(uri).info if folder.exists("cache.json") else None
        if info is not None:
            _require_source(info, folder, source)
            parameters = extended(info.parameters, parameters, f"--cache {folder.uri}")
        with_old = info is not None and tables_agree(folder, source)
        cached_encoders = {} if info is None else info.parameters.get("embeddings", {})
        preparation = cls(folder, parameters, files, source, with_old=with_old)
        preparation.encoders = [encoder for encoder in encoders if encoder.name not in cached_encoders]
        known = FileStates.of(
            files, folder, preparation._parts, with_old=with_old, with_features=source != "images"
        )
        preparation.unusable = known.unusable
        lacks_tensors = False
        if info is not None:
            before = Parameters.model_validate(info.parameters)
            lacks_tensors = before != parameters
            preparation.cached_kinds = before.tensor_kinds
        part_of = preparation._parts_of_old() if lacks_tensors and with_old else {}
        for file, state in zip(files, known.states, strict=True):
            if state == State.IN_CACHE and lacks_tensors:
                preparation.cached[file.track_id] = part_of.get(file.track_id) or ""
            elif state != State.NEW:
                continue
            preparation.todo.append(file)
        if info is not None and source == "audio":
            preparation._choose_decoding(info)
        return preparation

    def _choose_decoding(self, info: CacheInfo) -> None:
        """Keep the decoding version of an old cache; refuse to decode more files in another way.

        Raises
        ------
        CacheError
            If the cache contains files of formats that are now decoded by another library, and more such
            files must be decoded.
        """
        if info.decoding == DECODING:
            return
        todo = {file.track_id for file in self.todo}
        recoded = [file for file in self.files if Path(file.path).suffix.lower() in RECODED_SINCE]
        decoded = [file for file in recoded if file.track_id in todo]
        unchanged = [file for file in recoded if file.track_id not in todo or file.track_id in self.cached]
        if not unchanged:
            return
        if decoded:
            raise CacheError(
                f"--cache {self.folder.uri}: an older version decoded its {len(unchanged)} compressed files"
                f" with another library; choose a new folder, so that they and {decoded[0].track_id} are"
                " decoded in the same way"
            )
        self.decoding = info.decoding

    def run(self, *, workers: int | None, address: str | None, strict: bool) -> Iterator[int]:
        """Analyse new and changed files; yield the number of files of each finished batch.

        Raises
        ------
        AudioError
            If `strict`, for the first unusable file of this run or an earlier one.
        CacheError
            If the cache cannot be written, or a cluster node cannot access the files or the cache.
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
        """Merge the parts and the old cache into the new cache.

        Parameters
        ----------
        groups : mapping of str to str, optional
            Group of each track; a track without one is its own group. By default, the groups of the cache.
        splits : mapping of str to str, optional
            Side of each track of a given partition; by default, the sides of the cache.

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
        """Refuse a node that does not share the disks of this process."""
        if not self._parts.folder.exists(f"{done.part}.parquet"):
            raise CacheError(
                f"--cache {self.folder.uri}: files that node {done.host} wrote there are not visible here;"
                " choose a folder that all nodes share, or a bucket (s3://...)"
            )
        for path, reason in done.skipped:
            if "No such file" in reason and Path(path).exists():
                raise CacheError(
                    f"{path}: node {done.host} does not see this file; put the collection where all nodes"
                    " of the cluster see it under the same path"
                )

    @property
    def _parts(self) -> Parts:
        # Parts of other parameters are in other folders, so they never mix.
        key = fingerprint(self.parameters.model_dump())[:16]
        return Parts(self.folder / "parts" / key)

    def _parts_of_old(self) -> dict[str, str]:
        """Part with the tensors of each track of the cache."""
        manifest = self.folder.read_table("manifest.parquet", ["track_id", "part"])
        return dict(zip(manifest["track_id"].to_pylist(), manifest["part"].to_pylist(), strict=True))

    def _batches(self, workers: int | None) -> list[Batch]:
        smallest, largest = _BATCH
        size = max(smallest, min(largest, len(self.todo) // (8 * (workers or 8))))
        first = self._parts.next_number()
        chunks: list[list[SourceFile]] = []
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
                {file.track_id: self.cached[file.track_id] for file in files if file.track_id in self.cached},
                self.cached_kinds,
            )
            for number, files in enumerate(chunks)
        ]


def _require_usable(skipped: Iterable[tuple[str, str]]) -> None:
    for path, reason in skipped:
        raise AudioError(f"{path}: {reason} (--strict: fix or remove it)")


def _require_source(info: CacheInfo, folder: Folder, source: str) -> None:
    if info.source != source:
        raise CacheError(
            f"--cache {folder.uri}: contains data of another source ({info.source}); choose a new folder"
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
