"""The one line that a command prints on bad input."""

from __future__ import annotations


def error_line(stderr: str) -> str:
    """Return the last line of standard error, after checking that only names of stages precede it."""
    *stages, error = stderr.strip().splitlines()
    assert all(stage.endswith(" ...") for stage in stages), stderr
    return error
