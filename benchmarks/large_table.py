"""A table of 100,000 tracks: time to the end of the first trial, and memory of all processes.

The rows are those of GTZAN's published table, repeated with noise, so they are not data to learn anything
from. Run it with ``python -m benchmarks.large_table --features-csv FILE``. Neither may grow: 66 s and 4.7 GB
were measured before this program existed, on two cores. Shared memory counts once (PSS).
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.processes import Measured, machine, measured

_NOISE = 0.05
"""Standard deviation of the noise, as a share of that of the column."""
_TRIAL_ENDED = r"after \d+ epoch"


def write_table(published: str | Path, out: Path, tracks: int, *, seed: int = 0) -> None:
    """Write a table of many tracks in the published format.

    Parameters
    ----------
    published : str or Path
        ``features_30_sec.csv``.
    out : Path
        The file to write.
    tracks : int
        Number of rows.
    seed : int
        Seed of the noise.
    """
    rows = pd.read_csv(published)
    rng = np.random.default_rng(seed)
    large = rows.loc[np.arange(tracks) % len(rows)].reset_index(drop=True)
    numbers = rows.columns.drop(["filename", "length", "label"])
    noise = rng.normal(size=(tracks, len(numbers))) * _NOISE * rows[numbers].std().to_numpy()
    large[numbers] += noise
    large["filename"] = [f"{label}.{number:06d}.wav" for number, label in enumerate(large["label"])]
    large.to_csv(out, index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--features-csv", required=True, help="the published table, features_30_sec.csv")
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--trials", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(options.features_csv, folder / "large.csv", options.tracks)
        print(f"{options.tracks:,} tracks, {datetime.now(UTC):%d %B %Y}; before: {machine()}\n")
        print("| | seconds | CPU seconds | peak memory |\n| --- | ---: | ---: | ---: |", flush=True)
        cache = folder / "cache"
        prepared = measured("data.prepare", "--features-csv", "large.csv", "--cache", cache, cwd=folder)
        _print_row("prepare", prepared)
        search = ["search.run", "--family", "features_mlp", "--trials", options.trials]
        searched = measured(*search, "--cache", cache, "--name", "large", cwd=folder)
    print(f"| first trial ended | {searched.first(_TRIAL_ENDED):.0f} | | |")
    _print_row("search", searched)
    print(f"\nafter: {machine()}")


def _print_row(name: str, done: Measured) -> None:
    print(
        f"| {name} | {done.seconds:.0f} | {done.cpu_seconds:.0f} | {done.peak_bytes / 1e9:.1f} GB |",
        flush=True,
    )


if __name__ == "__main__":
    main()
