"""Partition that came with a collection: the side of each track, as its table of labels or its folders say.

A side is ``train``, ``valid``, ``test``, or the number of a fold as text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from data.io.folder import Folder

GIVEN_SPLIT = "given_split"
"""Column of a manifest: the side that the user gave for a file, null if none."""

TRAIN, VALID, TEST = "train", "valid", "test"
_WORDS = {
    TRAIN: ("train", "training"),
    VALID: ("valid", "validation", "val", "dev"),
    TEST: ("test", "testing", "eval", "evaluation"),
}
_SIDE_OF_WORD = {word: side for side, words in _WORDS.items() for word in words}


def side_of(word: str) -> str | None:
    """Return the side that a word or a number of a fold means, in any case; None if it means none."""
    word = word.strip().casefold()
    if word.removesuffix(".0").isdecimal():
        return str(int(word.removesuffix(".0")))
    return _SIDE_OF_WORD.get(word)


def is_partition(names: Collection[str]) -> bool:
    """Whether folders of these names are the sides of a partition, ``train`` among them, and not genres."""
    sides = {_SIDE_OF_WORD.get(name.casefold()) for name in names}
    return len(sides) > 1 and None not in sides and TRAIN in sides


def known_words() -> str:
    """List the words of a partition, for messages."""
    return ", ".join("|".join(words) for words in _WORDS.values())


def contradiction(sides: Iterable[str]) -> str | None:
    """Say why tracks of these sides cannot be searched on; None if they can."""
    present = set(sides)
    folds = present - {TRAIN, VALID, TEST}
    if folds and VALID in present:
        return "it has numbered folds and valid; give one of them"
    if len(folds) == 1 and TRAIN not in present:
        return f"it has one fold only ({min(folds)}); give two or more"
    if not folds and TRAIN not in present:
        return f"no track is in {TRAIN}"
    return None


def stored_sides(cache: Folder) -> dict[str, str]:
    """Side of each track that had one when the cache was made; empty without a cache."""
    return given_values(cache, GIVEN_SPLIT)


def given_values(cache: Folder, column: str) -> dict[str, str]:
    """Values of a column of a manifest by track, without nulls; empty if there is no such column."""
    if not cache.exists("manifest.parquet"):
        return {}
    manifest = cache.parquet("manifest.parquet")
    if column not in manifest.schema_arrow.names:
        return {}
    table = manifest.read(["track_id", column])
    pairs = zip(table["track_id"].to_pylist(), table[column].to_pylist(), strict=True)
    return {track: value for track, value in pairs if value is not None}
