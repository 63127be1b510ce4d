"""Detect a missing end of an Ogg file from its last page.

The header of a page states the number of samples up to its end (RFC 3533, section 6), which distinguishes the
loss of a few bytes from the loss of minutes.
"""

from __future__ import annotations

from pathlib import Path

_CAPTURE = b"OggS"
_HEADER_BYTES = 27
_MAX_PAGE_BYTES = _HEADER_BYTES + 255 + 255 * 255
_FIRST, _LAST = 2, 4
"""Bits of a page's type that mark the first and the last page of a stream."""


def stated_samples(path: str | Path) -> int | None:
    """Read the number of samples that the pages of a Vorbis or Opus file state, at the rate of the stream.

    FFmpeg does not always trim the last packet to this number.

    Returns
    -------
    int or None
        None if several streams are joined, or the last page is missing.
    """
    content = Path(path).read_bytes()
    place, skipped, last = 0, None, None
    while (place := content.find(_CAPTURE, place)) >= 0:
        header = content[place : place + _HEADER_BYTES]
        if len(header) < _HEADER_BYTES:
            break
        body = place + _HEADER_BYTES + header[26]
        if header[5] & _FIRST:
            if skipped is not None:
                return None
            # An Opus header states the samples to skip at its start (RFC 7845, section 5.1).
            opus = content[body : body + 8] == b"OpusHead"
            skipped = int.from_bytes(content[body + 10 : body + 12], "little") if opus else 0
        last = _granule(header) if header[5] & _LAST else None
        place = body + sum(content[place + _HEADER_BYTES : body])
    return None if skipped is None or last is None else last - skipped


def missing_samples(path: str | Path) -> int | None:
    """Count the samples that are missing at the end of the file, at the rate of the stream.

    Returns
    -------
    int or None
        0 if the last page is complete; the samples of the last page if it is incomplete; None if it is
        missing, because then the number is unknown.
    """
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        file.seek(max(0, size - 2 * _MAX_PAGE_BYTES))
        content = file.read()
    place = content.rfind(_CAPTURE)
    header = content[place : place + _HEADER_BYTES]
    if place < 0 or len(header) < _HEADER_BYTES or not header[5] & _LAST:
        return None
    n_segments = header[26]
    segments = content[place + _HEADER_BYTES : place + _HEADER_BYTES + n_segments]
    end = place + _HEADER_BYTES + n_segments + sum(segments)
    if len(segments) == n_segments and end <= len(content):
        return 0
    before = content.rfind(_CAPTURE, 0, place)
    if before < 0 or content[before + 14 : before + 18] != header[14:18]:
        return None
    return _granule(header) - _granule(content[before:])


def _granule(header: bytes) -> int:
    """Read the number of samples up to the end of a page."""
    return int.from_bytes(header[6:14], "little", signed=True)
