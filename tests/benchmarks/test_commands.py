"""Benchmarks that run the commands of a user, without running a search."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import soundfile

from benchmarks.end_to_end import mark_synthetic, table, write_clips
from benchmarks.large_table import write_table
from benchmarks.processes import Measured, measured
from data.cache.cache import Cache
from data.collection.gtzan_table import prepare


def test_clips_are_demo_tracks_of_a_given_length(tmp_path: Path) -> None:
    write_clips(tmp_path / "audio", 11, seconds=0.5, workers=1)
    clips = sorted((tmp_path / "audio").glob("*/*.flac"))
    assert len(clips) == 20
    assert {path.parent.name for path in clips} == {path.name.partition(".")[0] for path in clips}
    assert {soundfile.info(path).frames for path in clips} == {11025}


def test_stages_with_their_shares() -> None:
    rows = [
        ("prepare", Measured(90.0, 170.0, 2**30, [])),
        ("search", Measured(30.0, 50.0, 3 * 2**30, [(0.1, "a"), (2.5, "trial 0 complete after 9 epochs")])),
    ]
    assert table(rows).splitlines()[2:] == [
        "| prepare | 90 | 75% | 170 | 1,024 MiB |",
        "| search | 30 | 25% | 50 | 3,072 MiB |",
        "| **total** | **120** | | 220 | 3,072 MiB |",
    ]
    assert rows[1][1].first(r"after \d+ epoch") == 2.5


def test_a_command_is_measured_with_its_children(tmp_path: Path) -> None:
    (tmp_path / "busy.py").write_text(
        "import subprocess, sys\n"
        "code = 'import time; x = bytearray(60_000_000); s = time.time()\\n'\n"
        "code += 'while time.time() < s + 1.2: pass'\n"
        "print('begun')\n"
        "subprocess.run([sys.executable, '-c', code])\n"
        "print('ended')\n"
    )
    done = measured("busy", cwd=tmp_path)
    assert [line for _, line in done.lines] == ["begun", "ended"]
    assert done.seconds >= done.first("ended") >= 1.2
    assert done.peak_bytes > 60_000_000
    assert done.cpu_seconds > 0.2
    with pytest.raises(RuntimeError, match="No module named"):
        measured("no_such_module", cwd=tmp_path)


def test_a_large_table_repeats_the_published_rows_with_noise(tmp_path: Path, shared: Path) -> None:
    published = shared / "gtzan" / "features_30_sec.csv"
    write_table(published, tmp_path / "large.csv", 1500)
    original, large = pd.read_csv(published), pd.read_csv(tmp_path / "large.csv")
    assert large["label"].tolist() == [*original["label"], *original["label"][:500]]
    assert large["tempo"].corr(original["tempo"]) > 0.99
    prepare(tmp_path / "large.csv", str(tmp_path / "cache"))
    rows = Cache.open(tmp_path / "cache").features
    # Without the noise, repeated rows would form groups.
    assert len(set(rows.group.tolist())) == len(rows.track_id) == 1500
    mark_synthetic(tmp_path / "cache")
    assert Cache.open(tmp_path / "cache").info.synthetic
