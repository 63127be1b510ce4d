"""Correct the score of the best trial for the choice among all, from their stored predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from data.dataset.choice_correction import MAX_TRIALS, Corrected, correct_for_choice
from data.dataset.epoch_predictions import MAX_CLASSES
from data.dataset.scores import Metric, track_losses
from data.dataset.track_groups import TrackGroups
from data.errors import HarnessError
from search.storage.predictions import (
    Candidate,
    PredictionReader,
    Predictions,
    common_tracks,
    read_epoch_predictions,
)

_READERS = 8
"""Files of a bucket that are read at the same time; on a disk, threads cost more than they gain."""


@dataclass(frozen=True, kw_only=True)
class CorrectedChoice:
    """The corrected score of a best trial, and what it rests on.

    Attributes
    ----------
    corrected : Corrected
        Raw and corrected score.
    n_unread : int
        Number of trials among the best `MAX_TRIALS` whose predictions are missing or unreadable.
    n_tracks : int or None
        Number of tracks that all trials validated, if some trials validated more; else None.
    """

    corrected: Corrected
    n_unread: int
    n_tracks: int | None


def correct_choice(
    candidates: Sequence[Candidate],
    group_of: Mapping[str, str],
    *,
    metric: Metric = "accuracy",
    seed: int = 0,
) -> CorrectedChoice | None:
    """Correct the score of the best trial for the choice among all, by groups of tracks.

    The choice of the epoch is corrected too if all trials stored the predictions of all epochs.

    Parameters
    ----------
    candidates : sequence of Candidate
        The scored trials on the same data and split, best first; the best `MAX_TRIALS` are used.
    group_of : mapping of str to str
        Group of each track; a track without an entry forms its own group.
    metric : str
        The metric of the choice.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    CorrectedChoice or None
        None if there was nothing to choose from, or the predictions of the best trial are missing.
    """
    used = candidates[:MAX_TRIALS]
    if len(used) < 2:
        return None
    work = partial(_read, PredictionReader(), with_epochs=metric != "log_loss")
    if all(candidate.run.folder.is_local for candidate in used):
        read = list(map(work, used))
    else:
        with ThreadPoolExecutor(_READERS) as threads:
            read = list(threads.map(work, used))
    if read[0] is None:
        return None
    available = [each for each in read if each is not None]
    common, rows = common_tracks(predictions for predictions, _ in available)
    groups = TrackGroups.of([group_of.get(track, track) for track in common])
    if len(available) < 2 or groups.n_groups < 2:
        return None
    every_epoch = all(epochs is not None for _, epochs in available)
    choices = [
        _choices(predictions, epochs if every_epoch else None, metric)[:, row]
        for (predictions, epochs), row in zip(available, rows, strict=True)
    ]
    first = available[0][0]
    return CorrectedChoice(
        corrected=correct_for_choice(
            choices, first.truth[rows[0]], groups, n_classes=len(used[0].classes), metric=metric, seed=seed
        ),
        n_unread=len(used) - len(available),
        n_tracks=len(common) if any(len(each.track_id) > len(common) for each, _ in available) else None,
    )


def _read(
    reader: PredictionReader, candidate: Candidate, *, with_epochs: bool
) -> tuple[Predictions, np.ndarray | None] | None:
    """Read the predictions of a trial, and of its epochs; None if they are missing or unreadable."""
    try:
        predictions = reader.read(candidate.run, candidate.trial_id, candidate.classes, candidate.best_epoch)
        if not with_epochs:
            return predictions, None
        n_tracks = len(predictions.track_id)
        return predictions, read_epoch_predictions(candidate.run, candidate.trial_id, n_tracks)
    except (HarnessError, OSError):
        return None


def _choices(predictions: Predictions, epochs: np.ndarray | None, metric: Metric) -> np.ndarray:
    """Predicted genres, or losses, of a trial: one row per epoch, the best epoch last."""
    if metric == "log_loss":
        return track_losses(predictions.probabilities, predictions.truth)[None]
    best = predictions.predicted[None]
    if predictions.probabilities.shape[1] <= MAX_CLASSES:
        best = best.astype(np.uint8)
    return best if epochs is None else np.concatenate([epochs, best])
