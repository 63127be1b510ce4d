"""Figures of how a search went: best so far over time, and learning curves with the scheduler's rungs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from results.reporting.figure import ACCENT, BASE, GOOD, MUTED, STOPPED, Figure, axis, numbers
from results.reporting.run_data import Material

_CURVES = 120
"""Learning curves that are drawn: the best ones, and of the rest an even choice."""
_POINTS = 2000
"""Trials that are drawn one by one."""
_COLOURS = {"COMPLETE": GOOD, "PRUNED": STOPPED}


def thinned(n: int, most: int) -> np.ndarray:
    """Choose at most `most` of `n` numbers, evenly, both ends among them."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def best_so_far(runs: Sequence[Material]) -> Figure:
    """Accuracy of each trial when it ended, and the best until then."""
    timed = all(set(one.scored["trial_id"]) <= one.ended.keys() for one in runs)
    data: list[dict[str, Any]] = []
    for one in runs:
        x, frame = _order(one, timed)
        score = 100 * frame["val_accuracy"].to_numpy()
        chosen = thinned(len(frame), _POINTS)
        name = one.run.name
        single = len(runs) == 1
        for status, colour in _COLOURS.items():
            here = [row for row in chosen if frame["status"].iloc[row] == status]
            if here:
                data.append(
                    {
                        "type": "scatter",
                        "mode": "markers",
                        "name": status if single else f"{name}, {status}",
                        "x": numbers(x[here]),
                        "y": numbers(score[here]),
                        "text": frame["trial_id"].iloc[here].tolist(),
                        "marker": {"size": 7, "opacity": 0.8} | ({"color": colour} if single else {}),
                        "showlegend": single,
                        "hovertemplate": "%{text}: %{y:.1f} %<extra></extra>",
                    }
                )
                if not single:
                    data[-1]["marker"] = {"size": 5, "opacity": 0.35, "color": MUTED}
        best = np.maximum.accumulate(score)
        steps = np.unique([0, *np.flatnonzero(np.diff(best)) + 1, len(best) - 1])
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "best so far" if single else name,
                "x": numbers(x[steps]),
                "y": numbers(best[steps]),
                "line": {"shape": "hv", "width": 3} | ({"color": ACCENT} if single else {}),
            }
        )
    title = "minutes since the search began" if timed else "trials that have ended"
    shapes = [_level(_baseline(one)) for one in runs if _baseline(one) is not None][
        : 1 if len(runs) == 1 else 0
    ]
    note = " The dotted line is the BASELINE." if shapes else ""
    return Figure(
        "progress",
        "Best so far",
        f"Validation accuracy of each trial when it ended, and the best until then.{note}",
        data,
        {"xaxis": axis(title), "yaxis": axis("validation accuracy, %"), "shapes": shapes},
    )


def _order(one: Material, timed: bool) -> tuple[np.ndarray, pd.DataFrame]:
    """Place of each scored trial on the axis, and the trials in that order."""
    frame = one.scored
    if not timed:
        return np.arange(1, len(frame) + 1, dtype=float), frame
    ended = pd.Series([one.ended[name].timestamp() for name in frame["trial_id"]], index=frame.index)
    order = np.argsort(ended.to_numpy(), kind="stable")
    first = min(
        end - seconds
        for end, seconds in zip(ended.iloc[order], frame["seconds"].iloc[order], strict=True)
        if seconds == seconds
    )
    return (ended.to_numpy()[order] - first) / 60, frame.iloc[order]


def _baseline(one: Material) -> float | None:
    value = one.trials["val_accuracy"].iloc[0]
    return None if value != value else 100 * float(value)


def _level(height: float | None) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": height,
        "y1": height,
        "line": {"dash": "dot", "width": 2, "color": BASE},
    }


def stopped_at(one: Material) -> dict[int, int]:
    """How many trials were stopped at each epoch."""
    epochs = one.trials.loc[one.trials["status"] == "PRUNED", "epochs"]
    return dict(sorted(Counter(epochs.astype(int).tolist()).items()))


def learning_curves(one: Material) -> Figure:
    """Draw validation accuracy over epochs, with the rungs and what was stopped at each."""
    frame = one.scored.sort_values("val_accuracy", ascending=False, kind="stable")
    names = frame["trial_id"].tolist()
    first = min(len(names), _CURVES // 3)
    drawn = (
        [*names[:first], *(names[first:][number] for number in thinned(len(names) - first, _CURVES - first))]
        if len(names) > first
        else names
    )
    status = dict(zip(frame["trial_id"], frame["status"], strict=True))
    baseline = str(one.trials["trial_id"].iloc[0])
    if baseline in status and baseline not in drawn:
        drawn.append(baseline)
    curves = dict(tuple(one.history.groupby("trial_id", sort=False)))
    data: list[dict[str, Any]] = []
    legend = set()
    for name in reversed(drawn):
        if name not in curves:
            continue
        label = "BASELINE" if name == baseline else "best" if name == names[0] else status[name]
        colour = {"BASELINE": BASE, "best": ACCENT} | _COLOURS
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if len(curves[name]) == 1 else "lines",
                "name": label,
                "legendgroup": label,
                "showlegend": label not in legend,
                "x": curves[name]["epoch"].tolist(),
                "y": numbers(100 * curves[name]["val_accuracy"]),
                "line": {"color": colour[label], "width": 3 if label in ("BASELINE", "best") else 1},
                "opacity": 1 if label in ("BASELINE", "best") else 0.5,
                "hovertemplate": f"{name}: %{{y:.1f}} % at epoch %{{x}}<extra></extra>",
            }
        )
        legend.add(label)
    stopped, lines = stopped_at(one), one.info.rungs
    shapes = [
        {
            "type": "line",
            "yref": "paper",
            "x0": rung,
            "x1": rung,
            "y0": 0,
            "y1": 1,
            "line": {"dash": "dash", "width": 1, "color": MUTED},
        }
        for rung in lines
    ]
    labels = [
        {
            "x": rung,
            "yref": "paper",
            "y": 1,
            "yanchor": "bottom",
            "showarrow": False,
            "text": f"rung {rung}: {stopped.get(rung, 0)} stopped",
        }
        for rung in lines
    ]
    told = ", ".join(f"{count} at epoch {epoch}" for epoch, count in stopped.items()) or "none"
    shown = f" {len(drawn)} of {len(names)} trials are drawn." if len(drawn) < len(names) else ""
    return Figure(
        "curves",
        "Learning curves",
        f"Scheduler: {one.info.settings.get('scheduler', 'not recorded')}. Stopped early: {told}.{shown}",
        data,
        {
            "xaxis": axis("epoch", rangemode="tozero"),
            "yaxis": axis("validation accuracy, %"),
            "shapes": shapes,
            "annotations": labels,
            "margin": {"t": 40},
        },
    )
