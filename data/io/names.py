"""Names of files, genres and groups, made comparable.

Older disks of macOS (HFS+) store "é" as "e" and an accent (NFD), most other systems as one character (NFC).
Both look the same, so every name is compared in NFC.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable


def normalised(name: str) -> str:
    """Name in Unicode's composed form (NFC)."""
    return unicodedata.normalize("NFC", name)


def file_name(text: str) -> str:
    r"""Make the name of a file comparable with a ``track_id``: NFC, ``/`` for ``\``, no leading ``./``."""
    return normalised(text.strip()).replace("\\", "/").removeprefix("./")


def label_key(label: str) -> str:
    """Key under which spellings of one genre are equal: without case, spaces, hyphens and underscores."""
    return re.sub(r"[\s\-_]+", "", normalised(label).casefold())


def similar_labels(labels: Iterable[str]) -> list[list[str]]:
    """Genres that differ in case, spaces or hyphens only, each group sorted."""
    spellings: dict[str, set[str]] = {}
    for label in labels:
        spellings.setdefault(label_key(label), set()).add(label)
    return sorted(sorted(group) for group in spellings.values() if len(group) > 1)
