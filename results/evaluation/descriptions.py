"""What a run recorded about its data and its split, in words."""

from __future__ import annotations

from search.storage.run_folder import RunInfo

_SOURCES = {
    "audio": "features and tensors taken from audio files",
    "images": "pictures of spectrograms",
    "demo": "the demo data set, which is synthesised",
    "features-csv": "a published table of features",
}


def source(info: RunInfo) -> str:
    """Say of what kind the data is."""
    return _SOURCES.get(info.cache.source, info.cache.source)


def split(info: RunInfo) -> str:
    """Say how the tracks were split."""
    if info.test_fraction is None:
        return "a given partition"
    return f"{info.folds} folds" if info.folds > 1 else "one hold-out"


def from_pictures(info: RunInfo) -> bool:
    """Whether a model of the run takes pictures of spectrograms, not audio."""
    return bool(info.cache.parameters.get("from_pictures", False))
