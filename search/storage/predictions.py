"""Out-of-fold predictions of many trials, read without pandas, whose import takes half a second."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from data.dataset.epoch_predictions import SUFFIX, read_epochs
from data.dataset.scores import Metric, score
from data.errors import CacheError, RunError
from search.storage.ranking import scored
from search.storage.run_folder import RunFolder, require_epoch

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from search.storage.run_info import RunInfo


_ALL_FOLDS = ".all-folds"


def all_folds_name(trial_id: str) -> str:
    """Return the name of the predictions of a hold-out trial that was trained on all folds afterwards."""
    return f"{trial_id}{_ALL_FOLDS}"


class Candidate(NamedTuple):
    """A scored trial: its run, the run's genres, name of its files, epoch of its score, name and family."""

    run: RunFolder
    classes: Sequence[str]
    trial_id: str
    best_epoch: int
    name: str
    family: str


def candidates_of(run: RunFolder, info: RunInfo, trials: pd.DataFrame) -> list[Candidate]:
    """Return the scored trials of a run, best first, given its table of trials."""
    ranked = scored(trials, info.metric)
    return [
        Candidate(run, info.classes, str(trial_id), int(epoch), f"{run.name}:{number}", info.family)
        for number, trial_id, epoch in zip(
            ranked.index, ranked["trial_id"], ranked["best_epoch"], strict=True
        )
    ]


@dataclass(frozen=True)
class Predictions:
    """Predictions of a trial for the validated tracks, at the epoch of its score.

    Attributes
    ----------
    track_id : list of str
        Names of the tracks, sorted. Equal lists that one reader returned are the same object.
    truth : ndarray of int64, shape (n,)
        Genre numbers.
    probabilities : ndarray of float64, shape (n, n_classes)
        Out-of-fold probabilities.
    """

    track_id: list[str]
    truth: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """The most probable genre of each track, int64, shape (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1))

    def correct(self) -> dict[str, bool]:
        """Whether each track is classified correctly."""
        return dict(zip(self.track_id, (self.predicted == self.truth).tolist(), strict=True))


class PredictionReader:
    """Read the predictions of trials; lists of tracks that are equal are decoded once."""

    def __init__(self) -> None:
        self._decoded: list[tuple[pa.Table, tuple[str, ...], list[str], np.ndarray]] = []

    def read(self, run: RunFolder, trial_id: str, classes: Sequence[str], epoch: int | None) -> Predictions:
        """Read the predictions of a trial.

        Parameters
        ----------
        run : RunFolder
            The run of the trial.
        trial_id : str
            Name of the trial's files.
        classes : sequence of str
            Genres of the run.
        epoch : int or None
            The epoch of the trial's score.

        Raises
        ------
        RunError
            If the file is missing or incomplete, or belongs to another epoch or other genres.
        """
        names = [f"p.{genre}" for genre in classes]
        location = f"run {run.name!r}: {run.folder.uri}/predictions/{trial_id}.parquet"
        try:
            with (run.folder / "predictions").parquet(f"{trial_id}.parquet") as file:
                table = file.read(["track_id", "label", *names], use_threads=False)
        except FileNotFoundError as error:
            raise RunError(f"{location} is missing; it is written when a trial ends") from error
        except CacheError as error:
            raise RunError(str(error)) from error
        require_epoch(table.schema.metadata, epoch, location)
        absent = [name for name in ("track_id", "label", *names) if name not in table.column_names]
        if absent:
            raise RunError(f"{location}: has no column {absent[0]!r}")
        # Not `to_numpy`, which imports pandas.
        columns = [np.from_dlpack(table[name].combine_chunks()) for name in names]
        track_id, truth = self._tracks(table.select(["track_id", "label"]), tuple(classes), location)
        return Predictions(track_id, truth, np.array(columns, dtype=np.float64).T)

    def read_all_folds(
        self, run: RunFolder, trial_id: str, classes: Sequence[str], epoch: int | None
    ) -> Predictions | None:
        """Read the predictions of a hold-out trial that was trained on all folds; None if it was not."""
        if not run.folder.exists(f"predictions/{all_folds_name(trial_id)}.parquet"):
            return None
        try:
            return self.read(run, all_folds_name(trial_id), classes, epoch)
        except RunError:
            # Of an epoch that was the best before the search was extended.
            return None

    def _tracks(
        self, keys: pa.Table, classes: tuple[str, ...], location: str
    ) -> tuple[list[str], np.ndarray]:
        for other, other_classes, track_id, truth in self._decoded:
            if other_classes == classes and other.equals(keys):
                return track_id, truth
        number = {genre: index for index, genre in enumerate(classes)}
        track_id, labels = keys["track_id"].to_pylist(), keys["label"].to_pylist()
        unknown = next((label for label in labels if label not in number), None)
        if unknown is not None:
            raise RunError(f"{location}: {unknown!r} is not a genre of the run")
        truth = np.array([number[label] for label in labels], dtype=np.int64)
        self._decoded.append((keys, classes, track_id, truth))
        return track_id, truth


def read_epoch_predictions(run: RunFolder, trial_id: str, n_tracks: int) -> np.ndarray | None:
    """Read the predicted genres of all epochs of a trial.

    Returns
    -------
    ndarray of uint8, shape (n_epochs, n_tracks), or None
        None if they were not stored.

    Raises
    ------
    RunError
        If they are incomplete, or not for the given number of tracks.
    """
    folder, name = run.folder / "predictions", f"{trial_id}{SUFFIX}"
    try:
        with folder.parquet(name) as file:
            epochs = read_epochs(file.read(use_threads=False))
    except FileNotFoundError:
        return None
    except CacheError as error:
        raise RunError(str(error)) from error
    if epochs.shape[1] != n_tracks:
        raise RunError(f"{folder.uri}/{name}: does not hold the tracks of {trial_id}.parquet")
    return epochs


def common_tracks(predictions: Iterable[Predictions]) -> tuple[list[str], list[np.ndarray]]:
    """Find the tracks that several trials validated.

    Returns
    -------
    tracks : list of str
        Their names, sorted.
    rows : list of ndarray of int64, each of shape (n_tracks,)
        The rows of these tracks per trial.
    """
    lists = [each.track_id for each in predictions]
    # Many trials share one list.
    distinct = list({id(tracks): tracks for tracks in lists}.values())
    common = sorted(set.intersection(*map(set, distinct)))
    rows = {}
    for tracks in distinct:
        row_of = {track: row for row, track in enumerate(tracks)}
        rows[id(tracks)] = np.array([row_of[track] for track in common], dtype=np.int64)
    return common, [rows[id(tracks)] for tracks in lists]


def scores_on_common(predictions: Sequence[Predictions], metric: Metric) -> tuple[list[float], int]:
    """Score trials on the tracks that all of them validated.

    Parameters
    ----------
    predictions : sequence of Predictions
        One per trial, at least one.
    metric : str
        The metric.

    Returns
    -------
    scores : list of float
        One per trial; NaN if they have no track in common.
    n_tracks : int
        Number of common tracks.
    """
    common, rows = common_tracks(predictions)
    if not common:
        return [math.nan] * len(predictions), 0
    scores = [
        score(each.probabilities[row], each.truth[row]).value(metric)
        for each, row in zip(predictions, rows, strict=True)
    ]
    return scores, len(common)
