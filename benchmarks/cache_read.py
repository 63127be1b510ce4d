"""Time to read all tensors of a cache, compared with ``np.load``, and memory of each further reader.

Goals: at most 1.3 times the time of ``np.load``. Each further process needs less than 5 % of the data's size
as memory of its own. Run it with ``python -m benchmarks.cache_read``. It writes 1,000 spectrograms of
128 x 1292 (331 MB) to a temporary folder. The files are in the page cache for both sides.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from data.cache.memory_map import MappedTensors
from data.cache.shards import TrackTensors, write_shard
from data.cache.tensor_reader import read_tensors
from data.io.folder import Folder

_TRACKS, _SHAPE, _SHARD = 1000, (128, 1292), 64
_READER = """
import sys, time
import numpy as np
import pyarrow.compute, pyarrow.fs, pyarrow.parquet
from data.io.folder import Folder
from data.cache.tensor_reader import read_tensors
start = time.perf_counter()
if sys.argv[1].endswith(".npy"):
    X = np.load(sys.argv[1])
else:
    X = read_tensors(Folder.at(sys.argv[1]), "melspec", "0" * 64).X
for number in range(int(sys.argv[2])):
    X[number].view("u2").sum()
elapsed = time.perf_counter() - start
status = open("/proc/self/status").read().split()
print(elapsed, status[status.index("RssAnon:") + 1])
"""


def timed(name: str, work: object) -> float:
    """Call `work`, print its time and return the seconds."""
    start = time.perf_counter()
    work()  # type: ignore[operator]
    elapsed = time.perf_counter() - start
    print(f"{name}: {elapsed:.2f} s")
    return elapsed


def write(folder: Path) -> None:
    """Write a cache of random spectrograms."""
    rng = np.random.default_rng(0)
    names = [f"{number:04d}" for number in range(_TRACKS)]
    parts = []
    for start in range(0, _TRACKS, _SHARD):
        chunk = names[start : start + _SHARD]
        tracks = [
            TrackTensors(name, "genre", rng.uniform(-80, 0, (1, *_SHAPE)).astype(np.float16))
            for name in chunk
        ]
        write_shard(Folder.at(folder / "melspec"), f"{start:08d}", tracks)
        parts += [f"{start:08d}"] * len(chunk)
    manifest = {"track_id": names, "group": names, "part": parts, "status": ["ok"] * len(names)}
    Folder.at(folder).write_table("manifest.parquet", pa.table(manifest))


def touch(X: np.ndarray | MappedTensors) -> None:
    """Read every value."""
    for row in X:
        row.view("u2").sum()


def reader(path: Path, rows: int = _TRACKS) -> tuple[float, float]:
    """Let a new process read `rows` rows; return its seconds and the MB of its private memory."""
    process = subprocess.run(
        [sys.executable, "-c", _READER, str(path), str(rows)], capture_output=True, text=True, check=True
    )
    elapsed, private_kib = process.stdout.split()
    return float(elapsed), int(private_kib) / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "cache"
        timed("writing the shards", lambda: write(folder))
        target = Folder.at(folder)

        def read() -> None:
            touch(read_tensors(target, "melspec", "0" * 64).X)

        array = read_tensors(target, "melspec", "0" * 64).X[:]
        np.save(Path(name) / "plain.npy", array)
        size = array.nbytes / 2**20
        plain = min(timed("np.load", lambda: touch(np.load(Path(name) / "plain.npy"))) for _ in range(5))
        ours = min(timed("ours", read) for _ in range(5))
        print(f"ours / np.load: {ours / plain:.2f}")
        first = min(reader(folder)[0] for _ in range(3))
        first_npy = min(reader(Path(name) / "plain.npy")[0] for _ in range(3))
        print(f"first read in a new process: {first:.2f} s, ours / np.load: {first / first_npy:.2f}")
        order = np.random.default_rng(0).permutation(_TRACKS)
        mapped = read_tensors(target, "melspec", "0" * 64).X
        loaded = np.load(Path(name) / "plain.npy", mmap_mode="r")
        batches = np.split(order, 20)
        by_batch = min(
            timed("random batches", lambda: [mapped[batch].view("u2").max() for batch in batches])
            for _ in range(3)
        )
        by_batch_npy = min(
            timed(
                "random batches, np.load mapped",
                lambda: [loaded[batch].view("u2").max() for batch in batches],
            )
            for _ in range(3)
        )
        print(f"random batches: ours / np.load mapped: {by_batch / by_batch_npy:.2f}")
        with_data, without_data = reader(folder)[1], reader(folder, 1)[1]
        print(
            f"data: {size:.0f} MB; private memory of a further reader: {with_data:.0f} MB after all rows,"
            f" {without_data:.0f} MB after one row"
        )
        print(f"private memory / size of the data: {max(0.0, with_data - without_data) / size:.2%}")


if __name__ == "__main__":
    main()
