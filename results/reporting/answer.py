"""The answer of a search: the winner, its corrected score and the BASELINE, as a sentence and a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

from results.evaluation.correction import ChoiceCorrection
from results.evaluation.groups import INDEPENDENT
from results.ranking.entries import Board, Entry
from results.ranking.table import SYNTHETIC, notes

_STEPS = (1, 2, 5, 10, 20, 25)
"""Steps between ticks in percent."""
_MAX_INTERVALS = 6


@dataclass(frozen=True)
class Mark:
    """A row of the picture.

    Attributes
    ----------
    kind : str
        ``winner``, ``corrected``, ``family`` or ``baseline``.
    name, detail : str
        What is marked, and its model family; also its number of tracks, where these differ.
    text : str
        The value in words.
    value : float
        Accuracy in percent.
    low, high : float or None
        Ends of the 95 % interval in percent.
    """

    kind: str
    name: str
    detail: str
    text: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Answer:
    """The answer of one leaderboard.

    Attributes
    ----------
    sentence : str
        The winner, the corrected score and the BASELINE.
    marks : list of Mark
        Rows of the picture, the winner first, the BASELINE last.
    ticks : list of int
        Ticks of the picture in percent; the first and the last are its ends.
    notes : list of str
        How sure the answer is.
    """

    sentence: str
    marks: list[Mark]
    ticks: list[int]
    notes: list[str]

    def place(self, percent: float) -> float:
        """Return a position in the picture, from 0 to 100."""
        return 100 * (percent - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])

    def description(self) -> str:
        """Describe the picture for readers who cannot see it."""
        return "; ".join(
            f"{mark.name}: {mark.text}"
            + (
                ""
                if mark.low is None or mark.high is None
                else f", interval {mark.low:.1f} to {mark.high:.1f} %"
            )
            for mark in self.marks
        )


def answer(board: Board) -> Answer:
    """Summarise a leaderboard.

    Parameters
    ----------
    board : Board
        The leaderboard.
    """
    winner = board.entries[0]
    baseline = next((entry for entry in board.entries if entry.baseline and entry.run == winner.run), None)
    several = board.family_order is not None
    marks = [_mark("winner", winner, with_tracks=several)]
    correction = _of_accuracy(board)
    if correction is not None:
        corrected, common = 100 * correction.corrected.corrected, correction.n_tracks
        detail = "corrected for the choice" + ("" if common is None else f", by {common} tracks")
        marks.append(Mark("corrected", "Expected on new tracks", detail, _percent(corrected), corrected))
    marks += [_mark("family", entry, with_tracks=several) for entry in _best_of_other_families(board)]
    if baseline is not None and not winner.baseline:
        marks.append(_mark("baseline", baseline, with_tracks=several))
    ends = [value for mark in marks for value in (mark.value, mark.low, mark.high) if value is not None]
    return Answer(
        _sentence(board, winner, baseline), marks, round_ticks(min(ends), max(ends)), _certainty(board)
    )


def round_ticks(low: float, high: float) -> list[int]:
    """Return multiples of a round step from below `low` to above `high`; all in percent."""
    for step in _STEPS:
        first, last = math.floor(low / step), math.ceil(high / step)
        if last - first <= _MAX_INTERVALS:
            break
    return [step * number for number in range(first, max(last, first + 1) + 1)]


def other_notes(board: Board, answered: Answer) -> list[str]:
    """Return the notes of a leaderboard that are not in its answer or at the head of the page."""
    said = {*answered.notes, SYNTHETIC}
    return [note for note in notes(board, in_report=True) if note not in said]


def _sentence(board: Board, winner: Entry, baseline: Entry | None) -> str:
    right = f"{_percent(100 * winner.val_accuracy)} of {winner.n} tracks"
    if winner.baseline:
        return f"No trial beats the BASELINE: {winner.name} ({winner.family}) recognises {right}."
    expected, correction = "", _of_accuracy(board)
    if correction is not None:
        scores, common = correction.corrected, correction.n_tracks
        if common is not None:
            expected = f", and {_percent(100 * scores.raw)} of the {common} that all trials validated"
        expected += f"; expect {_percent(100 * scores.corrected)} on new tracks"
    against = "" if baseline is None else f"; the BASELINE reaches {_percent(100 * baseline.val_accuracy)}"
    return f"{winner.name} ({winner.family}) is the best: it recognises {right}{expected}{against}."


def _of_accuracy(board: Board) -> ChoiceCorrection | None:
    """Return the correction if it is one of accuracy, which the picture shows."""
    return board.correction if board.metric == "accuracy" else None


def _best_of_other_families(board: Board) -> list[Entry]:
    """Return the best trial of each family but the winner's."""
    best: dict[str, Entry] = {}
    for entry in board.entries:
        best.setdefault(entry.family, entry)
    return list(best.values())[1:]


def _mark(kind: str, entry: Entry, *, with_tracks: bool) -> Mark:
    """Return the row of an entry; `with_tracks` where rows were scored on different tracks."""
    return Mark(
        kind,
        f"{entry.name}, BASELINE" if entry.baseline else entry.name,
        f"{entry.family}, {entry.n} tracks" if with_tracks else entry.family,
        _percent(100 * entry.val_accuracy),
        *(100 * value for value in (entry.val_accuracy, entry.low, entry.high)),
    )


def _certainty(board: Board) -> list[str]:
    """Say how sure the order is; each sentence equals the leaderboard's note, where it has one."""
    winner, lines = board.entries[0], []
    if board.correction is not None:
        lines.append(board.correction.sentence())
    baseline = next((entry for entry in board.entries if entry.baseline and entry.run == winner.run), None)
    if baseline is not None and baseline.tied is not None:
        lines.append(_difference(winner, baseline))
    if board.family_order is not None:
        common = board.family_order.n_common
        lines.append(
            f"Families rank by the {common} tracks that all of them validated; rows show all of theirs."
        )
    if board.info.metric != "accuracy":
        lines.append(f"Trials are ranked by {board.info.metric}; this page shows their accuracy.")
    if board.n_groups is None:
        lines.append(INDEPENDENT)
    return lines


def _difference(winner: Entry, baseline: Entry) -> str:
    points = 100 * (winner.val_accuracy - baseline.val_accuracy)
    if baseline.tied:
        return f"A paired test finds no significant difference from the BASELINE ({points:+.1f} points)."
    return f"The difference from the BASELINE, {points:+.1f} points, is significant (paired test)."


def _percent(percent: float) -> str:
    return f"{percent:.1f} %"
