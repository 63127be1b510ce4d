"""Limits of the server, and their messages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the server accepts.

    Attributes
    ----------
    max_megabytes : float
        Maximum size of an upload, in units of 10^6 bytes.
    max_minutes : float
        Longest song in minutes.
    max_requests : int
        Predictions at once, running and waiting; more are refused with status 503.
    """

    max_megabytes: float = 200.0
    max_minutes: float = 15.0
    max_requests: int = 32

    @property
    def max_bytes(self) -> int:
        """Maximum size of an upload in bytes."""
        return int(self.max_megabytes * 1e6)

    @property
    def longest_s(self) -> float:
        """Longest song in seconds."""
        return 60 * self.max_minutes

    def too_large(self) -> str:
        """Return the message for an upload over the limit."""
        return (
            f"the file is larger than {self.max_megabytes:g} MB; cut it, or start the server with"
            " --max-megabytes"
        )

    def too_many(self) -> str:
        """Return the message for a request beyond the number that is accepted at once."""
        return f"{self.max_requests} predictions are running or waiting; try again in a few seconds"
