"""Calibrate an export: fit the temperature and plot the reliability."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from data.dataset.calibration import Calibration, ReliabilityBin, calibrate
from data.dataset.track_groups import TrackGroups
from data.errors import CalibrationError
from results.exporting.fonts import fonts_for, without_unknown

CALIBRATION = "calibration.json"
RELIABILITY = "reliability.png"
_INCHES = 5.0
_DPI = 120


def fitted_calibration(
    probabilities: np.ndarray, truth: np.ndarray, groups: TrackGroups | None
) -> Calibration | None:
    """Fit a temperature on out-of-fold probabilities; print a warning and return None if that fails.

    Parameters
    ----------
    probabilities : ndarray, shape (n_tracks, n_classes)
        One row per track.
    truth : ndarray of int, shape (n_tracks,)
        Genre numbers.
    groups : TrackGroups or None
        Groups of the tracks; None if tracks are treated as independent.
    """
    try:
        return calibrate(probabilities, truth, groups or TrackGroups.independent(len(truth)))
    except CalibrationError as error:
        click.echo(f"Warning: the probabilities are exported without calibration: {error}.", err=True)
        return None


def plot_reliability(path: Path, calibration: Calibration, title: str) -> None:
    """Plot accuracy against confidence, before and after calibration, with the number of tracks.

    Parameters
    ----------
    path : Path
        The PNG file to write.
    calibration : Calibration
        The calibration to plot.
    title : str
        Title of the plot: the model and the tracks.
    """
    heading = without_unknown(title)
    with fonts_for([heading]):
        _plot(path, calibration, heading)


def _plot(path: Path, calibration: Calibration, title: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_INCHES, _INCHES), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    upper.plot([0, 1], [0, 1], color="grey", linestyle=":", label="calibrated")
    after = calibration.reliability_after
    for name, bins, marker, colour in (
        ("before", calibration.reliability_before, "s", "#b0b0b0"),
        ("after", after, "o", "#1f77b4"),
    ):
        filled: Sequence[ReliabilityBin] = [group for group in bins if group.n]
        upper.plot(
            [group.confidence for group in filled],
            [group.accuracy for group in filled],
            marker=marker,
            color=colour,
            label=name,
        )
    upper.set_ylabel("accuracy")
    upper.set_ylim(0, 1)
    upper.set_title(title, fontsize=10, wrap=True)
    upper.legend(loc="upper left")
    lower.bar(
        [(group.low + group.high) / 2 for group in after],
        [group.n for group in after],
        width=0.9 / len(after),
        color="#1f77b4",
    )
    lower.set_xlabel("confidence: highest probability")
    lower.set_ylabel("tracks")
    lower.set_xlim(0, 1)
    FigureCanvasAgg(figure).print_figure(path, dpi=_DPI)
