"""A run or a trial as text in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from data.console import out
from data.dataset.intervals import accuracy_interval
from data.dataset.scores import interval_text, score_text
from data.dataset.track_groups import TrackGroups
from data.errors import RunError
from data.io.sparkline import sparkline
from results.evaluation.descriptions import source, split
from results.evaluation.groups import groups_by_track, track_groups
from results.evaluation.predictions import OutOfFoldPredictions
from results.evaluation.trials import Trial
from results.ranking.table import SYNTHETIC
from search.storage.predictions import PredictionReader
from search.storage.run_folder import RunFolder, last_words

_PIPE_WIDTH = 160
"""Width in characters of what is written to a file or a pipe."""
_MAX_BARS = 60
"""Maximum width of a learning curve in characters."""


def _console() -> Console:
    return out() if out().is_terminal else Console(width=_PIPE_WIDTH, markup=False, emoji=False)


def _facts(title: str, facts: Sequence[tuple[str, str]]) -> Table:
    """Return a table of names and values."""
    table = Table(title=Text(title), title_justify="left", title_style="bold", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(Text(name), Text(value))
    return table


def print_run(run: RunFolder) -> None:
    """Print what was searched: family, data, split, and the number of trials by status."""
    info, trials = run.info(), run.trials()
    counts = ", ".join(f"{count} {status}" for status, count in trials["status"].value_counts().items())
    facts = [
        ("family", info.family),
        ("trials", f"{len(trials)} of {info.trials} ({counts}), at most {info.max_epochs} epochs"),
        ("search", f"seed {info.seed}; {info.seconds / 60:.1f} minutes; {info.status}"),
        ("data", f"{source(info)}; {info.cache.uri}, fingerprint {info.cache.data[:8]}"),
        (
            "split",
            f"{split(info)}, {info.n_validated} tracks validated, {info.n_test} held out for the test;"
            f" fingerprint {info.split_fingerprint[:8]}",
        ),
    ]
    _console().print(_facts(f"Run {run.name}", facts))


def print_trial(trial: Trial) -> None:
    """Print scores, configuration, learning curve and confusion matrix of a scored trial."""
    console, row = _console(), trial.run.trials().iloc[trial.number]
    marks = [mark for mark, holds in (("BASELINE", trial.baseline), ("best", trial.best_of > 1)) if holds]
    accuracy = f"{100 * trial.val_accuracy:.1f} %"
    predictions, missing = None, ""
    try:
        predictions = OutOfFoldPredictions.of(trial)
        numbers = predictions.numbers
        accuracy += f" [{100 * numbers['low']:.1f}, {100 * numbers['high']:.1f}], {numbers['n']} tracks"
    except RunError as error:
        missing = f"No confusion matrix: {' '.join(str(error).split())}"
    minutes, seconds = divmod(round(float(row["seconds"])), 60)
    facts = [
        ("family", trial.info.family),
        ("status", trial.status),
        ("val accuracy", accuracy),
        *_of_all_folds(trial),
        ("val loss", f"{row['val_loss']:.3f}"),
        ("val macro F1", f"{row['val_macro_f1']:.3f}"),
        ("train accuracy", f"{100 * row['train_accuracy']:.1f} %"),
        ("epochs", f"{row['epochs']:.0f}; best epoch {trial.best_epoch}"),
        ("parameters", f"{row['params']:,.0f}"),
        ("time", f"{minutes}:{seconds:02d}"),
        ("id", trial.trial_id),
    ]
    console.print(_facts(f"Trial {trial.name}{' (' + ', '.join(marks) + ')' if marks else ''}", facts))
    _print_configuration(console, trial.config)
    history = trial.run.history()
    curve = history[history["trial_id"] == trial.trial_id]["val_accuracy"].to_numpy(np.float64)
    if len(curve):
        console.print(Text(curve_line(curve)))
    if predictions is not None:
        console.print(_confusion(predictions, trial.info.classes))
    else:
        console.print(Text(missing))
    if trial.info.cache.synthetic:
        console.print(Text(SYNTHETIC))


def _of_all_folds(trial: Trial) -> list[tuple[str, str]]:
    """Return the accuracy over all folds of a hold-out's best trial, if it was trained on them."""
    info = trial.info
    whole = PredictionReader().read_all_folds(trial.run, trial.trial_id, info.classes, trial.best_epoch)
    if whole is None:
        return []
    right = whole.predicted == whole.truth
    groups = track_groups(whole.track_id, groups_by_track(trial.run))
    low, high = accuracy_interval(right, groups or TrackGroups.independent(len(right)))
    interval = interval_text(float(low), float(high), "accuracy")
    text = f"{score_text(float(right.mean()), 'accuracy')} {interval}, {len(right)} tracks"
    return [("on all folds", text)]


def print_failed_trial(name: str, status: str, config: dict[str, Any], error: str) -> None:
    """Print a trial without a score: its status, configuration and error."""
    console = _console()
    facts = [("status", status)]
    if error:
        facts.append(("error", last_words(error)))
    console.print(_facts(f"Trial {name}", facts))
    _print_configuration(console, config)


def _print_configuration(console: Console, config: dict[str, Any]) -> None:
    values = [
        (name, f"{value:.4g}" if isinstance(value, float) else str(value))
        for name, value in sorted(config.items())
    ]
    console.print(_facts("Configuration", values))


def curve_line(accuracies: np.ndarray) -> str:
    """Draw validation accuracy over epochs as a line of blocks.

    Parameters
    ----------
    accuracies : ndarray, shape (n_epochs,)
        Fractions; of many epochs, an even selection is drawn.
    """
    low, high = float(accuracies.min()), float(accuracies.max())
    blocks = sparkline(accuracies.tolist(), _MAX_BARS)
    return (
        f"val accuracy by epoch, {100 * low:.1f} to {100 * high:.1f} %: {blocks}"
        f" (epochs 1 to {len(accuracies)})"
    )


def _confusion(predictions: OutOfFoldPredictions, classes: Sequence[str]) -> Table:
    """Return the confusion matrix: one row per true genre, one column per predicted genre."""
    title = "Confusion matrix: rows are true genres, columns predicted genres"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("")
    for number, _ in enumerate(classes, start=1):
        table.add_column(str(number), justify="right")
    table.add_column("recall", justify="right")
    for number, (genre, counts) in enumerate(
        zip(classes, predictions.numbers["confusion"], strict=True), start=1
    ):
        recall = predictions.numbers["genres"][genre]["recall"]
        cells = [
            Text(str(count) if count else "", style="bold" if column == number else "")
            for column, count in enumerate(counts, start=1)
        ]
        table.add_row(Text(f"{number} {genre}"), *cells, f"{100 * recall:.0f} %")
    return table
