from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from data import inspect
from data.analysis import segments
from data.audio.decode import DECODING, Audio, load
from data.errors import AudioError
from data.io.folder import Folder
from data.pipeline import worker
from tests.support.collection import SR, clip, make_collection
from tests.support.preparing import manifest, prepared, run


def test_aiff_and_opus_are_audio_too(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=1)
    soundfile.write(audio / "genre0" / "a.aif", clip(1), SR, format="AIFF")
    soundfile.write(audio / "genre0" / "b.aiff", clip(2), SR)
    soundfile.write(audio / "genre1" / "c.opus", clip(3), 24_000, format="OGG", subtype="OPUS")
    assert "5 tracks of 2 genres" in prepared(audio, tmp_path / "cache").output


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
    result = CliRunner().invoke(inspect.main, ["--cache", str(cache), "--json"])
    shown = json.loads(result.output)
    assert (shown["files"], shown["tracks"], len(shown["skipped"])) == (13, 7, 6)
    assert shown["silent"] == ["genre1/silent 静か.wav"]
    table = CliRunner().invoke(inspect.main, ["--cache", str(cache)])
    assert table.exit_code == 0
    assert "genre0/cut.wav: cut short" in table.output

    # The second and third runs read the reasons from stored parts and from the manifest.
    for known in (tmp_path / "strict", tmp_path / "strict", cache):
        strict = run("--audio", audio, "--cache", known, "--strict")
        assert strict.exit_code == 2
        assert "--strict" in strict.output
        assert len(strict.output.strip().splitlines()[-1]) > 20


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


def test_a_folder_with_an_audio_files_name_is_skipped(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio")
    (audio / "genre0" / "album.wav").mkdir()
    prepared(audio, tmp_path / "cache")
    assert "cannot be opened (Is a directory)" in str(
        manifest(tmp_path / "cache")["genre0/album.wav"]["reason"]
    )


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
