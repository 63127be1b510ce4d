"""Count the frames of MPEG audio (MP3) and of AAC in ADTS, and detect a missing end.

If no header states the number of frames, FFmpeg estimates the length from file size and bit rate; it also
decodes an incomplete last frame without an error. Therefore the frames are counted here and compared with the
number in the header (Xing, Info or VBRI in the first frame), and the last frame is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data.audio.id3 import tag_length

_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""Sample rates in Hz by the two bits of the version: MPEG 1, 2 and 2.5."""
_KBITS = {
    # Keys: the two bits of the layer, and whether the version is MPEG 1. Values: rates in kbit/s.
    (1, True): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (1, False): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, True): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (2, False): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_LAYER_3 = 1
_SEARCH_BYTES = 1 << 16
"""Bytes to search for the next frame, after a tag or between joined files."""
_SLACK_BYTES = 16
"""Bytes that may be missing from the last frame if no header counts the frames: some encoders write it short.
If more bytes are missing, the file was cut and the number of lost frames is unknown."""
_ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_ADTS_SAMPLES = 1024

FrameLength = Callable[[bytes], int | None]


@dataclass(frozen=True)
class Frames:
    """Frames of a file.

    Attributes
    ----------
    count : int
        Complete frames with audio, without the frame that contains only a header.
    declared : int or None
        Number of frames that the header states; None if unknown.
    last_lacks_bytes : int
        Bytes that are missing from the last frame; 0 if it is complete.
    frame_s : float
        Length of a frame in seconds.
    """

    count: int
    declared: int | None
    last_lacks_bytes: int
    frame_s: float

    @property
    def missing_s(self) -> float | None:
        """Seconds of audio that are missing; None if frames are missing and their number is unknown."""
        if self.declared is not None:
            return max(0, self.declared - self.count) * self.frame_s
        if self.last_lacks_bytes > _SLACK_BYTES:
            return None
        return self.frame_s if self.last_lacks_bytes else 0.0


def frame_length(header: bytes) -> int | None:
    """Length in bytes of the Layer II or III frame with this header; None if it is not one.

    The header is defined in ISO 11172-3, 2.4.1.3, and for half sample rates in ISO 13818-3.
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    kbit, rate = header[2] >> 4, header[2] >> 2 & 3
    full = version == 3
    if (layer, full) not in _KBITS or version not in _RATES or rate == 3 or not 0 < kbit < 15:
        return None
    bits = 1000 * _KBITS[layer, full][kbit]
    slots = 144 if full or layer != _LAYER_3 else 72
    return slots * bits // _RATES[version][rate] + (header[2] >> 1 & 1)


def adts_length(header: bytes) -> int | None:
    """Length in bytes of the AAC frame with this ADTS header (ISO 13818-7, 6.2); None if it is not one."""
    if len(header) < 6 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return None
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return length if length > 7 else None


def count_mp3_frames(path: str | Path) -> Frames | None:
    """Count the frames of an MP3 or MP2 file; None if it has none."""
    content = Path(path).read_bytes()
    first = _next_frame(content, 0, frame_length)
    if first is None:
        return None
    header = content[first : first + 4]
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    samples = 576 if layer == _LAYER_3 and version != 3 else 1152
    frame_s = samples / _RATES[version][header[2] >> 2 & 3]
    has_header, declared = _declared(content[first : first + 256])
    count, missing_bytes = _walk(content, first, frame_length)
    return Frames(count - has_header, declared, missing_bytes, frame_s)


def count_adts_frames(path: str | Path) -> Frames | None:
    """Count the frames of an AAC file in ADTS; None if it has none."""
    content = Path(path).read_bytes()
    first = _next_frame(content, 0, adts_length)
    if first is None:
        return None
    count, missing_bytes = _walk(content, first, adts_length)
    rate = _ADTS_RATES[content[first + 2] >> 2 & 15]
    return Frames(count, None, missing_bytes, _ADTS_SAMPLES / rate)


def _declared(frame: bytes) -> tuple[bool, int | None]:
    """Whether the first frame is a Xing, Info or VBRI header, and the number of frames in it."""
    version, channels = frame[1] >> 3 & 3, frame[3] >> 6
    mono = channels == 3
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    xing = frame[4 + side :]
    if xing[:4] in (b"Xing", b"Info"):
        states_frames = xing[7] & 1
        return True, int.from_bytes(xing[8:12]) if states_frames else None
    # VBRI starts 32 bytes after the header in every version.
    vbri = frame[36:]
    if vbri[:4] == b"VBRI":
        return True, int.from_bytes(vbri[14:18])
    return False, None


def _walk(content: bytes, place: int, length_of: FrameLength) -> tuple[int, int]:
    """Count the complete frames from `place` on, and the missing bytes of the last one.

    Tags and other bytes between frames, as in joined files, are skipped.
    """
    count = 0
    while place < len(content):
        length = length_of(content[place : place + 7])
        if length is None:
            if _is_torn_header(content, place):
                return count, _SLACK_BYTES + 1
            following = _next_frame(content, place, length_of)
            if following is None:
                return count, 0
            place = following
            continue
        if place + length > len(content):
            return count, place + length - len(content)
        place += length
        count += 1
    return count, 0


def _is_torn_header(content: bytes, place: int) -> bool:
    """Whether the file ends within the header of a frame."""
    return len(content) - place < 4 and content[place] == 0xFF


def _next_frame(content: bytes, start: int, length_of: FrameLength) -> int | None:
    """Find the first frame at or after `start` that is followed by another frame, a tag or the end."""
    while (tag := tag_length(content, start)) > 0:
        start += tag
    end = min(len(content), start + _SEARCH_BYTES)
    place = content.find(b"\xff", start, end)
    while place >= 0:
        length = length_of(content[place : place + 7])
        if length is not None:
            following = content[place + length : place + length + 7]
            if not following or following[:3] in (b"ID3", b"TAG", b"APE") or length_of(following) is not None:
                return place
        place = content.find(b"\xff", place + 1, end)
    return None
