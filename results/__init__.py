"""Results of searches: leaderboard, comparison, reports, exports and predictions.

Examples
--------
>>> import results
>>> classifier = results.load("exports/best")  # doctest: +SKIP
>>> classifier.predict("song.mp3").genre  # doctest: +SKIP
'jazz'
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from results.model.classifier import Classifier
    from results.model.ensemble import Ensemble

try:
    from data.siblings import require_own
except Exception as error:  # whatever another project's module named data raises
    raise ImportError(
        f"the package 'data' of genre-search is hidden by another module ({error}); use the command"
        " genre-search in place of python -m, or start in another folder",
        name=__name__,
    ) from error

__all__ = ["load"]

require_own(__name__, "spaces", "search")


def load(folder: str | Path) -> Classifier | Ensemble:
    """Load an exported model or ensemble, which predicts the genre of audio files.

    Raises
    ------
    ExportError
        If a file of the export is missing or invalid.
    """
    from results.model.classifier import Classifier
    from results.model.ensemble import Ensemble, is_ensemble

    return Ensemble.load(folder) if is_ensemble(folder) else Classifier.load(folder)
