"""The error that decoders raise for an unusable audio file."""

from __future__ import annotations


class UnusableError(Exception):
    """A file cannot be used; `data.audio.decode.load` adds its name to the message."""
