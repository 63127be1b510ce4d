"""Checkpoints of trials: one file per trial in the run's folder, replaced as a whole.

The files, ``checkpoints/NUMBER.npz``, are independent of Tune's checkpoints. A trial whose process died and a
search whose driver died resume from the same file.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.errors import RunError
from data.io.folder import Folder
from search.storage.run_folder import RunFolder

_PROGRESS = "progress"
_STATE = "state."
_BEST = "best_probabilities"
_RECENT = "recent_probabilities"


@dataclass(frozen=True)
class Checkpoint:
    """State of a trial between two epochs.

    Attributes
    ----------
    progress : dict
        JSON-compatible: ``epoch`` (number of finished epochs), ``seconds``, ``best`` and ``curve``.
    state : mapping of str to ndarray
        From `spaces.training.family.Learner.state`.
    best_probabilities : ndarray or None
        Probabilities of the validated tracks at the best epoch, shape (n_validated, n_classes): a resumed
        trial on a GPU may never reach the same score again. None in checkpoints of earlier versions.
    recent_probabilities : ndarray or None
        From `data.dataset.score_window.ScoreWindow.state`.
    """

    progress: dict[str, Any]
    state: Mapping[str, np.ndarray]
    best_probabilities: np.ndarray | None = None
    recent_probabilities: np.ndarray | None = None


def write_checkpoint(run: RunFolder, number: int, checkpoint: Checkpoint) -> None:
    """Write the checkpoint of a trial; it replaces the previous one."""
    content = io.BytesIO()
    progress = np.frombuffer(json.dumps(checkpoint.progress).encode(), dtype=np.uint8)
    arrays = {_STATE + name: array for name, array in checkpoint.state.items()}
    if checkpoint.best_probabilities is not None:
        arrays[_BEST] = checkpoint.best_probabilities
    if checkpoint.recent_probabilities is not None:
        arrays[_RECENT] = checkpoint.recent_probabilities
    np.savez(content, allow_pickle=False, **{_PROGRESS: progress}, **arrays)
    _folder(run).write(_name(number), content.getvalue())


def read_checkpoint(run: RunFolder, number: int) -> Checkpoint | None:
    """Read the last checkpoint of a trial; None if it has none.

    Raises
    ------
    RunError
        If the file is truncated.
    """
    try:
        content = _folder(run).read(_name(number))
    except FileNotFoundError:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            progress = json.loads(arrays[_PROGRESS].tobytes())
            best, recent = (arrays[name] if name in arrays.files else None for name in (_BEST, _RECENT))
            state = {
                name.removeprefix(_STATE): arrays[name] for name in arrays.files if name.startswith(_STATE)
            }
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise RunError(
            f"{_folder(run).uri}/{_name(number)}: the checkpoint is truncated ({error})"
        ) from error
    return Checkpoint(progress, state, best, recent)


def remove_checkpoint(run: RunFolder, number: int) -> None:
    """Delete the checkpoint of a trial that has ended."""
    _folder(run).remove(_name(number))


def tidy_checkpoints(run: RunFolder, kept: Collection[int]) -> None:
    """Delete all checkpoints except those of the trials `kept`, and temporary files of killed writers."""
    if not kept:
        run.folder.remove_tree("checkpoints")
        return
    folder = _folder(run)
    folder.remove_unfinished()
    for name in set(folder.names()) - {_name(number) for number in kept}:
        folder.remove(name)


def _folder(run: RunFolder) -> Folder:
    return run.folder / "checkpoints"


def _name(number: int) -> str:
    return f"{number}.npz"
