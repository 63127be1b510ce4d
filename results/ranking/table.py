"""A leaderboard in words: headings, cells, the title of a table and the notes under it."""

from __future__ import annotations

from results.evaluation.descriptions import split
from results.evaluation.groups import INDEPENDENT
from results.ranking.boards import Board, Entry

HEADINGS = (
    "rank",
    "run",
    "family",
    "trial",
    "val accuracy [95 %]",
    "lift",
    "epochs",
    "parameters",
    "time",
    "status",
)

LEFT = frozenset({"run", "family", "trial", "status"})
"""Headings of words, which are aligned to the left."""

SYNTHETIC = "SYNTHETIC data: these numbers say nothing about real music."

TIED = "~"
"""Marks entries that cannot be told apart from the first."""


def cells(entry: Entry) -> list[str]:
    """Cells of an entry, under `HEADINGS`."""
    minutes, seconds = divmod(round(entry.seconds), 60)
    return [
        f"{entry.rank} {TIED}" if entry.tied else str(entry.rank),
        entry.run,
        entry.family,
        "BASELINE" if entry.baseline else entry.trial_id,
        f"{100 * entry.val_accuracy:.1f} % [{100 * entry.low:.1f}, {100 * entry.high:.1f}]",
        "" if entry.lift is None else f"{entry.lift:+.1f}",
        str(entry.epochs),
        f"{entry.params:,}",
        f"{minutes}:{seconds:02d}",
        entry.status,
    ]


def title(board: Board) -> str:
    """Say on which data and split a table was ranked."""
    info = board.info
    synthetic = "SYNTHETIC " if info.cache.synthetic else ""
    return (
        f"Table {board.number}: {synthetic}data {info.cache.uri} ({info.cache.data[:8]}),"
        f" {split(info)} ({info.split_fingerprint[:8]}), {info.n_validated} tracks validated"
    )


def _test(board: Board) -> str:
    return "exact McNemar test" if board.n_groups is None else f"sign-flip test over {board.n_groups} groups"


def notes(board: Board) -> list[str]:
    """Say what must be said beside the numbers."""
    found = []
    if board.info.cache.synthetic:
        found.append(SYNTHETIC)
    if board.why:
        found.append(f"A table of its own: {board.why}.")
    if any(entry.tied for entry in board.entries):
        found.append(
            f"{TIED} cannot be told apart from the first: on the same {board.info.n_validated} tracks the"
            f" {_test(board)} finds p >= 0.05 (not corrected for the many that are compared)."
        )
    if board.correction is not None:
        found.append(board.correction.sentence())
    elif board.ranked > 1:
        found.append(
            f"Rank 1 was selected from {board.ranked} trials on these tracks; its accuracy is optimistic."
        )
    found.append(
        INDEPENDENT
        if board.n_groups is None
        else f"Intervals and tests are by the {board.n_groups} groups that the tracks come in."
    )
    if any(entry.tied is None for entry in board.entries[1:]):
        found.append("Not all could be tested against the first: a judgement of the tracks is missing.")
    if any(entry.status == "PRUNED" for entry in board.entries):
        found.append("PRUNED trials were stopped early; their score is that of their best epoch until then.")
    shown = f"{len(board.entries)} of {board.ranked} scored trials are shown"
    if board.unranked:
        shown += f"; without a score: {board.unranked} (results.report says why)"
    found.append(f"{shown}.")
    return found
