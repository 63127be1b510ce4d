"""Read and write folders on local disks and in buckets; files are always written completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from data.errors import CacheError, HarnessError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.fs
    import pyarrow.parquet as pq

_UNFINISHED = ".tmp-"
"""Prefix of the names of incomplete files."""


@dataclass(frozen=True)
class Folder:
    """A folder of a file system that pyarrow supports.

    Attributes
    ----------
    uri : str
        The user's input: a local path, or a URI such as ``s3://bucket/prefix``.
    filesystem : pyarrow.fs.FileSystem
        The file system that holds the folder.
    path : str
        The folder's path inside `filesystem`.
    """

    uri: str
    filesystem: pyarrow.fs.FileSystem
    path: str

    @classmethod
    def at(cls, uri: str | Path) -> Folder:
        """Refer to a folder without creating or reading it.

        Parameters
        ----------
        uri : str or Path
            A local path, relative or absolute, or a URI (``s3://``, ``gs://``, ``file://``). The
            environment variables ``AWS_ENDPOINT_URL`` and ``AWS_REGION`` and the keys apply to ``s3://``.

        Raises
        ------
        CacheError
            If no file system supports the URI.
        """
        from pyarrow import fs

        text = str(uri)
        if "://" not in text:
            return cls(text, fs.LocalFileSystem(), str(Path(text).expanduser().absolute()))
        try:
            filesystem, path = fs.FileSystem.from_uri(_with_settings(text))
        except (ValueError, OSError, NotImplementedError) as error:
            raise CacheError(f"{text}: no file system for this address ({error})") from error
        return cls(text, filesystem, path)

    @property
    def is_local(self) -> bool:
        """Whether the folder is on a file system of this machine."""
        return bool(self.filesystem.type_name == "local")

    @property
    def local(self) -> Path:
        """The folder as a `Path`; only if `is_local`."""
        if not self.is_local:
            raise HarnessError(f"{self.uri}: not a folder of this machine; use a local path")
        return Path(self.path)

    def __truediv__(self, name: str) -> Folder:
        return Folder(f"{self.uri.rstrip('/')}/{name}", self.filesystem, f"{self.path}/{name}")

    def exists(self, name: str = "") -> bool:
        """Whether the folder, or the file or folder `name` in it, exists."""
        from pyarrow import fs

        return bool(self.filesystem.get_file_info(self._inside(name)).type != fs.FileType.NotFound)

    def names(self) -> list[str]:
        """Sorted names of the files and folders directly inside; empty if the folder does not exist.

        Unfinished files are ignored.
        """
        return sorted(name for name in self._listed() if not name.startswith(_UNFINISHED))

    def read(self, name: str) -> bytes:
        """Read the file `name`.

        Raises
        ------
        FileNotFoundError
            If it does not exist.
        """
        with self.filesystem.open_input_stream(self._inside(name)) as stream:
            return bytes(stream.read())

    def reading(self, name: str) -> pa.NativeFile:
        """Open the file `name` to read it in pieces; see `read` for errors."""
        return self.filesystem.open_input_stream(self._inside(name))

    def write(self, name: str, content: bytes) -> None:
        """Write the file `name` atomically: readers see the old or the new content, never a part."""
        self._make()
        if not self.is_local:
            with self.filesystem.open_output_stream(self._inside(name)) as stream:
                stream.write(content)
            return
        temporary = Path(self.path) / f"{_UNFINISHED}{uuid.uuid4().hex}-{name}"
        try:
            temporary.write_bytes(content)
            temporary.replace(Path(self.path) / name)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise

    def read_json(self, name: str) -> Any:
        """Read the JSON file `name`.

        Raises
        ------
        FileNotFoundError
            If it does not exist.
        CacheError
            If it is not JSON.
        """
        try:
            return json.loads(self.read(name))
        except ValueError as error:
            raise CacheError(f"{self.uri}/{name}: not a JSON file ({error}); was it cut short?") from error

    def write_json(self, name: str, content: Any) -> None:
        """Write `content` atomically to the JSON file `name`."""
        self.write(name, (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())

    def read_table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Read the Parquet file `name`, or some of its columns, as an Arrow table.

        Raises
        ------
        FileNotFoundError
            If it does not exist.
        CacheError
            If it is not a complete Parquet file.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.read_table(self._inside(name), columns=columns, filesystem=self.filesystem)
        except pa.ArrowInvalid as error:
            raise CacheError(f"{self.uri}/{name}: not a complete Parquet file ({error})") from error

    def parquet(self, name: str) -> pq.ParquetFile:
        """Open the Parquet file `name` to read it in pieces; see `read_table` for errors."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(self.filesystem.open_input_file(self._inside(name)))
        except pa.ArrowInvalid as error:
            raise CacheError(f"{self.uri}/{name}: not a complete Parquet file ({error})") from error

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write an Arrow table atomically to the Parquet file `name`."""
        import pyarrow.parquet as pq

        with self.writing(name) as stream:
            pq.write_table(table, stream)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[pa.NativeFile]:
        """Yield a stream to write the file `name`, which appears when the context ends without error."""
        with self.writing_all([name]) as (stream,):
            yield stream

    @contextlib.contextmanager
    def writing_all(self, names: Sequence[str]) -> Iterator[list[pa.NativeFile]]:
        """Yield streams to write files in pieces; all appear, in order, when the context ends without error.

        All files are complete under temporary names before the first is renamed. In a bucket, this needs an
        additional copy and deletion per file on the server.
        """
        self._make()
        temporary = {name: self._inside(f"{_UNFINISHED}{uuid.uuid4().hex}-{name}") for name in names}
        try:
            # Closing an upload publishes it even after an error, because pyarrow cannot abort uploads.
            with contextlib.ExitStack() as streams:
                yield [
                    streams.enter_context(self.filesystem.open_output_stream(path))
                    for path in temporary.values()
                ]
            for name, path in temporary.items():
                self.filesystem.move(path, self._inside(name))
        except BaseException:
            for path in temporary.values():
                with contextlib.suppress(OSError):
                    self.filesystem.delete_file(path)
            raise

    def remove(self, name: str) -> None:
        """Delete the file `name` if it exists."""
        if self.exists(name):
            self.filesystem.delete_file(self._inside(name))

    def remove_tree(self, name: str) -> None:
        """Delete the folder `name` and its contents, if it exists."""
        if self.exists(name):
            self.filesystem.delete_dir(self._inside(name))

    def remove_unfinished(self) -> None:
        """Delete unfinished files of killed writers; no other process may write to the folder."""
        for name in self._listed():
            if name.startswith(_UNFINISHED):
                self.remove(name)

    def _listed(self) -> list[str]:
        from pyarrow import fs

        selector = fs.FileSelector(self.path, allow_not_found=True)
        return [info.base_name for info in self.filesystem.get_file_info(selector)]

    def _make(self) -> None:
        # Buckets have no folders; creating them would need one request per part of the path.
        if self.filesystem.type_name != "s3":
            self.filesystem.create_dir(self.path, recursive=True)

    def _inside(self, name: str) -> str:
        return f"{self.path}/{name}" if name else self.path


def printable(path: str | Path) -> str:
    r"""Convert a path to valid text; bytes that are not UTF-8 become ``\xff``."""
    return os.fsencode(path).decode(errors="backslashreplace")


def is_full(error: OSError) -> bool:
    """Whether the disk is full or the user's quota is exceeded."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def require_regular(path: str | Path) -> None:
    """Refuse pipes, sockets and devices, because opening one could block forever.

    Raises
    ------
    OSError
        If the path is one of these or does not exist. Folders are accepted, because opening them fails with a
        better message.
    """
    mode = Path(path).stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "a pipe or a device, not a file")


def _with_settings(uri: str) -> str:
    """Complete an S3 URI with the endpoint and region of the environment.

    Without them, Arrow first asks Amazon for the region of the bucket.
    """
    parts = urlsplit(uri)
    if parts.scheme != "s3":
        return uri
    options = dict(parse_qsl(parts.query))
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", ""))
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "")
    if endpoint.netloc:
        options = {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme} | options
        region = region or "us-east-1"
    if region:
        options = {"region": region} | options
    return urlunsplit(parts._replace(query=urlencode(options)))
