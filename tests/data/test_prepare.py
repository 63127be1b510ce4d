from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from data import inspect
from data.analysis.feature_names import FEATURES
from data.analysis.kinds import FEATURE_KIND
from data.analysis.parameters import Parameters
from data.analysis.segments import of_file
from data.cache.cache import Cache
from data.io.folder import Folder
from data.io.lock import claimed
from tests.support.collection import SR, clip, make_collection
from tests.support.preparing import assert_same, manifest, prepared, run


def test_a_folder_becomes_a_cache_of_its_files(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio")
    prepared(audio, tmp_path / "cache")
    rows = Cache.open(tmp_path / "cache").features
    assert rows.track_id.tolist() == sorted(rows.track_id)
    assert rows.label.tolist() == ["genre0"] * 3 + ["genre1"] * 3
    np.testing.assert_allclose(
        rows.X[4], of_file(audio / rows.track_id[4], Parameters(), FEATURE_KIND)[0][0], rtol=1e-3
    )
    row = manifest(tmp_path / "cache")["genre0/genre0.00001.wav"]
    assert (row["status"], row["reason"], row["sample_rate"]) == ("ok", "", SR)
    assert row["duration_s"] == pytest.approx(1.5)
    assert not (tmp_path / "cache" / "parts").exists()


def test_segments(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=1)
    prepared(audio, tmp_path / "cache", "--segment-seconds", "0.5")
    assert Cache.open(tmp_path / "cache").features.segment.tolist() == [0, 1, 2] * 2


def test_a_rerun_analyses_only_new_and_changed_files(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio"), tmp_path / "cache"
    assert "6 of 6 files analysed" in prepared(audio, cache).output
    first = Cache.open(cache).info.fingerprint
    (audio / "genre0" / "genre0.00000.wav").touch()
    assert "0 of 6 files analysed" in prepared(audio, cache).output
    assert Cache.open(cache).info.fingerprint == first
    soundfile.write(audio / "genre0" / "genre0.00000.wav", clip(77), SR)
    soundfile.write(audio / "genre1" / "new.flac", clip(78), SR)
    (audio / "genre1" / "genre1.00002.wav").unlink()
    assert "2 of 6 files analysed" in prepared(audio, cache).output
    fresh = tmp_path / "fresh"
    prepared(audio, fresh)
    assert Cache.open(cache).info.fingerprint != first
    assert_same(cache, fresh)


def test_other_parameters_never_mix(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio"), tmp_path / "cache"
    prepared(audio, cache)
    result = run("--audio", audio, "--cache", cache, "--segment-seconds", "1")
    assert result.exit_code == 2
    assert "other parameters (segment_seconds 30.0, now 1.0)" in result.output.replace("\n", " ")


def test_a_segment_must_not_be_shorter_than_the_windows_of_the_cache(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio"), tmp_path / "cache"
    prepared(audio, cache, "--melspec", "--window-seconds", "0.9")
    result = run("--audio", audio, "--cache", cache, "--segment-seconds", "0.5")
    assert result.exit_code == 2
    assert "other parameters (segment_seconds 30.0, now 0.5)" in result.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give either --audio DIR or --features-csv FILE"),
        (["--audio", "a", "--features-csv", "b"], "give either"),
        (["--audio", "missing"], "no such folder"),
        (["--features-csv", "b", "--melspec"], "--melspec: does not go with --features-csv"),
        (["--features-csv", "b", "--segment-seconds", "30"], "--segment-seconds: does not go with"),
        (["--features-csv", "b", "--image"], "--image: does not go with"),
        (["--features-csv", "b", "--strict"], "--strict: does not go with"),
        (["--features-csv", "b", "--dry-run"], "--dry-run: does not go with"),
        (["--images", "b", "--melspec"], "--melspec: does not go with --images"),
        (["--images", "b", "--n-mels", "64"], "--n-mels: does not go with --images"),
    ],
)
def test_bad_usage(tmp_path: Path, options: list[str], message: str) -> None:
    result = run("--cache", tmp_path / "cache", *options)
    assert result.exit_code == 2
    assert message in result.output


def test_a_collection_with_one_usable_genre(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", genres=1)
    (audio / "other").mkdir()
    (audio / "other" / "a.wav").write_text("words")
    result = run("--audio", audio, "--cache", tmp_path / "cache")
    assert result.exit_code == 2
    assert "1 genre has a usable file" in result.output
    assert "not readable as audio" in result.output


def test_an_unreachable_cluster_is_reported(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio")
    result = run("--audio", audio, "--cache", tmp_path / "cache", "--address", "127.0.0.1:1")
    assert result.exit_code == 2
    assert "--address 127.0.0.1:1: no cluster listens there" in result.output


def test_a_segment_length_out_of_bounds(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio")
    result = run("--audio", audio, "--cache", tmp_path / "cache", "--segment-seconds", "0")
    assert result.exit_code == 2
    assert "--segment-seconds" in result.output


def test_ray_workers_write_the_same_cache(tmp_path: Path, ray_cluster: None) -> None:
    audio = make_collection(tmp_path / "audio", tracks=12, seconds=0.5)
    prepared(audio, tmp_path / "local", "--workers", "1")
    prepared(audio, tmp_path / "spread", "--workers", "2")
    assert_same(tmp_path / "spread", tmp_path / "local")


def test_a_second_preparation_of_a_cache_is_refused_in_one_line(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio"), tmp_path / "cache"
    with claimed(Folder.at(cache)):
        result = run("--audio", audio, "--cache", cache)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert f"--cache {cache}: another process is preparing it; wait until it ends" in result.stderr
        assert not list(cache.iterdir())
    prepared(audio, cache)


def test_a_full_disk_is_reported_in_one_line_and_nothing_is_lost(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a small file system")
    try:
        audio = make_collection(tmp_path / "audio", tracks=20, seconds=0.5)
        result = run("--audio", audio, "--cache", small / "cache", "--workers", "1")
        assert result.exit_code == 2
        assert "cannot be written (" in result.output
        subprocess.run(["mount", "-o", "remount,size=4m", str(small)], check=True)
        again = prepared(audio, small / "cache", "--workers", "1")
        assert "40 of 40 files analysed" not in again.output
        assert len(Cache.open(small / "cache").features.X) == 40
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


@pytest.mark.parametrize("name", ["file", "file/cache"])
def test_a_cache_that_is_a_file_is_reported_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("words")
    result = run("--audio", make_collection(tmp_path / "audio"), "--cache", tmp_path / name)
    assert result.exit_code == 2
    assert "cannot be written" in result.output
    shown = CliRunner().invoke(inspect.main, ["--cache", str(tmp_path / name)])
    assert shown.exit_code == 2
    assert "cannot be read (" in shown.output
    assert "Not a directory" in shown.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--window-seconds", 5), "--window-seconds: does not go with audio without --melspec"),
        (("--melspec", "--image-size", 64), "--image-size: does not go with audio without --image"),
        (("--n-mels", 64), "--n-mels: does not go with audio without --melspec or --image"),
    ],
)
def test_options_of_unrequested_tensors_are_refused(
    tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    audio = make_collection(tmp_path / "audio", tracks=2, seconds=2)
    refused = run("--audio", audio, "--cache", tmp_path / "cache", *options)
    assert refused.exit_code == 2
    assert message in refused.stderr


def test_a_table_of_features_is_summarised(tmp_path: Path) -> None:
    values = ",".join("1" for _ in FEATURES)
    lines = [
        f"{genre}.0000{number}.wav,661794,{values},{genre}" for genre in ("blues", "rock") for number in "12"
    ]
    table = tmp_path / "table.csv"
    table.write_text("\n".join([",".join(["filename", "length", *FEATURES, "label"]), *lines]))
    result = run("--features-csv", table, "--cache", tmp_path / "cache")
    assert result.exit_code == 0, result.output
    first, genres, groups = result.stdout.splitlines()
    assert first.endswith("cache: 4 tracks of 2 genres, from a table without audio")
    assert genres == "  genres: blues 2, rock 2"
    assert groups.startswith("  groups: none named")


def test_the_shown_fingerprint_is_that_of_the_runs(tmp_path: Path) -> None:
    prepared = run("--audio", make_collection(tmp_path / "audio", tracks=1), "--cache", tmp_path / "cache")
    shown = CliRunner().invoke(inspect.main, ["--cache", str(tmp_path / "cache")])
    collection = Cache.open(tmp_path / "cache").collection[:16]
    assert f"fingerprint {collection}" in prepared.stdout
    assert collection in shown.stdout


def test_a_table_is_refused_while_the_cache_is_locked(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    with claimed(Folder.at(tmp_path / "cache")):
        refused = run("--features-csv", tmp_path / "none.csv", "--cache", tmp_path / "cache")
    assert refused.exit_code == 2
    assert "another process" in refused.stderr.lower()
