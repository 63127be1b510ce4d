"""Tag an audio file with MusiCNN: genres, moods, decades, instruments."""

from __future__ import annotations

from pathlib import Path

from data.analysis.encoders.musicnn_weights import find_weights
from data.audio.decode import load
from data.io.keras_import import import_keras


def music_tags(path: str | Path, *, weights: str | Path | None = None) -> dict[str, float]:
    """Tag an audio file.

    Parameters
    ----------
    path : str or Path
        The file.
    weights : str or Path, optional
        Folder of MusiCNN's weights, if they are not installed.

    Returns
    -------
    dict of str to float
        Activation of each of the 50 Last.fm tags, from 0 to 1, strongest first: the mean over patches of
        three seconds.

    Raises
    ------
    EncoderError
        If the weights are missing or damaged.
    AudioError
        If the file cannot be used.
    """
    files = find_weights(weights)
    import_keras()
    from data.analysis.encoders.musicnn import SAMPLE_RATE, Musicnn

    audio = load(path, sample_rate=SAMPLE_RATE)
    tags = Musicnn(files).tags(audio.y)
    return dict(sorted(tags.items(), key=lambda pair: -pair[1]))
