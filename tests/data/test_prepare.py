from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from click.testing import CliRunner

from data import inspect
from data.analysis import segments
from data.analysis.kinds import FEATURE_KIND
from data.analysis.parameters import Parameters
from data.analysis.segments import of_file
from data.audio.decode import DECODING, Audio, load
from data.cache.cache import Cache
from data.errors import AudioError
from data.io.folder import Folder
from data.io.lock import claimed
from data.pipeline import worker
from tests.support.collection import SR, clip, make_collection
from tests.support.preparing import assert_same, prepared, run


def manifest(cache: Path) -> dict[str, dict[str, object]]:
    return {row["track_id"]: row for row in pq.read_table(cache / "manifest.parquet").to_pylist()}


def test_a_folder_becomes_a_cache_of_what_the_files_hold(tmp_path: Path) -> None:
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


def test_aiff_and_opus_are_audio_too(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=1)
    soundfile.write(audio / "genre0" / "a.aif", clip(1), SR, format="AIFF")
    soundfile.write(audio / "genre0" / "b.aiff", clip(2), SR)
    soundfile.write(audio / "genre1" / "c.opus", clip(3), 24_000, format="OGG", subtype="OPUS")
    assert "5 tracks of 2 genres" in prepared(audio, tmp_path / "cache").output


def test_segments(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=1)
    prepared(audio, tmp_path / "cache", "--segment-seconds", "0.5")
    assert Cache.open(tmp_path / "cache").features.segment.tolist() == [0, 1, 2] * 2


def test_a_rerun_touches_only_what_is_new_or_changed(tmp_path: Path) -> None:
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


def test_a_segment_too_short_for_the_windows_of_a_cache(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio"), tmp_path / "cache"
    prepared(audio, cache, "--melspec", "--window-seconds", "0.9")
    result = run("--audio", audio, "--cache", cache, "--segment-seconds", "0.5")
    assert result.exit_code == 2
    assert "other parameters (segment_seconds 30.0, now 0.5)" in result.output.replace("\n", " ")


def test_given_groups_and_copies_stay_together(tmp_path: Path) -> None:
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

    found = CliRunner().invoke(inspect.main, ["--cache", str(tmp_path / "cache"), "--json"])
    shown = json.loads(found.output)
    assert shown["exact_duplicates"] == [["genre0/genre0.00000.wav", "genre1/copy.wav"]]
    assert shown["near_duplicates"] == [["genre0/long.wav", "genre1/quiet.flac"]]
    assert len(shown["contradicting"]) == 4
    # Three tracks of one group or its copies, and a pair of copies.
    assert shown["leak"] == pytest.approx((3 * 0.96 + 2 * 0.8) / 11, abs=1e-3)
    assert (shown["named"], shown["codecs"]) == (2, {"flac": 1, "pcm_16": 10})


def test_given_groups_outlast_a_rerun_until_others_are_given(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio"), tmp_path / "cache"
    groups = tmp_path / "groups.csv"
    groups.write_text("file,group\ngenre0/genre0.00000.wav,Ella\ngenre0/genre0.00001.wav,Ella\n")
    prepared(audio, cache, "--groups", groups)
    first = Cache.open(cache).info.fingerprint
    prepared(audio, cache)
    assert Cache.open(cache).info.fingerprint == first
    (audio / "genre0" / "genre0.00000.wav").touch()
    prepared(audio, cache, "--melspec", "--window-seconds", "1")
    found = manifest(cache)
    named = [row["given_group"] for row in found.values()]
    assert [row["group"] for row in found.values()][:2] == named[:2] == ["Ella", "Ella"]
    assert named[2:] == [None] * 4
    groups.write_text("file,group\ngenre1/genre1.00000.wav,Duke\n")
    prepared(audio, cache, "--groups", groups)
    assert [row["given_group"] for row in manifest(cache).values()] == [None] * 3 + ["Duke"] + [None] * 2


def test_a_cache_that_does_not_say_which_groups_were_given(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio"), tmp_path / "cache"
    prepared(audio, cache)
    path = cache / "manifest.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["given_group"]), path)
    path = cache / "features.parquet"
    pq.write_table(pq.read_table(path), path)
    assert "0 of 6 files analysed" in prepared(audio, cache).output
    assert [row["given_group"] for row in manifest(cache).values()] == [None] * 6


def test_bad_files_are_skipped_with_their_reasons(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio"), tmp_path / "cache"
    whole = (audio / "genre0" / "genre0.00000.wav").read_bytes()
    (audio / "genre0" / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (audio / "genre0" / "empty.wav").touch()
    (audio / "genre1" / "text.mp3").write_text("words")
    (audio / "genre1" / "loop.wav").symlink_to(audio / "genre1" / "loop.wav")
    os.mkfifo(audio / "genre1" / "pipe.wav")
    soundfile.write(audio / "genre1" / "nan.wav", np.full(SR, np.nan), SR, subtype="FLOAT")
    soundfile.write(audio / "genre1" / "silent 静か.wav", np.zeros(SR), SR)
    result = prepared(audio, cache)
    assert "6 skipped" in result.output
    reasons = {track: row["reason"] for track, row in manifest(cache).items() if row["status"] == "skipped"}
    for track, reason in {
        "genre0/cut.wav": "cut short",
        "genre0/empty.wav": "empty file",
        "genre1/text.mp3": "not readable",
        "genre1/loop.wav": "cannot be opened",
        "genre1/pipe.wav": "a pipe or a device",
        "genre1/nan.wav": "not finite",
    }.items():
        assert reason in str(reasons.pop(track))
    assert not reasons
    found = CliRunner().invoke(inspect.main, ["--cache", str(cache), "--json"])
    shown = json.loads(found.output)
    assert (shown["files"], shown["tracks"], len(shown["skipped"])) == (13, 7, 6)
    assert shown["silent"] == ["genre1/silent 静か.wav"]
    table = CliRunner().invoke(inspect.main, ["--cache", str(cache)])
    assert table.exit_code == 0
    assert "genre0/cut.wav: cut short" in table.output

    # The second time the parts, and of the whole cache the manifest, know the files already.
    for known in (tmp_path / "strict", tmp_path / "strict", cache):
        strict = run("--audio", audio, "--cache", known, "--strict")
        assert strict.exit_code == 2
        assert "--strict" in strict.output
        assert len(strict.output.strip().splitlines()[-1]) > 20


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
    assert "1 genres have a usable file" in result.output
    assert "not readable as audio" in result.output


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio")
    result = run("--audio", audio, "--cache", tmp_path / "cache", "--address", "127.0.0.1:1")
    assert result.exit_code == 2
    assert "--address 127.0.0.1:1: no cluster listens there" in result.output


def test_a_segment_length_out_of_bounds(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio")
    result = run("--audio", audio, "--cache", tmp_path / "cache", "--segment-seconds", "0")
    assert result.exit_code == 2
    assert "--segment-seconds" in result.output


def test_the_cores_of_ray_give_the_same_cache(tmp_path: Path, ray_cluster: None) -> None:
    audio = make_collection(tmp_path / "audio", tracks=12, seconds=0.5)
    prepared(audio, tmp_path / "here", "--workers", "1")
    prepared(audio, tmp_path / "spread", "--workers", "2")
    assert_same(tmp_path / "spread", tmp_path / "here")


def test_a_second_preparation_of_a_cache_is_refused_in_one_line(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio"), tmp_path / "cache"
    with claimed(Folder.at(cache)):
        result = run("--audio", audio, "--cache", cache)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert f"--cache {cache}: another process is preparing it; wait for its end" in result.stderr
        assert not list(cache.iterdir())
    prepared(audio, cache)


def test_names_with_brackets_are_shown_as_they_are(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio")
    (audio / "genre0" / "song [red] [-x].wav").write_text("words")
    named = tmp_path / "cache [remix]"
    result = prepared(audio, named)
    assert f"{named}: 6 tracks of 2 genres" in result.output
    assert "genre0/song [red] [-x].wav" in result.output
    shown = CliRunner().invoke(inspect.main, ["--cache", str(named)])
    assert shown.exit_code == 0, shown.output
    assert "genre0/song [red] [-x].wav: not readable as audio" in shown.output


def test_a_full_disk_is_one_clear_line_and_nothing_is_lost(tmp_path: Path) -> None:
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


def test_a_file_that_could_not_be_opened_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio, cache = make_collection(tmp_path / "audio"), tmp_path / "cache"
    locked = str(audio / "genre0" / "genre0.00000.wav")

    def refused(path: str, **options: Any) -> Audio:
        if path == locked:
            raise AudioError(f"{path}: cannot be opened (Permission denied)")
        return load(path, **options)

    digest = worker.file_digest
    with monkeypatch.context() as patch:
        patch.setattr(segments, "load", refused)
        patch.setattr(worker, "file_digest", lambda path: "" if path == locked else digest(path))
        assert "1 skipped" in prepared(audio, cache).output
    again = prepared(audio, cache).output
    assert "1 of 6 files analysed, 0 skipped" in again


def test_a_name_that_is_not_utf8_is_skipped(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio"), tmp_path / "cache"
    genre = os.fsencode(audio / "genre0")
    for name in (b"caf\xff.wav", b"caf\xfe.wav"):
        shutil.copy(audio / "genre0" / "genre0.00000.wav", genre + b"/" + name)
    result = prepared(audio, cache)
    assert "6 tracks of 2 genres; 8 of 8 files analysed, 2 skipped" in result.output
    assert "is not UTF-8; rename it" in result.output
    assert r"genre0/caf\xff.wav" in manifest(cache)
    assert "0 of 8 files analysed" in prepared(audio, cache).output
    strict = run("--audio", audio, "--cache", cache, "--strict")
    assert strict.exit_code == 2
    assert r"caf\xfe.wav: its name" in strict.output


@pytest.mark.parametrize("name", ["file", "file/cache"])
def test_a_cache_that_is_a_file_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("words")
    result = run("--audio", make_collection(tmp_path / "audio"), "--cache", tmp_path / name)
    assert result.exit_code == 2
    assert "cannot be written" in result.output
    shown = CliRunner().invoke(inspect.main, ["--cache", str(tmp_path / name)])
    assert shown.exit_code == 2
    assert "cannot be read (" in shown.output
    assert "Not a directory" in shown.output


def test_a_folder_with_an_audio_files_name_is_skipped(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio")
    (audio / "genre0" / "album.wav").mkdir()
    prepared(audio, tmp_path / "cache")
    assert "cannot be opened (Is a directory)" in str(
        manifest(tmp_path / "cache")["genre0/album.wav"]["reason"]
    )


def test_ignored_files_are_reported_and_strictly_refused(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=2, seconds=2)
    genre = next(path for path in sorted(audio.iterdir()) if path.is_dir())
    (genre / "song.mid").write_bytes(b"x")
    done = prepared(audio, tmp_path / "cache")
    assert f"ignored: 1 .mid (such as {genre.name}/song.mid)" in done.stdout
    refused = run("--audio", audio, "--cache", tmp_path / "strict", "--strict")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "1 .mid (such as genre0/song.mid) (--strict: fix or remove them)" in refused.stderr
    assert not (tmp_path / "strict").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--window-seconds", 5), "--window-seconds: does not go with audio without --melspec"),
        (("--melspec", "--image-size", 64), "--image-size: does not go with audio without --image"),
        (("--n-mels", 64), "--n-mels: does not go with audio without --melspec or --image"),
    ],
)
def test_options_of_tensors_that_are_not_taken_are_refused(
    tmp_path: Path, options: tuple[object, ...], said: str
) -> None:
    audio = make_collection(tmp_path / "audio", tracks=2, seconds=2)
    refused = run("--audio", audio, "--cache", tmp_path / "cache", *options)
    assert refused.exit_code == 2
    assert said in refused.stderr


def test_a_table_is_refused_while_the_cache_is_locked(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    with claimed(Folder.at(tmp_path / "cache")):
        refused = run("--features-csv", tmp_path / "none.csv", "--cache", tmp_path / "cache")
    assert refused.exit_code == 2
    assert "another process" in refused.stderr.lower()


def test_a_cache_is_not_decoded_in_two_ways(tmp_path: Path) -> None:
    root = make_collection(tmp_path / "audio", tracks=2)
    for genre in ("genre0", "genre1"):
        soundfile.write(root / genre / "a.mp3", clip(7), SR)
    prepared(root, tmp_path / "cache")
    folder = Folder.at(tmp_path / "cache")
    info = folder.read_json("cache.json")
    assert info["decoding"] == DECODING
    assert {"av", "soundfile"} <= set(info["versions"])
    codecs = folder.read_table("manifest.parquet", ["codec"])["codec"].to_pylist()
    assert sorted(set(codecs)) == ["mp3", "pcm_16"]
    # As an older version wrote it.
    folder.write_json("cache.json", {key: value for key, value in info.items() if key != "decoding"})
    prepared(root, tmp_path / "cache")
    assert folder.read_json("cache.json")["decoding"] == 1
    soundfile.write(root / "genre0" / "b.mp3", clip(8), SR)
    result = run("--audio", root, "--cache", tmp_path / "cache")
    assert result.exit_code == 2
    assert (
        "an older version decoded its 2 compressed files with another library; choose a new folder"
        in result.stderr
    )


def test_a_dry_run_prints_the_collection_and_writes_nothing(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=2)
    (audio / "genre0" / "notes.txt").write_text("x")
    result = prepared(audio, tmp_path / "cache", "--dry-run", "--groups-from", "folder")
    assert result.stdout.startswith("4 files of 2 genres, ")
    assert result.stdout.splitlines()[1:] == [
        "  genres: genre0 2, genre1 2",
        "  groups: 2 groups of 4 of 4 tracks",
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
    said = "groups.csv: 1 of 4 files named; 1 rows match no file, such as genre0/gone.wav"
    assert said in prepared(audio, tmp_path / "cache", *options).stdout
    refused = run("--audio", audio, "--cache", tmp_path / "strict", "--strict", *options)
    assert refused.exit_code == 2
    assert said in refused.stderr


def test_genres_that_differ_in_spelling_are_warned_of(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=2)
    (audio / "genre0").rename(audio / "Genre1")
    result = prepared(audio, tmp_path / "cache")
    assert "Warning: 'Genre1' and 'genre1' are separate genres; --merge-labels joins them" in result.stderr
