"""The text of a leaderboard: headings, cells, the title of a table and the notes below it."""

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
"""Headings of the columns that are aligned to the left."""

SYNTHETIC = "SYNTHETIC data: these numbers say nothing about real music."

TIED = "~"
"""Marks entries that do not differ significantly from the first."""


def cells(entry: Entry) -> list[str]:
    """Format the cells of an entry, in the order of `HEADINGS`."""
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
    """Format the title of a table: its data and split."""
    info = board.info
    synthetic = "SYNTHETIC " if info.cache.synthetic else ""
    return (
        f"Table {board.number}: {synthetic}data {info.cache.uri} ({info.cache.data[:8]}),"
        f" {split(info)} ({info.split_fingerprint[:8]}), {info.n_validated} tracks validated"
    )


def _test(board: Board) -> str:
    """Name the paired test that the table uses."""
    return "exact McNemar test" if board.n_groups is None else f"sign-flip test over {board.n_groups} groups"


def notes(board: Board) -> list[str]:
    """Write the notes that readers need to interpret the numbers."""
    lines = []
    if board.info.cache.synthetic:
        lines.append(SYNTHETIC)
    if board.why:
        lines.append(f"Separate table: {board.why}.")
    if any(entry.tied for entry in board.entries):
        lines.append(
            f"{TIED} does not differ significantly from rank 1: on the same {board.info.n_validated} tracks,"
            f" the {_test(board)} finds p >= 0.05 (not corrected for multiple comparisons)."
        )
    if board.correction is not None:
        lines.append(board.correction.sentence())
    elif board.ranked > 1:
        lines.append(
            f"Rank 1 was selected from {board.ranked} trials on these tracks; its accuracy is optimistic."
        )
    lines.append(
        INDEPENDENT
        if board.n_groups is None
        else f"Intervals and tests account for the {board.n_groups} groups of related tracks."
    )
    if any(entry.tied is None for entry in board.entries[1:]):
        lines.append("Some trials could not be tested against rank 1: their predictions are missing.")
    if any(entry.status == "PRUNED" for entry in board.entries):
        lines.append(
            "PRUNED trials were stopped early; their score is that of their best epoch before the stop."
        )
    shown = f"{len(board.entries)} of {board.ranked} scored trials are shown"
    if board.unranked:
        shown += f"; without a score: {board.unranked} (results.report gives the reasons)"
    lines.append(f"{shown}.")
    return lines
