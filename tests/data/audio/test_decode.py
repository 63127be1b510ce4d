from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from data.audio.decode import load
from data.audio.mp3_frames import count_mp3_frames, frame_length
from data.errors import AudioError

SR = 22050


def tone(seconds: float = 1.0, *, sr: int = SR, channels: int = 1, hz: float = 440.0) -> np.ndarray:
    time = np.arange(round(seconds * sr)) / sr
    y = 0.5 * np.sin(2 * np.pi * hz * time)
    return y if channels == 1 else np.column_stack([y] * channels)


def write(path: Path, y: np.ndarray, sr: int = SR, **options: object) -> Path:
    soundfile.write(path, y, sr, **options)
    return path


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "au", "aiff"])
def test_reads_the_usual_formats(tmp_path: Path, suffix: str) -> None:
    audio = load(write(tmp_path / f"a.{suffix}", tone(3)))
    assert audio.sr == audio.native_sr == SR
    assert audio.y.dtype == np.float32
    assert audio.duration_s == pytest.approx(3, abs=0.1)
    assert np.sqrt(np.mean(audio.y**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_same_samples_have_the_same_digest_in_another_format(tmp_path: Path) -> None:
    y = (tone() * 2**15).astype(np.int16)
    wav = load(write(tmp_path / "a.wav", y))
    flac = load(write(tmp_path / "b.flac", y))
    other = load(write(tmp_path / "c.wav", y // 2))
    assert wav.sha256 == flac.sha256 != other.sha256


def test_further_rates_are_resampled_from_the_file_itself(tmp_path: Path) -> None:
    # Longer than one block, at a rate that the other tests do not use.
    y = np.random.default_rng(0).normal(scale=0.1, size=3 * 2**17)
    path = write(tmp_path / "a.wav", y, 44_100)
    audio = load(path, other_rates=[16_000, 44_100, SR])
    assert audio.others.keys() == {16_000, 44_100, SR}
    for rate, samples in audio.others.items():
        np.testing.assert_array_equal(samples, load(path, sample_rate=rate).y)
    assert audio.others[SR] is audio.y
    assert not load(path).others


@pytest.mark.parametrize(("sr", "channels"), [(8000, 1), (192_000, 1), (44_100, 6)])
def test_any_rate_and_channels_become_mono_at_the_requested_rate(
    tmp_path: Path, sr: int, channels: int
) -> None:
    audio = load(write(tmp_path / "a.wav", tone(4, sr=sr, channels=channels), sr))
    assert (audio.native_sr, audio.channels, audio.sr) == (sr, channels, SR)
    assert len(audio.y) == pytest.approx(4 * SR, abs=2)
    middle = slice(SR, 3 * SR)
    np.testing.assert_allclose(audio.y[middle], tone(4)[middle], atol=2e-3)


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xff.wav"))
    write(tmp_path / "a.wav", tone()).rename(path)
    assert len(load(path).y) == SR


def test_a_name_with_spaces_and_letters_of_other_scripts(tmp_path: Path) -> None:
    assert len(load(write(tmp_path / "Кино — звезда 太陽.wav", tone())).y) == SR


def cut(path: Path, fraction: float = 0.6) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    return path


@pytest.mark.parametrize("suffix", ["wav", "au", "aiff", "flac", "ogg", "mp3"])
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    path = cut(write(tmp_path / f"a.{suffix}", tone(5)))
    with pytest.raises(AudioError, match=rf"a\.{suffix}: (cut short|not readable)"):
        load(path)


def test_a_wav_of_unknown_length_as_written_to_a_pipe_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(2))
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(bytes(content))
    assert len(load(path).y) == 2 * SR


def test_a_flac_of_unknown_length_as_written_to_a_pipe_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", tone(2))
    content = bytearray(path.read_bytes())
    # The last 36 bits of the eight bytes after sizes and before the digest count the samples.
    assert int.from_bytes(content[18:26]) & (1 << 36) - 1 == 2 * SR
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(bytes(content))
    assert soundfile.info(path).frames > 10 * SR
    assert len(load(path).y) == 2 * SR


def test_a_flac_without_its_last_frame_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", tone(2))
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"\xff\xf8")])
    with pytest.raises(AudioError, match=r"cut short: 1\.\d+ of 2\.00 s are present"):
        load(path)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "empty file"),
    "text": (lambda path: path.write_text("not music\n" * 100), "not readable as audio"),
    "zero_bytes": (lambda path: path.write_bytes(bytes(5000)), "not readable as audio"),
    "header_only": (lambda path: cut(write(path, tone()), 0.0005), "not readable as audio"),
    "no_samples": (lambda path: write(path, np.zeros(0)), "no samples"),
    "one_sample": (lambda path: write(path, np.ones(1)), "too short"),
    "less_than_a_frame": (lambda path: write(path, tone(0.05)), "too short"),
    "nan": (lambda path: write(path, np.full(SR, np.nan), subtype="FLOAT"), "not finite"),
    "infinite": (lambda path: write(path, np.full(SR, np.inf), subtype="FLOAT"), "not finite"),
    "enormous": (lambda path: write(path, np.full(SR, 1e17), subtype="FLOAT"), "samples up to 1e\\+17"),
    "folder": (lambda path: path.mkdir(), "a.wav"),
    "loop": (lambda path: path.symlink_to(path), "cannot be opened"),
    "pipe": (os.mkfifo, "cannot be opened \\(a pipe or a device"),
    "dangling": (lambda path: path.symlink_to(path.with_name("gone")), "cannot be opened"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_unusable_file_is_refused_with_its_reason(tmp_path: Path, case: str) -> None:
    make, reason = BAD[case]
    path = tmp_path / "a.wav"
    make(path)
    with pytest.raises(AudioError, match=reason) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_without_read_permission_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone())
    path.chmod(0)
    # Root can read every file, so read it as another user.
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        if os.geteuid() == 0 and folder.owner() == "root":
            folder.chmod(folder.stat().st_mode | 0o011)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(AudioError, match=r"cannot be opened \(Permission denied\)"):
            load(path)
    finally:
        os.seteuid(user)


@pytest.fixture
def bare_mp3(tmp_path: Path) -> Path:
    """A complete MP3 of constant bit rate, without the first frame, which counts the others."""
    path = tmp_path / "a.mp3"
    write(path, tone(5), bitrate_mode="CONSTANT", compression_level=0.5)
    content = path.read_bytes()
    length = frame_length(content[:4])
    assert length is not None
    assert b"Info" in content[:length]
    path.write_bytes(content[length:])
    return path


@pytest.mark.parametrize("wrapping", ["none", "tag before", "tag after", "both"])
def test_an_mp3_without_a_count_of_frames_is_read(bare_mp3: Path, wrapping: str) -> None:
    content = bare_mp3.read_bytes()
    if wrapping in ("tag before", "both"):
        content = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128) + content
    if wrapping in ("tag after", "both"):
        content += b"TAG" + bytes(125)
    bare_mp3.write_bytes(content)
    frames = count_mp3_frames(bare_mp3)
    assert frames is not None
    assert (frames.declared, frames.last_lacks_bytes, frames.missing_s) == (None, 0, 0)
    assert load(bare_mp3).duration_s == pytest.approx(5, abs=0.2)


@pytest.mark.parametrize("missing", [50, 5000, 7777])
def test_an_mp3_without_a_count_of_frames_that_ends_within_a_frame_is_refused(
    bare_mp3: Path, missing: int
) -> None:
    bare_mp3.write_bytes(bare_mp3.read_bytes()[:-missing])
    with pytest.raises(AudioError, match=r"a\.mp3: cut short: the end of the audio is missing"):
        load(bare_mp3)


def test_clipping_and_silence_are_measured(tmp_path: Path) -> None:
    y = tone()
    y[:2205] = 1.0
    assert load(write(tmp_path / "a.wav", y)).clipped == pytest.approx(0.1, abs=0.001)
    silent = load(write(tmp_path / "b.wav", np.zeros(SR)))
    assert silent.peak == 0


def test_a_track_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    write(path, np.zeros(31 * 22050))
    with pytest.raises(AudioError, match=r"long\.flac: longer than 0\.5 minutes; cut it into pieces"):
        load(path, longest_s=30)
    write(path, np.zeros(30 * 22050))
    assert len(load(path, longest_s=30).y) == 30 * 22050


@pytest.fixture
def vbr_mp3(tmp_path: Path) -> bytes:
    """An MP3 of 3 s with a variable bit rate, whose first frame counts the others."""
    path = write(tmp_path / "vbr.mp3", tone(3), bitrate_mode="VARIABLE", compression_level=0.0)
    return path.read_bytes()


def test_a_vbr_mp3_without_its_header_is_read_completely(tmp_path: Path, vbr_mp3: bytes) -> None:
    length = frame_length(vbr_mp3[:4])
    (tmp_path / "a.mp3").write_bytes(vbr_mp3[length:])
    audio = load(tmp_path / "a.mp3")
    # The delay of encoder and decoder, which the header would trim, remains.
    assert audio.duration_s == pytest.approx(3, abs=0.1)
    assert audio.missing_s == 0


@pytest.mark.parametrize(
    "between", [b"", b"TAG" + bytes(125) + b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)]
)
def test_joined_mp3s_are_read_completely(tmp_path: Path, vbr_mp3: bytes, between: bytes) -> None:
    (tmp_path / "a.mp3").write_bytes(vbr_mp3 + between + vbr_mp3)
    assert load(tmp_path / "a.mp3").duration_s == pytest.approx(6, abs=0.15)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_chained_ogg_is_read_completely(tmp_path: Path, subtype: str) -> None:
    part = write(tmp_path / "part.ogg", tone(3, sr=48000), 48000, format="OGG", subtype=subtype).read_bytes()
    (tmp_path / "a.ogg").write_bytes(part + part)
    assert load(tmp_path / "a.ogg").duration_s == pytest.approx(6, abs=0.05)


@pytest.mark.parametrize("missing", [1, 20])
def test_an_mp3_that_lacks_a_few_bytes_is_accepted(tmp_path: Path, vbr_mp3: bytes, missing: int) -> None:
    (tmp_path / "a.mp3").write_bytes(vbr_mp3[:-missing])
    audio = load(tmp_path / "a.mp3")
    assert audio.duration_s == pytest.approx(3, abs=0.06)
    assert 0 < audio.missing_s < 0.05


def test_a_wav_whose_header_states_eight_bytes_too_many_is_accepted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(2))
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = (int.from_bytes(content[place : place + 4], "little") + 8).to_bytes(
        4, "little"
    )
    path.write_bytes(bytes(content))
    audio = load(path)
    assert len(audio.y) == 2 * SR
    assert audio.missing_s == pytest.approx(4 / SR)


def test_an_mp3_with_a_tag_and_no_audio_has_no_samples(tmp_path: Path, vbr_mp3: bytes) -> None:
    length = frame_length(vbr_mp3[:4])
    (tmp_path / "a.mp3").write_bytes(b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128) + vbr_mp3[:length])
    with pytest.raises(AudioError, match=r"a\.mp3: contains no samples"):
        load(tmp_path / "a.mp3")


def encode(path: Path, codec: str, y: np.ndarray, sr: int) -> Path:
    """Encode a mono signal with FFmpeg."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=sr, layout="mono")
        stream.bit_rate = 128_000
        frame = av.AudioFrame.from_ndarray(y[np.newaxis].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = sr
        resampler = av.AudioResampler(stream.codec_context.format or "fltp", "mono", sr, frame_size=1024)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


ENCODED = {
    "a.m4a": ("aac", "aac"),
    "lossless.m4a": ("alac", "alac"),
    "a.aac": ("aac", "aac"),
    "a.webm": ("libopus", "opus"),
}


@pytest.mark.parametrize("name", ENCODED)
def test_formats_that_libsndfile_cannot_read(tmp_path: Path, name: str) -> None:
    encoder, codec = ENCODED[name]
    audio = load(encode(tmp_path / name, encoder, tone(3, sr=48000), 48000))
    assert audio.codec == codec
    assert audio.duration_s == pytest.approx(3, abs=0.06)
    assert audio.missing_s == 0
    np.testing.assert_allclose(np.sqrt(np.mean(audio.y[SR : 2 * SR] ** 2)), 0.5 / np.sqrt(2), rtol=0.02)


@pytest.mark.parametrize("name", ENCODED)
def test_a_cut_file_of_a_format_that_libsndfile_cannot_read_is_refused(tmp_path: Path, name: str) -> None:
    path = cut(encode(tmp_path / name, ENCODED[name][0], tone(3, sr=48000), 48000))
    with pytest.raises(AudioError, match="cut short"):
        load(path)


@pytest.mark.parametrize("suffix", ["mp3", "ogg"])
def test_both_decoders_return_the_same_samples(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", tone(3))
    expected, _ = soundfile.read(path, dtype="float32")
    audio = load(path)
    assert len(audio.y) == len(expected)
    np.testing.assert_allclose(audio.y, expected, atol=1e-5)


def test_a_playlist_is_not_followed(tmp_path: Path, vbr_mp3: bytes) -> None:
    (tmp_path / "a.mp3").write_text(f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/vbr.mp3\n")
    with pytest.raises(AudioError, match=r"a\.mp3: not readable as audio"):
        load(tmp_path / "a.mp3")


def test_a_compressed_file_whose_name_is_not_utf8_or_looks_like_an_address(
    tmp_path: Path, vbr_mp3: bytes
) -> None:
    for name in (b"caf\xff.mp3", b"http:x.mp3"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        path.write_bytes(vbr_mp3)
        assert len(load(path).y) == 3 * SR
