"""``data.prepare`` in this process, and the comparison of what it made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from click.testing import CliRunner, Result

from data import prepare
from data.cache.cache import Cache


def run(*options: object) -> Result:
    """Run the command with options."""
    return CliRunner().invoke(prepare.main, [str(option) for option in options])


def prepared(audio: Path, cache: Path, *options: object) -> Result:
    """Prepare a cache, which must succeed."""
    result = run("--audio", audio, "--cache", cache, *options)
    assert result.exit_code == 0, result.output
    return result


def assert_same(cache: Path, expected: Path) -> None:
    """Two caches hold the same; matrix products may round differently from one run to the next."""
    first, second = Cache.open(cache), Cache.open(expected)
    assert first.info.fingerprint == second.info.fingerprint
    for key in ("track_id", "segment", "label", "group"):
        assert getattr(first.features, key).tolist() == getattr(second.features, key).tolist()
    np.testing.assert_allclose(first.features.X, second.features.X, rtol=1e-3)


def manifest(cache: Path) -> dict[str, dict[str, object]]:
    """Rows of the manifest of a cache by track."""
    return {row["track_id"]: row for row in pq.read_table(cache / "manifest.parquet").to_pylist()}
