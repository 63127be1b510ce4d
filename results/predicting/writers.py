"""Print predictions one by one: as a table, as JSON or as CSV."""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence

from rich.cells import cell_len

from data.io.folder import printable
from results.model.formatting import UNSURE, answer, record, timeline
from results.model.prediction import Prediction


class Writer(ABC):
    """Formats predictions; all lines end without a newline.

    Parameters
    ----------
    genres : sequence of str
        The genres of the model.
    top : int
        Number of genres per song.
    min_confidence : float
        Probability below which the answer is ``unsure``.
    """

    def __init__(self, genres: Sequence[str], *, top: int, min_confidence: float) -> None:
        self._genres = genres
        self._top = top
        self._min_confidence = min_confidence

    def head(self) -> str | None:
        """Return the line before all predictions, if there is one."""
        return None

    @abstractmethod
    def line(self, prediction: Prediction) -> str:
        """Return the line of a prediction."""

    def answer(self, prediction: Prediction) -> str:
        """Return the genre, or ``unsure``."""
        return answer(prediction, self._min_confidence)


class TableWriter(Writer):
    """One line per song: genre, probability, path; further genres follow in parentheses.

    Parameters
    ----------
    genres, top, min_confidence
        See `Writer`.
    with_timeline : bool
        Whether a second line shows the genre over time.
    """

    def __init__(
        self, genres: Sequence[str], *, top: int, min_confidence: float, with_timeline: bool = False
    ) -> None:
        super().__init__(genres, top=top, min_confidence=min_confidence)
        self._with_timeline = with_timeline
        self._width = max(cell_len(name) for name in (*genres, UNSURE))

    def line(self, prediction: Prediction) -> str:
        """Return the line of a prediction, and that of its timeline."""
        genre = self.answer(prediction)
        probabilities = list(prediction.probabilities.items())
        # An unsure answer names its guess too.
        first = 0 if genre == UNSURE else 1
        others = probabilities[first : max(self._top, 1)]
        # Padded by cells, because Chinese, Japanese and Korean characters are two cells wide.
        padded = genre + " " * (self._width - cell_len(genre))
        text = f"{padded}  {100 * probabilities[0][1]:5.1f} %  {printable(prediction.path)}"
        if others:
            text += " (" + ", ".join(f"{name} {100 * value:.1f} %" for name, value in others) + ")"
        if self._with_timeline:
            text += "\n  " + ", ".join(timeline(prediction))
        return text


class JsonWriter(Writer):
    """One JSON object per line, with the `top` likeliest genres."""

    def line(self, prediction: Prediction) -> str:
        """Return a prediction as JSON."""
        content = record(prediction, min_confidence=self._min_confidence)
        content["probabilities"] = dict(list(prediction.probabilities.items())[: self._top])
        return json.dumps(content, ensure_ascii=False)


class CsvWriter(Writer):
    """One row per song: file, genre, confidence, then the `top` likeliest genres with their probabilities."""

    def head(self) -> str:
        """Return the names of the columns."""
        ranked = [
            name for rank in range(1, self._top + 1) for name in (f"genre_{rank}", f"probability_{rank}")
        ]
        return _csv_line(["file", "genre", "confidence", *ranked])

    def line(self, prediction: Prediction) -> str:
        """Return the row of a prediction."""
        ranked = list(prediction.probabilities.items())[: self._top]
        cells = [text for name, value in ranked for text in (name, f"{value:.4f}")]
        confidence = next(iter(prediction.probabilities.values()))
        path = printable(prediction.path)
        return _csv_line([path, self.answer(prediction), f"{confidence:.4f}", *cells])


def _csv_line(cells: Sequence[str]) -> str:
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(cells)
    return row.getvalue()


def summarise(answers: Counter[str], n_skipped: int) -> str:
    """Count the songs by genre, most frequent first, in one line."""
    by_genre = ", ".join(f"{count} {genre}" for genre, count in answers.most_common())
    skipped = f"; {n_skipped} skipped" if n_skipped else ""
    return f"{answers.total()} songs: {by_genre}{skipped}"
