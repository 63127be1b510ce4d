from __future__ import annotations

import json
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from click.testing import CliRunner

from data import inspect, prepare
from data.analysis.colour_maps import colour_table
from data.analysis.parameters import Melspec, Picture
from data.analysis.spectrograms import image, melspec, window_starts
from data.analysis.stft import Spectrum
from data.cache.cache import Cache
from data.cache.format import how_to_make
from data.errors import CacheError, SettingsError
from data.io.folder import Folder
from tests.support.collection import SR, clip, make_collection


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENRE_SEARCH_SCRATCH", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def prepared(audio: Path, cache: Path, *options: str) -> Cache:
    result = CliRunner().invoke(prepare.main, ["--audio", str(audio), "--cache", str(cache), *options])
    assert result.exit_code == 0, result.output
    return Cache.open(cache)


def test_a_spectrogram_equals_that_of_librosa() -> None:
    import librosa

    y = clip(0, 3.0).astype(np.float32) / 2**15
    expected = librosa.power_to_db(
        librosa.feature.melspectrogram(y=y, sr=SR, n_mels=96, fmin=50, fmax=8000, pad_mode="reflect")
    )
    (spectrogram,) = melspec(Spectrum.of(y), Melspec(seconds=3.0, n_mels=96, fmin=50, fmax=8000))
    assert spectrogram.dtype == np.float16
    assert spectrogram.shape == (96, 3 * SR // 512)
    np.testing.assert_allclose(spectrogram, expected[:, : spectrogram.shape[1]], atol=0.06)


@pytest.mark.parametrize(
    ("frames", "window", "overlap", "starts"),
    [
        (1292, 129, 0.0, [0, 129, 258, 388, 517, 646, 775, 905, 1034, 1163]),
        (1300, 1292, 0.0, [0]),
        (50, 129, 0.5, [0]),
        (200, 100, 0.5, [0, 50, 100]),
    ],
)
def test_windows_are_spread_evenly_over_the_segment(
    frames: int, window: int, overlap: float, starts: list[int]
) -> None:
    assert window_starts(frames, window, overlap).tolist() == starts


def test_an_image_shows_low_frequencies_at_the_bottom_without_margins() -> None:
    time = np.arange(5 * SR) / SR
    y = (0.5 * np.sin(2 * np.pi * 110 * time)).astype(np.float32)
    (picture,) = image(Spectrum.of(y), Picture(seconds=5.0, size=100, colormap="gray"))
    assert (picture.shape, picture.dtype) == ((100, 100, 3), np.uint8)
    brightness = picture[:, :, 0].mean(axis=1)
    assert brightness.argmax() > 90
    assert brightness[:50].max() < 20


def test_a_short_segment_is_padded_with_silence() -> None:
    spectrum = Spectrum.of(np.zeros(SR, dtype=np.float32))
    (spectrogram,) = melspec(spectrum, Melspec(seconds=3.0))
    assert spectrogram.shape == (128, 3 * SR // 512)
    assert (spectrogram == -100).all()


def test_an_unknown_colour_map() -> None:
    with pytest.raises(SettingsError, match="--colormap nosuch"):
        colour_table("nosuch")


def test_cached_tensors_are_mapped(tmp_path: Path, scratch: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=5)
    cache = prepared(
        audio, tmp_path / "cache", "--melspec", "--window-seconds", "0.5", "--image", "--image-size", "64"
    )
    rows = cache.melspec
    assert rows.X.shape == (30, 128, 21)
    assert rows.segment.tolist() == [0, 1, 2] * 10
    y, _ = soundfile.read(audio / rows.track_id[4], dtype="float32")
    np.testing.assert_allclose(rows.X[3:6], melspec(Spectrum.of(y), Melspec(seconds=0.5)), atol=0.07)
    assert cache.image.X.shape == (10, 64, 64, 3)
    assert not scratch.exists()


def test_a_shard_stores_its_shape_and_the_keys(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio", tracks=4)
    shutil.copy(audio / "genre0" / "genre0.00000.wav", audio / "genre1" / "copy.wav")
    cache = tmp_path / "cache"
    prepared(audio, cache, "--melspec", "--window-seconds", "0.5")
    group = {}
    for shard in (cache / "melspec").iterdir():
        table = pq.read_table(shard)
        assert table.column_names == ["track_id", "segment", "label", "group", "tensor"]
        about = table.schema.field("tensor").metadata
        assert json.loads(about[b"shape"]) == [128, 21]
        assert about[b"dtype"] == b"float16"
        group |= dict(zip(table["track_id"].to_pylist(), table["group"].to_pylist(), strict=True))
    assert group["genre0/genre0.00000.wav"] == group["genre1/copy.wav"]


def test_a_rerun_replaces_the_tensors_of_changed_files(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio", tracks=4), tmp_path / "cache"
    options = ("--melspec", "--window-seconds", "0.5")
    prepared(audio, cache, *options)
    soundfile.write(audio / "genre0" / "genre0.00001.wav", clip(99), SR)
    (audio / "genre1" / "genre1.00003.wav").unlink()
    updated = prepared(audio, cache, *options).melspec
    fresh = prepared(audio, tmp_path / "fresh", *options).melspec
    assert updated.track_id.tolist() == fresh.track_id.tolist()
    np.testing.assert_allclose(updated.X[:], fresh.X[:], atol=0.07)


def test_tensors_are_added_to_a_cache_that_has_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio, cache = make_collection(tmp_path / "audio", tracks=3), tmp_path / "cache"
    (audio / "genre0" / "text.wav").write_text("words")
    before = prepared(audio, cache)
    features = before.features.X
    melspec = ("--melspec", "--window-seconds", "0.5")
    with monkeypatch.context() as patch:
        # Features are cached, because extracting them again would be most of the work.
        patch.delattr("data.analysis.segments.extract")
        with_melspec = prepared(audio, cache, *melspec)
        both = prepared(audio, cache, "--image", "--image-size", "32")
    assert with_melspec.info.fingerprint != before.info.fingerprint != both.info.fingerprint
    whole = prepared(audio, tmp_path / "whole", *melspec, "--image", "--image-size", "32")
    assert both.info.fingerprint == whole.info.fingerprint
    np.testing.assert_array_equal(both.features.X, features)
    np.testing.assert_array_equal(both.melspec.X[:], whole.melspec.X[:])
    np.testing.assert_array_equal(both.image.X[:], whole.image.X[:])
    soundfile.write(audio / "genre1" / "new.wav", clip(5), SR)
    after = prepared(audio, cache)
    assert len(after.features.X) == len(after.image.X) == 7
    assert len(after.melspec.X) == 21
    assert len(list((cache / "melspec").iterdir())) == len(list((cache / "image").iterdir()))


def test_the_run_after_a_kill_adds_the_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audio, cache = make_collection(tmp_path / "audio", tracks=3), tmp_path / "cache"
    before = prepared(audio, cache)
    features = before.features.X
    options = ["--audio", str(audio), "--cache", str(cache), "--melspec", "--window-seconds", "0.5"]
    with monkeypatch.context() as patch:
        patch.setattr("data.pipeline.merge.write_info", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert CliRunner().invoke(prepare.main, options).exit_code == 1
    assert Cache.open(cache).info == before.info
    with pytest.raises(CacheError, match="was interrupted; run the same"):
        _ = Cache.open(cache).features
    result = CliRunner().invoke(prepare.main, options)
    assert "0 of 6 files analysed" in result.output
    assert len(Cache.open(cache).melspec.X) == 18
    np.testing.assert_array_equal(Cache.open(cache).features.X, features)


def test_tensors_with_other_parameters_are_refused(tmp_path: Path) -> None:
    audio, cache = make_collection(tmp_path / "audio", tracks=1), tmp_path / "cache"
    prepared(audio, cache, "--melspec", "--n-mels", "32", "--window-seconds", "1")
    command = ["--audio", str(audio), "--cache", str(cache), "--melspec", "--n-mels", "64"]
    result = CliRunner().invoke(prepare.main, command)
    assert result.exit_code == 2
    message = (
        "other parameters (melspec.n_mels 32, now 64; melspec.seconds 1.0, now 3.0); choose a new folder"
    )
    assert message in result.output.replace("\n", " ")


def png_of_size(content: bytes) -> bytes:
    """Return a PNG file without pixels, whose first chunk, which states the size, has this content."""
    made = b"\x89PNG\r\n\x1a\n"
    for chunk in (b"IHDR" + content, b"IDAT"):
        made += struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return made


def test_images_are_read_without_their_margins(tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for genre in ("blues", "rock"):
        folder = tmp_path / "gtzan" / "images_original" / genre
        folder.mkdir(parents=True)
        for number in range(3):
            page = np.full((288, 432, 4), 255, dtype=np.uint8)
            page[35:253, 54:390, :3] = rng.integers(0, 200, size=3)
            Image.fromarray(page).save(folder / f"{genre}{number:05d}.png")
    (folder / "words.png").write_text("words")
    shutil.copy(folder.parent / "blues" / "blues00000.png", folder / "copy.png")
    (folder / "bomb.png").write_bytes(png_of_size(struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)))
    (folder / "broken.png").write_bytes(png_of_size(b"short"))
    cache = tmp_path / "cache"
    command = ["--images", str(tmp_path / "gtzan"), "--cache", str(cache), "--image-size", "48"]
    result = CliRunner().invoke(prepare.main, command)
    assert result.exit_code == 0, result.output
    assert "7 tracks of 2 genres; 10 of 10 files analysed, 3 skipped" in result.output
    rows = Cache.open(cache).image
    assert rows.X.shape == (7, 48, 48, 3)
    assert all(len(np.unique(picture.reshape(-1, 3), axis=0)) == 1 for picture in rows.X)
    assert rows.X[:].max() < 200
    shown = CliRunner().invoke(inspect.main, ["--cache", str(cache)])
    assert shown.exit_code == 0, shown.output
    assert "no features" in shown.output
    report = json.loads(CliRunner().invoke(inspect.main, ["--cache", str(cache), "--json"]).output)
    assert report["skipped"] == {
        "rock/bomb.png": "too many pixels for a spectrogram",
        "rock/broken.png": "not readable as an image",
        "rock/words.png": "not readable as an image",
    }
    # Faults that only audio shows are unknown, but copies of an image are report.
    assert [report[name] for name in ("short", "silent", "clipped", "near_duplicates")] == [None] * 4
    assert report["exact_duplicates"] == [["blues/blues00000.png", "rock/copy.png"]]


def test_a_cache_without_tensors_names_the_command_that_adds_them(tmp_path: Path) -> None:
    audio = make_collection(tmp_path / "audio")
    cache = prepared(audio, tmp_path / "cache")
    with pytest.raises(CacheError, match="no melspec tensors; make them with") as caught:
        _ = cache.melspec
    command = str(caught.value).split("'")[1].replace("DIR", str(audio)).split()
    assert command[:3] == ["python", "-m", "data.prepare"]
    plain = CliRunner().invoke(prepare.main, command[3:])
    assert plain.exit_code == 0, plain.output
    assert len(Cache.open(tmp_path / "cache").melspec.X) > 0


def test_a_cache_of_images_needs_a_new_cache_for_audio(tmp_path: Path) -> None:
    folder = Folder.at(tmp_path)
    message = how_to_make(folder, "images", "melspec")
    assert message.startswith("make them with 'python -m data.prepare --audio DIR --cache DIR --melspec'")
    assert message.endswith(" in a new folder; this cache was made from images")
    assert how_to_make(folder, "features-csv", "melspec").endswith("made from a table of features")


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    cache = prepared(make_collection(tmp_path / "audio"), tmp_path / "cache", "--melspec", "--n-mels", "32")
    shard = next((tmp_path / "cache" / "melspec").iterdir())
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(CacheError, match=f"{shard.name}: missing or damaged"):
        _ = cache.melspec


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--melspec", "--window-seconds", "40"], "does not fit in a segment"),
        (["--melspec", "--overlap", "1"], "--overlap"),
        (["--image", "--colormap", "nosuch"], "--colormap nosuch"),
        (["--melspec", "--fmax", "20000"], "must rise and not exceed"),
        (["--hop-length", "500"], "multiple of hop_length"),
        (["--segment-seconds", "inf"], "--segment-seconds: Input should be a finite number"),
        (["--melspec", "--segment-seconds", "0.1"], "--segment-seconds: "),
        (["--melspec", "--fmax", "nan"], "--fmax: Input should be a finite number"),
        (["--melspec", "--window-seconds", "0"], "--window-seconds: "),
        (["--image", "--image-seconds", "0.1"], "--image-seconds: "),
        (["--image", "--image-size", "4"], "--image-size: "),
        (
            ["--melspec", "--window-seconds", "0.3", "--n-fft", "8192", "--hop-length", "8192"],
            "a window of 0.3 s is shorter than the 8192 samples (hop_length)",
        ),
    ],
)
def test_bad_parameters(tmp_path: Path, options: list[str], message: str) -> None:
    audio = make_collection(tmp_path / "audio", tracks=1)
    command = ["--audio", str(audio), "--cache", str(tmp_path / "cache"), *options]
    result = CliRunner().invoke(prepare.main, command)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
