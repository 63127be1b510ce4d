"""Write predictions over time as label tracks of the audio editor Audacity."""

from __future__ import annotations

from pathlib import Path

from data.audio.decode import load
from data.errors import OutputError
from data.io.folder import Folder
from results.model.prediction import Prediction


def label_track(prediction: Prediction, duration_s: float) -> str:
    """Format the segments of a song as a label track: start and end in seconds, and the genre.

    See Audacity's manual, "Importing and Exporting Labels": one label per line, separated by tabs.
    """
    ends = [*prediction.start_s[1:], max(duration_s, prediction.start_s[-1])]
    lines = []
    for start, end, segment in zip(prediction.start_s, ends, prediction.segments, strict=True):
        genre, probability = max(segment.items(), key=lambda pair: pair[1])
        lines.append(f"{start:.6f}\t{end:.6f}\t{genre} {100 * probability:.0f} %\n")
    return "".join(lines)


def write_label_track(prediction: Prediction, folder: str | Path) -> Path:
    """Write the label track of a song to ``folder/SONG.txt``, which appears whole.

    Parameters
    ----------
    prediction : Prediction
        The prediction; its path names the song.
    folder : str or Path
        Where to write.

    Returns
    -------
    Path
        The label track.

    Raises
    ------
    OutputError
        If a file of that name exists already, or the folder cannot be written.
    """
    target = Path(folder) / f"{Path(prediction.path).name}.txt"
    text = label_track(prediction, load(prediction.path).duration_s)
    try:
        if target.exists():
            raise OutputError(f"{target}: exists already and is not replaced; name another --audacity")
        Folder.at(target.parent).write(target.name, text.encode())
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror or error})") from error
    return target
