from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from click.testing import CliRunner

from data import inspect
from data.analysis.kinds import FEATURE_KIND
from data.analysis.parameters import Melspec, Parameters
from data.analysis.segments import of_file
from data.cache.cache import Cache
from data.collection.scan import find_files
from data.pipeline.estimate import estimate
from tests.support.collection import SR, clip, make_collection
from tests.support.preparing import manifest, prepared, run


def test_a_track_with_another_label_is_analysed_again(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio", tracks=2), tmp_path / "cache"
    prepared(audio, cache)
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "file,label\ngenre0.00000,jazz\ngenre0.00001,genre0\ngenre1.00000,jazz\ngenre1.00001,genre1\n"
    )
    assert "2 of 4 files analysed" in prepared(audio, cache, "--labels", labels).output
    stored_labels = pq.read_table(cache / "features.parquet", columns=["label"])["label"].to_pylist()
    assert stored_labels == ["jazz", "genre0", "jazz", "genre1"]


def test_regions_hold_the_samples_between_their_times(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio", tracks=2), tmp_path / "cache"
    first = audio / "genre0" / "genre0.00000.wav"
    y, _ = soundfile.read(first, dtype="float32")
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "file,label,start,end\ngenre0.00000,rock,0.5,1\ngenre0.00000,jazz,1,1.52\ngenre0.00000,jazz,1,9\n"
        "genre0.00000,jazz,3,\ngenre1.00000,jazz,,\ngenre1.00001,rock,0.25,\ngenre0.00001,rock,,\n"
    )
    result = prepared(audio, cache, "--labels", labels)
    rows = {row["track_id"]: row for row in pq.read_table(cache / "manifest.parquet").to_pylist()}
    name = "genre0/genre0.00000.wav"
    assert rows[f"{name}#t=0.5,1"]["sha256"] == hashlib.sha256(y[SR // 2 : SR].tobytes()).hexdigest()
    assert rows[f"{name}#t=0.5,1"]["duration_s"] == 0.5
    # 20 ms beyond the end are accepted, more are not.
    assert rows[f"{name}#t=1,1.52"]["missing_s"] == pytest.approx(0.02)
    assert rows[f"{name}#t=1,1.52"]["group"] == rows[f"{name}#t=0.5,1"]["group"]
    assert rows["genre1/genre1.00001.wav#t=0.25"]["duration_s"] == pytest.approx(1.25, abs=1e-4)
    for region, text in (("1,9", "from 1 s to 9 s"), ("3", "from 3 s")):
        reason = rows[f"{name}#t={region}"]["reason"]
        assert reason == f"region beyond the end: {text} of 1.50 s; correct start and end in the table"
    assert "skipped 2: region beyond the end, such as" in result.output
    features = Cache.open(cache).features
    cut = tmp_path / "cut.wav"
    soundfile.write(cut, y[SR // 2 : SR], SR, subtype="FLOAT")
    expected = of_file(cut, Parameters(), FEATURE_KIND)[0]
    np.testing.assert_allclose(features.X[features.track_id == f"{name}#t=0.5,1"], expected, rtol=1e-3)
    strict = run("--audio", audio, "--cache", cache, "--labels", labels, "--strict")
    assert strict.exit_code == 2
    assert "#t=1,9: region beyond the end" in strict.output.replace("\n", "")


def test_the_summary_names_what_was_read_skipped_and_left_out(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio", tracks=3), tmp_path / "cache"
    (audio / "genre0" / "empty.wav").touch()
    (audio / "genre0" / "cover.jpg").touch()
    labels = tmp_path / "labels.csv"
    labels.write_text(
        "file,label,artist,split\ngenre0.00000,x,Ella,train\ngenre0.00001,x,Ella,1\ngenre0.00002,y,Duke,2\n"
        "genre1.00000,y,,train\ngenre1.00001,y,,\nempty.wav,x,,\ngone.wav,x,,\n"
    )
    expected = [
        "  genres: x 2, y 3",
        "  groups: 2, which contain 3 of 5 tracks",
        "  partition: 1 1, 2 1, train 2",
        "  skipped 1: empty file, such as " + str(audio / "genre0" / "empty.wav"),
        "  labels: 1 files without a label, such as genre1/genre1.00002.wav; 1 rows match no file, such as"
        " gone.wav",
        "  ignored: 1 .jpg (such as genre0/cover.jpg)",
    ]
    for analysed in (6, 0):
        lines = prepared(audio, cache, "--labels", labels).stdout.splitlines()
        assert f"5 tracks of 2 genres; {analysed} of 6 files analysed, 1 skipped;" in lines[0]
        assert lines[1:] == expected
    strict = run("--audio", audio, "--cache", tmp_path / "strict", "--labels", labels, "--strict")
    assert (strict.exit_code, strict.stderr.count("\n")) == (2, 1)
    assert "such as gone.wav; and 1 more kinds (--strict: fix or remove them)" in strict.stderr


def test_an_estimate_of_time_and_disk(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=2, seconds=6)
    files = find_files(audio)
    plain = estimate(files, Parameters())
    with_melspec = estimate(files, Parameters(melspec=Melspec(seconds=3)))
    assert plain is not None
    assert with_melspec is not None
    assert plain.audio_s == pytest.approx(24, rel=0.01)
    shape = (128, 129)
    assert with_melspec.disk_bytes - plain.disk_bytes == pytest.approx(8 * 2 * shape[0] * shape[1], rel=0.02)
    prepared(audio, tmp_path / "cache", "--melspec")
    shards = sum(path.stat().st_size for path in (tmp_path / "cache" / "melspec").iterdir())
    assert with_melspec.disk_bytes - plain.disk_bytes == pytest.approx(shards, rel=0.2)
    assert estimate([replace(files[0], path="gone.wav")], Parameters()) is None


def test_named_groups_and_copies_stay_together(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=4)
    shutil.copy(audio / "genre0" / "genre0.00000.wav", audio / "genre1" / "copy.wav")
    y = clip(5, 12.0)
    soundfile.write(audio / "genre0" / "long.wav", y, SR)
    soundfile.write(audio / "genre1" / "quiet.flac", (y[7777:] // 3).astype(np.int16), SR)
    groups = tmp_path / "groups.csv"
    groups.write_text("file,group\ngenre0/genre0.00000.wav,Ella\ngenre0/genre0.00001.wav,Ella\n")
    prepared(audio, tmp_path / "cache", "--groups", groups)
    group = {track: row["group"] for track, row in manifest(tmp_path / "cache").items()}
    assert group["genre0/genre0.00000.wav"] == group["genre0/genre0.00001.wav"] == group["genre1/copy.wav"]
    assert group["genre0/long.wav"] == group["genre1/quiet.flac"]
    assert len(set(group.values())) == 8
    rows = Cache.open(tmp_path / "cache").features
    assert dict(zip(rows.track_id, rows.group, strict=True)) == group

    result = CliRunner().invoke(inspect.main, ["--cache", str(tmp_path / "cache"), "--json"])
    shown = json.loads(result.output)
    assert shown["exact_duplicates"] == [["genre0/genre0.00000.wav", "genre1/copy.wav"]]
    assert shown["near_duplicates"] == [["genre0/long.wav", "genre1/quiet.flac"]]
    assert len(shown["contradicting"]) == 4
    # Three tracks of one group or its copies, and a pair of copies.
    assert shown["leak"] == pytest.approx((3 * 0.96 + 2 * 0.8) / 11, abs=1e-3)
    assert (shown["named"], shown["codecs"]) == (2, {"flac": 1, "pcm_16": 10})


def test_named_groups_are_kept_until_others_are_named(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio"), tmp_path / "cache"
    groups = tmp_path / "groups.csv"
    groups.write_text("file,group\ngenre0/genre0.00000.wav,Ella\ngenre0/genre0.00001.wav,Ella\n")
    prepared(audio, cache, "--groups", groups)
    first = Cache.open(cache).info.fingerprint
    prepared(audio, cache)
    assert Cache.open(cache).info.fingerprint == first
    (audio / "genre0" / "genre0.00000.wav").touch()
    prepared(audio, cache, "--melspec", "--window-seconds", "1")
    rows_of = manifest(cache)
    named = [row["given_group"] for row in rows_of.values()]
    assert [row["group"] for row in rows_of.values()][:2] == named[:2] == ["Ella", "Ella"]
    assert named[2:] == [None] * 4
    groups.write_text("file,group\ngenre1/genre1.00000.wav,Duke\n")
    prepared(audio, cache, "--groups", groups)
    assert [row["given_group"] for row in manifest(cache).values()] == [None] * 3 + ["Duke"] + [None] * 2


def test_a_cache_of_an_older_version_does_not_store_which_groups_were_named(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio"), tmp_path / "cache"
    prepared(audio, cache)
    path = cache / "manifest.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["given_group"]), path)
    path = cache / "features.parquet"
    pq.write_table(pq.read_table(path), path)
    assert "0 of 6 files analysed" in prepared(audio, cache).output
    assert [row["given_group"] for row in manifest(cache).values()] == [None] * 6


def test_ignored_files_are_reported_and_strictly_refused(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=2, seconds=2)
    genre = next(path for path in sorted(audio.iterdir()) if path.is_dir())
    (genre / "song.mid").write_bytes(b"x")
    result = prepared(audio, tmp_path / "cache")
    assert f"ignored: 1 .mid (such as {genre.name}/song.mid)" in result.stdout
    refused = run("--audio", audio, "--cache", tmp_path / "strict", "--strict")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "1 .mid (such as genre0/song.mid) (--strict: fix or remove them)" in refused.stderr
    assert not (tmp_path / "strict").exists()


def test_a_dry_run_prints_the_collection_and_writes_nothing(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=2)
    (audio / "genre0" / "notes.txt").write_text("x")
    result = prepared(audio, tmp_path / "cache", "--dry-run", "--groups-from", "folder")
    assert result.stdout.startswith("4 files of 2 genres, ")
    assert result.stdout.splitlines()[1:] == [
        "  genres: genre0 2, genre1 2",
        "  groups: 2, which contain 4 of 4 tracks",
        "  ignored: 1 .txt (such as genre0/notes.txt)",
        f"  estimate: 0.0 h of audio, about 1 min on {os.cpu_count()} cores (with ten seconds to start), 0 MB"
        " in the cache",
    ]
    assert not (tmp_path / "cache").exists()


def test_labels_and_groups_of_a_table_reach_the_cache(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=2)
    rows = [f"{genre}/{genre}.{n:05d}.wav" for genre in ("genre0", "genre1") for n in range(2)]
    lines = [
        f"{row},{label},Queen\n" for row, label in zip(rows, ("pop", "rock", "pop", "rock"), strict=True)
    ]
    (tmp_path / "labels.csv").write_text("file;label;artist\n" + "".join(lines).replace(",", ";"))
    prepared(audio, tmp_path / "cache", "--labels", tmp_path / "labels.csv")
    rows_of = manifest(tmp_path / "cache")
    assert [rows_of[row]["label"] for row in rows] == ["pop", "rock", "pop", "rock"]
    assert {row["given_group"] for row in rows_of.values()} == {"Queen"}


def test_groups_that_name_a_part_of_the_files_are_reported_and_strictly_refused(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=2)
    (tmp_path / "groups.csv").write_text("file,group\ngenre0/genre0.00000.wav,x\ngenre0/gone.wav,x\n")
    options = ("--groups", tmp_path / "groups.csv")
    message = "groups.csv: 1 of 4 files named; 1 rows match no file, such as genre0/gone.wav"
    assert message in prepared(audio, tmp_path / "cache", *options).stdout
    refused = run("--audio", audio, "--cache", tmp_path / "strict", "--strict", *options)
    assert refused.exit_code == 2
    assert message in refused.stderr


def test_genres_that_differ_in_case_only_cause_a_warning(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=2)
    (audio / "genre0").rename(audio / "Genre1")
    result = prepared(audio, tmp_path / "cache")
    assert "Warning: 'Genre1' and 'genre1' are separate genres; --merge-labels joins them" in result.stderr
