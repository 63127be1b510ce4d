"""The four metrics of a track classifier, and the ranking by each metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import numpy as np

from data.errors import SettingsError

Metric = Literal["accuracy", "balanced_accuracy", "macro_f1", "log_loss"]
"""Names for ``--metric``."""

METRICS: tuple[Metric, ...] = get_args(Metric)

COLUMNS: dict[Metric, str] = {
    "accuracy": "val_accuracy",
    "balanced_accuracy": "val_balanced_accuracy",
    "macro_f1": "val_macro_f1",
    "log_loss": "val_loss",
}
"""Column of ``trials.parquet`` and ``history.parquet`` by metric."""

METRIC_WORDS: dict[Metric, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "log_loss": "log loss",
}
"""How messages name a metric."""

PROBABILITY_FLOOR = 1e-7
"""Minimum probability in a logarithm (Keras's epsilon)."""


@dataclass(frozen=True)
class Scores:
    """Scores of one set of predictions.

    Attributes
    ----------
    accuracy : float
        Fraction of the tracks whose most probable genre is correct.
    balanced_accuracy : float
        Mean recall over the genres that have tracks.
    macro_f1 : float
        Mean F1 over the genres that have a track.
    log_loss : float
        Mean negative logarithm of the true genre's probability, in nats.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    log_loss: float

    def value(self, metric: Metric) -> float:
        """Return the score by a metric."""
        return float(getattr(self, metric))

    def rank_key(self, metric: Metric = "accuracy") -> tuple[float, float]:
        """Return a key that is greater for better scores: by the metric, then by the lower log loss."""
        return merit(self.value(metric), metric), -self.log_loss

    def columns(self) -> dict[str, float]:
        """Return the scores by their column in the tables of a run."""
        return {COLUMNS[metric]: self.value(metric) for metric in METRICS}

    def as_dict(self) -> dict[str, float]:
        """Return the scores by name."""
        return asdict(self)


def sign(metric: Metric) -> int:
    """Return -1 for a metric whose lower values are better, otherwise 1."""
    return -1 if metric == "log_loss" else 1


def merit(value: float, metric: Metric) -> float:
    """Convert a score to a number that is greater for better scores."""
    return sign(metric) * value


def score_text(value: float, metric: Metric) -> str:
    """Format a score for messages: in percent, but a log loss as a number."""
    return f"{value:.3f}" if metric == "log_loss" else f"{100 * value:.1f} %"


def interval_text(low: float, high: float, metric: Metric) -> str:
    """Format the interval of a score, without its unit."""
    return f"[{low:.3f}, {high:.3f}]" if metric == "log_loss" else f"[{100 * low:.1f}, {100 * high:.1f}]"


def difference_text(difference: float, low: float, high: float, metric: Metric) -> str:
    """Format the difference of two scores with its interval: in percentage points, or of a log loss."""
    if metric == "log_loss":
        return f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]"
    return f"{100 * difference:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"


def score(probabilities: np.ndarray, truth: np.ndarray) -> Scores:
    """Score tracks by all metrics.

    scikit-learn is not used, because its argument checks take 2 ms per metric, as long as an epoch of a small
    network; the tests compare the results with it.

    Parameters
    ----------
    probabilities : ndarray, shape (n_tracks, n_classes)
        One row per track.
    truth : ndarray of int, shape (n_tracks,)
        Number of each track's genre.
    """
    n_classes = probabilities.shape[1]
    by_class = class_scores(*class_counts(truth, probabilities.argmax(axis=1), n_classes))
    return Scores(
        **{name: float(value) for name, value in by_class.items()},
        log_loss=float(track_losses(probabilities, truth).mean()),
    )


def track_losses(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Negative logarithm of the true genre's probability, in nats, shape (n_tracks,)."""
    of_truth = probabilities[np.arange(len(truth)), truth]
    return np.asarray(-np.log(np.maximum(of_truth, PROBABILITY_FLOOR)))


def class_counts(
    truth: np.ndarray, predicted: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count tracks per class.

    Returns
    -------
    right, true, chosen : ndarray of int64, shape (n_classes,)
        Number of tracks per class that are predicted correctly, that belong to it, that are predicted as it.
    """
    right = np.bincount(truth[predicted == truth], minlength=n_classes)
    return right, np.bincount(truth, minlength=n_classes), np.bincount(predicted, minlength=n_classes)


def class_scores(right: np.ndarray, true: np.ndarray, chosen: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the metrics that need no probabilities from counts per class.

    Parameters
    ----------
    right, true, chosen : ndarray, shape (..., n_classes)
        See `class_counts`; shapes broadcast.

    Returns
    -------
    dict of str to ndarray, shape (...)
        ``accuracy``, ``balanced_accuracy`` and ``macro_f1``.
    """
    recall = right / np.maximum(true, 1)
    f1 = 2 * right / np.maximum(true + chosen, 1)
    return {
        "accuracy": right.sum(axis=-1) / np.maximum(true.sum(axis=-1), 1),
        "balanced_accuracy": recall.sum(axis=-1) / np.maximum((true > 0).sum(axis=-1), 1),
        # The F1 of a genre without a track is 0 or undefined, whatever the model.
        "macro_f1": f1.sum(axis=-1) / np.maximum((true > 0).sum(axis=-1), 1),
    }


def check_metric(metric: str, truth: np.ndarray, classes: Sequence[str]) -> Metric:
    """Check that a metric exists and is defined on the validated tracks.

    Parameters
    ----------
    metric : str
        Name of the metric.
    truth : ndarray of int
        Genre number of each validated track.
    classes : sequence of str
        Genres.

    Raises
    ------
    SettingsError
        If the metric does not exist, or it averages over genres and a genre has no validated track.
    """
    known = next((name for name in METRICS if name == metric), None)
    if known is None:
        raise SettingsError(f"--metric {metric}: not one of {', '.join(METRICS)}")
    if known in ("balanced_accuracy", "macro_f1"):
        counts = np.bincount(truth, minlength=len(classes))
        if not counts.all():
            raise SettingsError(
                f"--metric {metric}: genre {classes[int(counts.argmin())]!r} has no validated track, so its"
                " recall is undefined; use --metric accuracy, more --folds, or add tracks of that genre"
            )
    return known
