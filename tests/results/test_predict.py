from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

import results
from data.audio.decode import load
from data.errors import SettingsError
from results.model.formatting import timeline
from results.model.prediction import Prediction
from results.predict import main
from results.predicting.tags import read_genre_tag
from tests.support.paths import ROOT


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_a_song_is_one_line(exported: Path, song: Path) -> None:
    result = run(str(exported), str(song), "--top", "3")
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    best, others = line.split(f" %  {song} (")
    ranked = [tuple(best.split()), *(text.removesuffix(" %").split() for text in others[:-1].split(", "))]
    assert {genre for genre, _ in ranked} == {"blues", "disco", "metal"}
    probabilities = [float(probability) for _, probability in ranked]
    assert probabilities == sorted(probabilities, reverse=True)
    assert "SYNTHETIC" in result.stderr


def test_csv_and_a_summary(exported: Path, song: Path) -> None:
    result = run(str(exported), str(song), "--format", "csv", "--top", "1")
    head, row = result.stdout.splitlines()
    assert head == "file,genre,confidence,genre_1,probability_1"
    assert row.startswith(f"{song},")
    result = run(str(exported), str(song), str(song))
    assert result.stdout.splitlines()[-1].startswith("2 songs: 2 ")


def test_songs_are_copied_labelled_and_tagged(
    exported: Path, song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = str(shutil.copy(song, tmp_path / "mine.wav"))
    result = run(str(exported), mine, "--copy-to", "sorted", "--audacity", "labels", "--write-tags", "files")
    assert result.exit_code == 0, result.output
    genre = result.stdout.split()[0]
    assert read_genre_tag(mine) == genre
    assert (tmp_path / "sorted" / genre / "mine.wav").is_file()
    assert (tmp_path / "labels" / "mine.wav.txt").read_text().startswith("0.000000\t2.000000\t")
    again = run(str(exported), mine, "--copy-to", "sorted", "--write-tags", "csv")
    assert again.exit_code == 1
    assert again.stderr.splitlines()[-1].startswith(f"Not written: sorted/{genre}/mine.wav: exists already")
    assert f"{mine},{genre},{genre}," in (tmp_path / "genre-tags.csv").read_text()
    unsure = run(str(exported), mine, "--min-confidence", "1", "--write-tags", "files", "--copy-to", "other")
    assert unsure.exit_code == 0, unsure.output
    assert (tmp_path / "other" / "unsure" / "mine.wav").is_file()
    assert read_genre_tag(mine) == genre


def test_a_window_moves_over_a_long_recording(exported: Path, shared: Path, tmp_path: Path) -> None:
    clips = sorted((shared / "debmusic" / "genres_original").rglob("*.*"))[:6]
    y = np.concatenate([load(clip).y for clip in clips])
    path = tmp_path / "concert.wav"
    soundfile.write(path, y, 22050)
    length_s = len(y) / 22050
    model = results.load(exported)
    by_hop = {hop: model.predict(path, hop=hop) for hop in (10.0, 75.0)}
    fine = by_hop[10.0]
    assert fine.start_s == [10.0 * number for number in range(len(fine.start_s))]
    assert 0 <= length_s - fine.start_s[-1] <= 15
    for prediction in by_hop.values():
        assert all(sum(segment.values()) == pytest.approx(1) for segment in prediction.segments)
    sampled = by_hop[75.0]
    assert sampled.start_s == [75.0 * number for number in range(int((length_s - 30) // 75) + 1)]
    # Each segment is what the model says about that part alone, and the answer is their mean.
    soundfile.write(tmp_path / "part.wav", y[75 * 22050 : 105 * 22050], 22050)
    part = model.predict(tmp_path / "part.wav")
    assert sampled.segments[1] == pytest.approx(part.segments[0], abs=1e-4)
    done = run(str(exported), str(path), "--hop", "75", "--json")
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert [segment["start_s"] for segment in content["segments"]] == sampled.start_s
    assert content["probabilities"] == pytest.approx(sampled.probabilities)
    over_time = run(str(exported), str(path), "--hop", "10", "--timeline").stdout.splitlines()[1]
    assert over_time.startswith("  0:00 ")


@pytest.mark.parametrize("hop", ["0", "-1", "nan", "4000"])
def test_a_hop_out_of_bounds_is_refused_in_one_line(exported: Path, song: Path, hop: str) -> None:
    done = run(str(exported), str(song), "--hop", hop)
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [f"Error: --hop {float(hop):g}: give seconds from 0.1 to 3600"]
    with pytest.raises(SettingsError, match=r"give seconds from 0\.1 to 3600"):
        results.load(exported).predict(song, hop=float(hop))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--json", "--format", "csv"], "--json and --format csv contradict each other"),
        (["--timeline", "--format", "json"], "--timeline is part of the table"),
    ],
)
def test_options_that_contradict_each_other(options: list[str], message: str) -> None:
    result = run("nowhere", "song.wav", *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_json_is_one_line_per_file(exported: Path, song: Path, tmp_path: Path) -> None:
    y, sr = soundfile.read(song)
    for suffix in ("flac", "ogg", "mp3"):
        soundfile.write(tmp_path / f"song.{suffix}", y, sr)
    result = run(str(exported), "--json", str(song), *(str(file) for file in sorted(tmp_path.iterdir())))
    assert result.exit_code == 0, result.output
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(record["file"]).suffix for record in records] == [".wav", ".flac", ".mp3", ".ogg"]
    for record in records:
        assert record["genre"] == next(iter(record["probabilities"]))
        assert sum(record["probabilities"].values()) == pytest.approx(1)
        assert record["segments"][0]["start_s"] == 0


def test_folders_and_globs(exported: Path, song: Path, tmp_path: Path) -> None:
    inside = tmp_path / "music" / "deep"
    inside.mkdir(parents=True)
    shutil.copy(song, inside / "a.wav")
    shutil.copy(song, tmp_path / "music" / "b.WAV")
    (inside / "cover.jpg").write_text("not audio")
    for argument in (str(tmp_path / "music"), str(tmp_path / "music" / "**" / "*.[wW]*")):
        result = run(str(exported), argument, "--json")
        assert result.exit_code == 0, result.output
        names = sorted(Path(json.loads(line)["file"]).name for line in result.stdout.splitlines())
        assert names == ["a.wav", "b.WAV"]


def test_a_broken_file_does_not_stop_the_others(exported: Path, song: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_text("not audio")
    (tmp_path / "empty").mkdir()
    result = run(
        str(exported),
        str(tmp_path / "broken.wav"),
        str(tmp_path / "gone.wav"),
        str(tmp_path / "empty"),
        str(tmp_path / "*.mp3"),
        str(song),
    )
    assert result.exit_code == 1
    assert str(song) in result.stdout
    skipped = [line for line in result.stderr.splitlines() if line.startswith("Skipped: ")]
    assert len(skipped) == 4


def test_names_are_read_from_standard_input(exported: Path, song: Path, tmp_path: Path) -> None:
    shutil.copy(song, tmp_path / "b.wav")
    lines = f"{song}\n\n{tmp_path}/*.wav\n"
    result = CliRunner().invoke(main, [str(exported), "-", "--json"], input=lines)
    assert result.exit_code == 0, result.output
    assert [json.loads(line)["file"] for line in result.stdout.splitlines()] == [
        str(song),
        f"{tmp_path}/b.wav",
    ]
    result = CliRunner().invoke(main, [str(exported), "-"], input="")
    assert result.exit_code == 2


def test_an_impossible_file_name_does_not_stop_the_others(exported: Path, song: Path) -> None:
    lines = f"{'x' * 300}.wav\nnul\0.wav\n{song}\n"
    result = CliRunner().invoke(main, [str(exported), "-"], input=lines)
    assert result.exit_code == 1, result.output
    assert str(song) in result.stdout
    long, nul = [line for line in result.stderr.splitlines() if line.startswith("Skipped: ")]
    assert "File name too long" in long
    assert r"'nul\x00.wav'" in nul


def test_a_space_at_the_end_of_a_name_is_kept(exported: Path, song: Path, tmp_path: Path) -> None:
    odd = str(shutil.copy(song, tmp_path / "song.wav "))
    result = CliRunner().invoke(main, [str(exported), "-", "--json"], input=f"{odd}\r\n")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["file"] == odd


def test_an_image_model_reads_images_from_a_folder(bundle_copy: Path, song: Path, tmp_path: Path) -> None:
    content = json.loads((bundle_copy / "preprocess.json").read_text())
    content["parameters"]["from_pictures"] = True
    (bundle_copy / "preprocess.json").write_text(json.dumps(content))
    music = tmp_path / "music"
    music.mkdir()
    shutil.copy(song, music)
    (music / "cover.PNG").write_text("not an image")
    result = run(str(bundle_copy), str(music))
    assert result.exit_code == 2
    assert "cover.PNG" in result.stderr
    assert "none of the 1 files could be read" in result.stderr


def test_a_file_that_is_too_short_is_reported(exported: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", [0.0] * 100, 22050)
    result = run(str(exported), str(tmp_path / "short.wav"))
    assert result.exit_code == 2
    assert "short.wav: too short (100 samples at 22050 Hz" in result.stderr


def test_a_long_track_has_a_timeline(exported: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "long.wav", 0.1 * rng.normal(size=70 * 22050), 22050)
    result = run(str(exported), str(tmp_path / "long.wav"), "--timeline")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1].startswith("  0:00 ")
    content = json.loads(run(str(exported), str(tmp_path / "long.wav"), "--json").stdout)
    assert len(content["segments"]) == 2
    assert content["segments"][1]["start_s"] > 0


def test_equal_neighbouring_segments_are_merged() -> None:
    segments = [{"a": 0.9, "b": 0.1}, {"a": 0.6, "b": 0.4}, {"a": 0.1, "b": 0.9}]
    assert timeline(Prediction("", {"a": 1.0}, [0, 30, 90], segments)) == ["0:00 a", "1:30 b"]


def test_nothing_readable_is_status_2(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_text("not audio")
    result = run(str(exported), str(tmp_path / "broken.wav"))
    assert result.exit_code == 2
    assert "none of the 1 files could be read" in result.stderr
    (tmp_path / "empty").mkdir()
    result = run(str(exported), str(tmp_path / "empty"))
    assert result.exit_code == 2
    assert "the arguments match no file" in result.stderr


def test_a_corrupt_export_is_reported_in_one_line(bundle_copy: Path, song: Path) -> None:
    (bundle_copy / "labels.json").unlink()
    result = run(str(bundle_copy), str(song))
    assert result.exit_code == 2
    (line,) = result.stderr.strip().splitlines()
    assert f"{bundle_copy}/labels.json: missing" in line


def test_debug_keeps_the_traceback(tmp_path: Path) -> None:
    result = run(str(tmp_path / "nowhere"), "song.wav", "--debug")
    assert type(result.exception).__name__ == "ExportError"


@pytest.mark.slow
@pytest.mark.parametrize("source", ["argument", "stdin"])
def test_a_file_name_that_is_not_valid_utf8_is_read(
    exported: Path, song: Path, tmp_path: Path, source: str
) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    shutil.copy(song, os.fsdecode(odd))
    result = subprocess.run(
        [sys.executable, "-m", "results.predict", exported, odd if source == "argument" else "-", "--json"],
        input=odd + b"\n",
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["file"].endswith(r"caf\xe9.wav")


def test_a_probability_below_the_minimum_confidence_is_unsure(exported: Path, song: Path) -> None:
    confident = json.loads(run(str(exported), str(song), "--json").stdout)
    best = max(confident["probabilities"].values())
    below, above = str(best - 0.001), str(min(best + 0.001, 1.0))
    assert json.loads(run(str(exported), str(song), "--json", "--min-confidence", below).stdout) == confident
    unsure = json.loads(run(str(exported), str(song), "--json", "--min-confidence", above).stdout)
    assert unsure == confident | {"genre": "unsure"}
    text = run(str(exported), str(song), "--min-confidence", above).stdout
    assert text == f"unsure  {100 * best:5.1f} %  {song} ({confident['genre']} {100 * best:.1f} %)\n"
    assert run(str(exported), str(song), "--min-confidence", "1.5").exit_code == 2
