"""The ID3v2 tag before the audio of many MP3 and some FLAC files."""

from __future__ import annotations

_HEADER_BYTES = 10


def tag_length(content: bytes, start: int = 0) -> int:
    """Length in bytes of the ID3v2 tag that begins at `start`; 0 if there is no tag.

    The size is stored in four bytes of seven bits each (ID3v2.4, section 3.1), without the tag's header.
    """
    header = content[start : start + _HEADER_BYTES]
    if header[:3] != b"ID3" or len(header) < _HEADER_BYTES:
        return 0
    size = sum((byte & 0x7F) << shift for byte, shift in zip(header[6:10], (21, 14, 7, 0), strict=True))
    return _HEADER_BYTES + size
