"""Correct the score of the best trial for its selection among many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from data.dataset.choice_correction import MAX_TRIALS, Corrected, correct_for_choice
from data.dataset.epoch_predictions import SUFFIX, read_epochs
from data.dataset.track_groups import TrackGroups
from data.errors import HarnessError, RunError
from results.evaluation.groups import groups_by_track
from results.evaluation.trials import Trial
from search.storage.ranking import scored
from search.storage.run_folder import RunFolder, require_epoch

_READERS = 8


class Candidate(NamedTuple):
    """A scored trial: its run, the run's genres, name of its files, epoch of its score, name and family."""

    run: RunFolder
    classes: Sequence[str]
    trial_id: str
    best_epoch: int
    name: str
    family: str


@dataclass(frozen=True)
class ChoiceCorrection:
    """The corrected score of a best trial, as numbers and as text.

    Attributes
    ----------
    corrected : Corrected
        Raw and corrected score.
    n_ranked : int
        Number of scored trials from which the best was selected.
    n_unread : int
        Number of trials among the best `MAX_TRIALS` whose predictions are missing or unreadable.
    n_tracks : int or None
        Number of tracks that all trials validated, if some trials validated more; else None.
    """

    corrected: Corrected
    n_ranked: int
    n_unread: int
    n_tracks: int | None = None

    def record(self) -> dict[str, Any]:
        """Return the content for JSON; accuracies from 0 to 1."""
        return {
            "raw": self.corrected.raw,
            "corrected": self.corrected.corrected,
            "chosen_among": self.n_ranked,
            "trials_read": self.corrected.n_trials,
            "epochs_corrected": self.corrected.epochs,
            "without_predictions": self.n_unread,
        }

    def sentence(self) -> str:
        """Describe the raw and the corrected score."""
        selected_from = "trials and their epochs" if self.corrected.epochs else "trials"
        common = "" if self.n_tracks is None else f" on the {self.n_tracks} tracks that all trials validated"
        text = (
            f"The best scores {100 * self.corrected.raw:.1f} %{common},"
            f" {100 * self.corrected.corrected:.1f} % after correction for choosing among"
            f" {self.n_ranked} {selected_from}"
        )
        if self.n_ranked > MAX_TRIALS:
            text += f"; only the {self.corrected.n_trials} best are used"
        if not self.corrected.epochs:
            text += " (the choice of the epoch is not corrected)"
        if self.n_unread:
            text += f"; the predictions of {self.n_unread} are missing"
        return text + "."


def correct_best(
    candidates: Sequence[Candidate], group_of: Mapping[str, str], *, seed: int = 0
) -> ChoiceCorrection | None:
    """Correct the accuracy of the best trial for the choice among all, by groups of tracks.

    Parameters
    ----------
    candidates : sequence of Candidate
        All scored trials on the same data and split, best first.
    group_of : mapping of str to str
        Group of each track; a track without an entry forms its own group.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    ChoiceCorrection or None
        None if there was nothing to choose from, or the predictions of the best trial are missing.
    """
    if len(candidates) < 2:
        return None
    best_candidates = candidates[:MAX_TRIALS]
    with ThreadPoolExecutor(_READERS) as readers:
        predictions = list(readers.map(_read, best_candidates))
    if predictions[0] is None:
        return None
    available = [prediction for prediction in predictions if prediction is not None]
    common = sorted(set.intersection(*({*prediction.row} for prediction in available)))
    groups = TrackGroups.of([group_of.get(track, track) for track in common])
    if len(available) < 2 or groups.n_groups < 2:
        return None
    rows = [np.array([prediction.row[track] for track in common]) for prediction in available]
    return ChoiceCorrection(
        correct_for_choice(
            list(_on_common_tracks(available, rows)),
            available[0].truth[rows[0]],
            groups,
            n_classes=len(candidates[0].classes),
            seed=seed,
        ),
        n_ranked=len(candidates),
        n_unread=len(best_candidates) - len(available),
        n_tracks=len(common) if any(len(prediction.row) > len(common) for prediction in available) else None,
    )


def correct_run(trial: Trial) -> ChoiceCorrection | None:
    """Correct the score of the best trial of a run for its selection among the run's trials."""
    ranked = scored(trial.run.trials(), trial.info.metric)
    candidates = [
        Candidate(
            trial.run,
            trial.info.classes,
            str(trial_id),
            int(epoch),
            f"{trial.run.name}:{number}",
            trial.info.family,
        )
        for number, trial_id, epoch in zip(
            ranked.index, ranked["trial_id"], ranked["best_epoch"], strict=True
        )
    ]
    return correct_best(candidates, groups_by_track(trial.run))


class _Predictions(NamedTuple):
    """Row of each track, true genres, and predicted genres with one row per epoch, the best epoch last."""

    row: dict[str, int]
    truth: np.ndarray
    predicted: np.ndarray


def _on_common_tracks(available: Sequence[_Predictions], rows: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Select the predictions on the common tracks; of all epochs only if every trial stored them."""
    with_epochs = all(len(prediction.predicted) > 1 for prediction in available)
    for prediction, row in zip(available, rows, strict=True):
        yield (prediction.predicted if with_epochs else prediction.predicted[-1:])[:, row]


def _read(candidate: Candidate) -> _Predictions | None:
    """Read the predictions of a trial; None if they are missing or unreadable."""
    folder, name = candidate.run.folder / "predictions", f"{candidate.trial_id}.parquet"
    try:
        table = folder.parquet(name).read()
        require_epoch(table.schema.metadata, candidate.best_epoch, f"{folder.uri}/{name}")
        # Not `to_numpy`, which imports pandas.
        columns = [np.from_dlpack(table[f"p.{genre}"].combine_chunks()) for genre in candidate.classes]
        tracks = table["track_id"].to_pylist()
        number = {genre: index for index, genre in enumerate(candidate.classes)}
        truth = np.array([number[label] for label in table["label"].to_pylist()])
        best = np.argmax(columns, axis=0).astype(np.uint8)[None]
        epochs = _read_epochs(candidate.run, candidate.trial_id, len(tracks))
    except (HarnessError, OSError, KeyError):
        return None
    predicted = best if epochs is None else np.concatenate([epochs, best])
    return _Predictions({track: row for row, track in enumerate(tracks)}, truth, predicted)


def _read_epochs(run: RunFolder, trial_id: str, n_tracks: int) -> np.ndarray | None:
    """Read the predictions of all epochs of a trial; None if they were not stored."""
    folder, name = run.folder / "predictions", f"{trial_id}{SUFFIX}"
    if not folder.exists(name):
        return None
    epochs = read_epochs(folder.parquet(name).read())
    if epochs.shape[1] != n_tracks:
        raise RunError(f"{folder.uri}/{name}: does not hold the tracks of {trial_id}.parquet")
    return epochs
