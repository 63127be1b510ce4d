"""Describe the data and the split of a run in words."""

from __future__ import annotations

from search.storage.run_info import RunInfo

_SOURCES = {
    "audio": "features and spectrograms extracted from audio files",
    "images": "spectrogram images",
    "demo": "the synthetic demo data set",
    "features-csv": "a published table of features",
}


def source(info: RunInfo) -> str:
    """Describe the kind of data."""
    return _SOURCES.get(info.cache.source, info.cache.source)


def split(info: RunInfo) -> str:
    """Describe how the tracks were split."""
    if info.test_fraction is None:
        return "a given partition"
    return f"{info.folds} folds" if info.folds > 1 else "one hold-out"


def reads_images(info: RunInfo) -> bool:
    """Whether models of the run read spectrogram images instead of audio."""
    return bool(info.cache.parameters.get("from_pictures", False))
