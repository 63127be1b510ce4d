"""Figures of the progress of a search: best accuracy over time, learning curves with rungs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from results.reporting.figure import (
    ACCENT,
    GOOD,
    QUIET,
    SERIES,
    STOPPED,
    Figure,
    axis,
    count_axis,
    numbers,
    percent_axis,
)
from results.reporting.run_data import RunData

_MAX_CURVES = 120
"""Maximum number of learning curves: the best trials, and an even selection of the rest."""
_MAX_POINTS = 2000
"""Maximum number of trials that are drawn as points."""
_COLOURS = {"COMPLETE": GOOD, "PRUNED": STOPPED}
_SYMBOLS = {"COMPLETE": "circle", "PRUNED": "diamond-open"}
_WORDS = {"COMPLETE": "completed", "PRUNED": "stopped early"}
_STYLES = {
    "best": {"color": ACCENT, "width": 3},
    "BASELINE": {"color": QUIET, "width": 3, "dash": "dot"},
    **{word: {"color": _COLOURS[status], "width": 1} for status, word in _WORDS.items()},
}
_DASHES = ("solid", "dash", "dot", "dashdot")


def thinned(n: int, maximum: int) -> np.ndarray:
    """Select at most `maximum` of the indices below `n`, evenly, including both ends."""
    return np.unique(np.linspace(0, n - 1, min(n, maximum)).round().astype(int))


def best_so_far(runs: Sequence[RunData]) -> Figure:
    """Draw the accuracy of each trial when it ended, and the best accuracy until then; a line per run."""
    timed = all(set(run_data.scored["trial_id"]) <= run_data.ended.keys() for run_data in runs)
    best_first = sorted(runs, key=lambda run_data: -run_data.scored["val_accuracy"].max())
    data: list[dict[str, Any]] = []
    orders = [_order(run_data, timed) for run_data in best_first]
    end = max(float(x[-1]) for x, _ in orders)
    for number, (run_data, (x, frame)) in enumerate(zip(best_first, orders, strict=True)):
        score = 100 * frame["val_accuracy"].to_numpy()
        best = np.maximum.accumulate(score)
        steps = np.unique([0, *np.flatnonzero(np.diff(best)) + 1, len(best) - 1])
        line: dict[str, Any] = {"shape": "hv", "width": 3, "color": ACCENT}
        name = "best so far"
        if len(runs) == 1:
            data += _points_by_status(run_data, frame, x, score)
        else:
            # A seventh run has the colour of the first one, in dashes.
            line |= {"color": SERIES[number % len(SERIES)], "dash": _DASHES[number // len(SERIES) % 4]}
            name = f"{run_data.run.name}, {score.max():.1f} %"
            data.append(_points(run_data, frame, x, score, thinned(len(frame), _MAX_POINTS)))
            data[-1] |= {"marker": {"size": 5, "opacity": 0.45, "color": line["color"]}, "showlegend": False}
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                # A run keeps its best until the end of the axis.
                "x": numbers([*x[steps], end]),
                "y": numbers([*best[steps], best[-1]]),
                "line": line,
                "hovertemplate": f"{name}: %{{y:.1f}} %<extra></extra>",
            }
        )
    longest = max(len(run_data.scored) for run_data in runs)
    baseline = _baseline(runs[0]) if len(runs) == 1 else None
    return Figure(
        "progress",
        "Best so far",
        "Validation accuracy of each trial when it ended, and the best accuracy until then."
        + ("" if baseline is None else " The dotted line is the BASELINE."),
        data,
        {
            "xaxis": axis("minutes since the start of the search", rangemode="tozero")
            if timed
            else count_axis("number of ended trials", longest),
            "yaxis": percent_axis("validation accuracy"),
            "shapes": [] if baseline is None else [_level(baseline)],
        },
    )


def _points(
    run_data: RunData, frame: pd.DataFrame, x: np.ndarray, score: np.ndarray, rows: Sequence[int] | np.ndarray
) -> dict[str, Any]:
    """Draw trials as points."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": numbers(x[rows]),
        "y": numbers(score[rows]),
        "text": [f"{run_data.run.name}:{number}" for number in frame.index[rows]],
        "hovertemplate": "%{text}: %{y:.1f} %<extra></extra>",
    }


def _points_by_status(
    run_data: RunData, frame: pd.DataFrame, x: np.ndarray, score: np.ndarray
) -> list[dict[str, Any]]:
    """Draw the trials of one run as points, with a colour and a shape per status."""
    drawn = thinned(len(frame), _MAX_POINTS)
    traces = []
    for status, colour in _COLOURS.items():
        rows = [row for row in drawn if frame["status"].iloc[row] == status]
        if rows:
            marker = {"size": 7, "opacity": 0.8, "color": colour, "symbol": _SYMBOLS[status]}
            traces.append(
                {**_points(run_data, frame, x, score, rows), "name": _WORDS[status], "marker": marker}
            )
    return traces


def _order(run_data: RunData, timed: bool) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the position of each scored trial on the axis, and the trials in that order."""
    frame = run_data.scored
    if not timed:
        return np.arange(1, len(frame) + 1, dtype=float), frame
    ended = pd.Series([run_data.ended[name].timestamp() for name in frame["trial_id"]], index=frame.index)
    order = np.argsort(ended.to_numpy(), kind="stable")
    first = min(
        end - seconds
        for end, seconds in zip(ended.iloc[order], frame["seconds"].iloc[order], strict=True)
        if seconds == seconds
    )
    return (ended.to_numpy()[order] - first) / 60, frame.iloc[order]


def _baseline(run_data: RunData) -> float | None:
    """Return the accuracy of the BASELINE in percent; None if it has no score."""
    value = run_data.trials["val_accuracy"].iloc[0]
    return None if value != value else 100 * float(value)


def _level(height: float) -> dict[str, Any]:
    """Draw a dotted horizontal line."""
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": height,
        "y1": height,
        "line": {"dash": "dot", "width": 2, "color": QUIET},
    }


def stopped_at(run_data: RunData) -> dict[int, int]:
    """Count the stopped trials per epoch."""
    epochs = run_data.trials.loc[run_data.trials["status"] == "PRUNED", "epochs"]
    return dict(sorted(Counter(epochs.astype(int).tolist()).items()))


def _stopped(run_data: RunData) -> str:
    """Describe where trials were stopped: by share of their own epochs, or by epoch in runs of format 1."""
    stopping = run_data.info.stopping
    if stopping.unit == "epochs":
        stops = stopped_at(run_data)
        return ", ".join(f"{count} at epoch {epoch}" for epoch, count in stops.items()) or "none"
    pruned = run_data.trials[run_data.trials["status"] == "PRUNED"]
    horizons = pruned.get("config.epochs", pruned["epochs"])
    shares = Counter(
        stopping.reached(int(epoch), int(horizon))
        for epoch, horizon in zip(pruned["epochs"], horizons, strict=True)
    )
    stops_by_share = ", ".join(
        f"{count} at {100 * share:.0f} % of their epochs" for share, count in sorted(shares.items())
    )
    least = f", but not before epoch {stopping.min_epochs}" if stopping.min_epochs > 1 else ""
    return (stops_by_share + least) if stops_by_share else "none"


def learning_curves(run_data: RunData) -> Figure:
    """Draw validation accuracy over epochs, with the rungs and the number of trials stopped at each."""
    frame = run_data.scored.sort_values("val_accuracy", ascending=False, kind="stable")
    names = frame["trial_id"].tolist()
    trial_names = {name: f"{run_data.run.name}:{number}" for number, name in frame["trial_id"].items()}
    first = min(len(names), _MAX_CURVES // 3)
    drawn = (
        [
            *names[:first],
            *(names[first:][number] for number in thinned(len(names) - first, _MAX_CURVES - first)),
        ]
        if len(names) > first
        else names
    )
    status = dict(zip(frame["trial_id"], frame["status"], strict=True))
    baseline = str(run_data.trials["trial_id"].iloc[0])
    if baseline in status and baseline not in drawn:
        drawn.append(baseline)
    curves = dict(tuple(run_data.history.groupby("trial_id", sort=False)))
    data: list[dict[str, Any]] = []
    legend = set()
    for name in reversed(drawn):
        if name not in curves:
            continue
        label = "best" if name == names[0] else "BASELINE" if name == baseline else _WORDS[status[name]]
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if len(curves[name]) == 1 else "lines",
                "name": label,
                "legendgroup": label,
                "showlegend": label not in legend,
                "x": curves[name]["epoch"].tolist(),
                "y": numbers(100 * curves[name]["val_accuracy"]),
                "line": _STYLES[label],
                "opacity": 1 if label in ("BASELINE", "best") else 0.5,
                "hovertemplate": f"{trial_names[name]}: %{{y:.1f}} % at epoch %{{x}}<extra></extra>",
            }
        )
        legend.add(label)
    # A share of a trial's own epochs is at another epoch for each trial.
    in_epochs = run_data.info.rung_unit == "epochs" and run_data.info.settings.get("scheduler") != "median"
    stopped = stopped_at(run_data)
    rungs = [int(rung) for rung in run_data.info.rungs] if in_epochs else []
    shapes = [
        {
            "type": "line",
            "yref": "paper",
            "x0": rung,
            "x1": rung,
            "y0": 0,
            "y1": 1,
            "line": {"dash": "dash", "width": 1, "color": QUIET},
        }
        for rung in rungs
    ]
    labels = [
        {
            "x": rung,
            "yref": "paper",
            "y": 1,
            "yanchor": "bottom",
            "showarrow": False,
            # The page leaves these labels out where they would overlap; the caption says the same.
            "name": "wide",
            "text": f"rung {rung}: {stopped.get(rung, 0)} stopped",
        }
        for rung in rungs
    ]
    selection = f" {len(drawn)} of {len(names)} trials are drawn." if len(drawn) < len(names) else ""
    return Figure(
        "curves",
        "Learning curves",
        f"Scheduler: {run_data.info.settings.get('scheduler', 'not recorded')}. "
        f"Stopped early: {_stopped(run_data)}.{selection}",
        data,
        {
            "xaxis": count_axis("epoch", run_data.info.max_epochs, rangemode="tozero"),
            "yaxis": percent_axis("validation accuracy"),
            "shapes": shapes,
            "annotations": labels,
            "margin": {"t": 40},
        },
    )
