"""Whether the end of an MP3 file is missing, told by its frames.

Files of a variable bit rate mostly count their frames in a header, which libsndfile compares. One of a
constant bit rate may have no such header: what is missing can be told only by a last frame that is not there
in full.
"""

from __future__ import annotations

from pathlib import Path

_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""Sample rates in Hz by the two bits of the version: MPEG 1, 2 and 2.5."""
_KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_LAYER_3 = 1
_SEARCHED = 1 << 16
"""Bytes, after a tag at the start, in which the first frame is looked for."""


def frame_length(header: bytes) -> int | None:
    """Bytes of the Layer III frame that begins with these four; None if none does.

    The layout of the header is that of ISO 11172-3, 2.4.1.3, and for half rates of ISO 13818-3.
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    kbit, rate = header[2] >> 4, header[2] >> 2 & 3
    if layer != _LAYER_3 or version not in _RATES or rate == 3 or not 0 < kbit < 15:
        return None
    full = version == 3
    bits = 1000 * (_KBITS_1 if full else _KBITS_2)[kbit]
    return (144 if full else 72) * bits // _RATES[version][rate] + (header[2] >> 1 & 1)


def last_frame_is_cut(path: str | Path) -> bool:
    """Tell whether an MP3 file ends within a frame.

    False too where it cannot be told: the file ends where a frame does, or holds something else than frames.
    """
    content = Path(path).read_bytes()
    place = _first_frame(content)
    if place is None:
        return False
    while place < len(content):
        length = frame_length(content[place : place + 4])
        if length is None:
            # A tag, or the first bytes of another header.
            return len(content) - place < 4 and content[place] == 0xFF
        place += length
    return place > len(content)


def _first_frame(content: bytes) -> int | None:
    """Where the first of two frames begins that follow each other."""
    start = 0
    if content[:3] == b"ID3" and len(content) >= 10:
        start = 10 + sum(
            (byte & 0x7F) << shift for byte, shift in zip(content[6:10], (21, 14, 7, 0), strict=True)
        )
    for place in range(start, min(len(content), start + _SEARCHED)):
        length = frame_length(content[place : place + 4])
        if length is not None and frame_length(content[place + length : place + length + 4]) is not None:
            return place
    return None
