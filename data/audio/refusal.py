"""Why an audio file cannot be used, as the decoders report it."""

from __future__ import annotations


class UnusableError(Exception):
    """A file that opens cannot be used; `data.audio.decode.load` adds the file's name."""
