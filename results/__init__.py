"""Results of searches: leaderboard, comparison, reports, exports and predictions.

Examples
--------
>>> import results
>>> classifier = results.load("exports/best")  # doctest: +SKIP
>>> classifier.predict("song.mp3").genre  # doctest: +SKIP
'jazz'
>>> results.open_run("gtzan").best.name  # doctest: +SKIP
'gtzan:4'
>>> results.leaderboard("runs")  # a table; also the module of the command  # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from results import leaderboard
    from results.model.classifier import Classifier
    from results.model.ensemble import Ensemble
    from results.opened_run import OpenedRun

try:
    from data.siblings import require_own
except Exception as error:  # whatever another project's module named data raises
    raise ImportError(
        f"the package 'data' of genre-search is hidden by another module ({error}); use the command"
        " genre-search in place of python -m, or start in another folder",
        name=__name__,
    ) from error

from data.io.extras import check_installed

__all__ = ["leaderboard", "load", "open_run"]

require_own(__name__, "spaces", "search")


def load(folder: str | Path) -> Classifier | Ensemble:
    """Load an exported model or ensemble, which predicts the genre of audio files.

    Keras evaluates it where TensorFlow is installed, otherwise onnxruntime; the environment variable
    ``GENRE_SEARCH_RUNTIME`` (``keras`` or ``onnx``) selects one.

    Raises
    ------
    ExportError
        If a file of the export is missing or invalid.
    """
    from results.model.classifier import Classifier
    from results.model.ensemble import Ensemble, is_ensemble

    return Ensemble.load(folder) if is_ensemble(folder) else Classifier.load(folder)


def open_run(name: str, runs: str | Path = "runs") -> OpenedRun:
    """Open a run, or a search over several families.

    Parameters
    ----------
    name : str
        Its name.
    runs : str or Path
        Folder of the runs.

    Raises
    ------
    RunError
        If it does not exist; the message contains the nearest name.
    SettingsError
        If the extra ``search`` is not installed.
    """
    check_installed("search")
    from results.opened_run import OpenedRun

    return OpenedRun(name, runs)


def __getattr__(name: str) -> Any:
    # The module of the command, which can be called; a function of that name would be replaced by the module
    # as soon as anything imports it.
    if name == "leaderboard":
        from importlib import import_module

        return import_module("results.leaderboard")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
