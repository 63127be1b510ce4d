"""What a scan leaves out, by kind, with an example of each."""

from __future__ import annotations

from collections import Counter


class Ignored:
    """Counts of files and folders that are left out."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, kind: str, example: str, count: int = 1) -> None:
        """Count files of a kind, such as their ending."""
        self._counts[kind] += count
        self._examples.setdefault(kind, example)

    def remove(self, kind: str) -> None:
        """Count one file of a kind less: it has another use."""
        self._counts[kind] -= 1
        self._counts = +self._counts

    def summary(self) -> str:
        """Describe all kinds, the most frequent first; empty if nothing is left out."""
        return ", ".join(
            f"{count} {kind} (such as {self._examples[kind]})" for kind, count in self._counts.most_common()
        )
