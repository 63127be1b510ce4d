"""Reading all tensors of a cache against ``np.load`` of the same array, and what a further reader costs.

Goals: within 1.3 times ``np.load``; under 5 % of the data for each further process. Run it with
``python -m benchmarks.cache_read``: it writes 1,000 spectrograms of 128 x 1292, 331 MB, to a temporary
folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from data.files import Folder
from data.shards import TrackTensors, read_tensors, write_shard

_TRACKS, _SHAPE, _SHARD = 1000, (128, 1292), 64
_READER = """
import sys
from data.files import Folder
from data.shards import read_tensors
X = read_tensors(Folder.at(sys.argv[1]), "melspec", "0" * 64).X
total = 0.0
for row in X:
    total += float(row[0, 0]) + float(row.view("u2").sum())
status = open("/proc/self/status").read().split()
print(status[status.index("RssAnon:") + 1])
"""


def timed(name: str, work: object) -> float:
    start = time.perf_counter()
    work()  # type: ignore[operator]
    taken = time.perf_counter() - start
    print(f"{name}: {taken:.2f} s")
    return taken


def write(folder: Path) -> None:
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
    manifest = {"track_id": names, "group": names, "part": parts}
    Folder.at(folder).write_table("manifest.parquet", pa.table(manifest))


def touch(X: np.ndarray) -> None:
    for row in X:
        row.view("u2").sum()


def reader(folder: Path) -> float:
    """MB of memory of its own that a process takes to read all tensors."""
    shown = subprocess.run(
        [sys.executable, "-c", _READER, str(folder)], capture_output=True, text=True, check=True
    )
    return int(shown.stdout) / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "cache"
        os.environ["GENRE_SEARCH_SCRATCH"] = str(Path(name) / "scratch")
        timed("writing the shards", lambda: write(folder))
        target = Folder.at(folder)

        def read() -> None:
            touch(read_tensors(target, "melspec", "0" * 64).X)

        timed("first read of a node, which unpacks the shards", read)
        array = np.array(read_tensors(target, "melspec", "0" * 64).X)
        np.save(Path(name) / "plain.npy", array)
        size = array.nbytes / 2**20
        plain = min(timed("np.load", lambda: touch(np.load(Path(name) / "plain.npy"))) for _ in range(3))
        ours = min(timed("later reads", read) for _ in range(3))
        print(f"later reads over np.load: {ours / plain:.2f}")
        own = reader(folder)
        imports = subprocess.run(
            [sys.executable, "-c", _READER.replace("for row in X", "for row in X[:1]"), str(folder)],
            capture_output=True,
            text=True,
            check=True,
        )
        bare = int(imports.stdout) / 1024
        print(
            f"data: {size:.0f} MB; a further reader: {own:.0f} MB of its own, {bare:.0f} MB without the data"
        )
        print(f"cost of the data for a further reader: {max(0.0, own - bare) / size:.2%}")


if __name__ == "__main__":
    main()
