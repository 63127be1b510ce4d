"""The score of the best trial after correction for choosing it among many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from data.dataset.choice_correction import Corrected, correct_for_choice
from data.dataset.epoch_predictions import SUFFIX, read_epochs
from data.dataset.track_groups import TrackGroups
from data.errors import HarnessError, RunError
from results.evaluation.groups import groups_by_track
from results.evaluation.trials import Trial, scored
from search.storage.run_folder import RunFolder, require_epoch

MAX_TRIALS = 200
"""The choice is repeated among this many of the best trials; worse ones are never chosen."""
_READERS = 8


class Candidate(NamedTuple):
    """A trial with a score: its run, the genres of that, its name, the epoch of its score."""

    run: RunFolder
    classes: Sequence[str]
    trial_id: str
    best_epoch: int


@dataclass(frozen=True)
class ChoiceCorrection:
    """The correction of a best trial, in numbers and in words.

    Attributes
    ----------
    corrected : Corrected
        Raw and corrected score.
    n_ranked : int
        Trials with a score among which the best was chosen.
    n_unread : int
        Trials among the best `MAX_TRIALS` whose predictions were not stored or cannot be read.
    """

    corrected: Corrected
    n_ranked: int
    n_unread: int

    def record(self) -> dict[str, Any]:
        """Return the content for JSON; shares from 0 to 1."""
        return {
            "raw": self.corrected.raw,
            "corrected": self.corrected.corrected,
            "chosen_among": self.n_ranked,
            "epochs_corrected": self.corrected.epochs,
            "without_predictions": self.n_unread,
        }

    def sentence(self) -> str:
        """Return raw and corrected score as a sentence."""
        what = "trials and their epochs" if self.corrected.epochs else "trials"
        text = (
            f"The best scores {100 * self.corrected.raw:.1f} %,"
            f" {100 * self.corrected.corrected:.1f} % after correction for choosing among"
            f" {self.n_ranked} {what}"
        )
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
        All trials with a score on the same data and split, the best first.
    group_of : mapping of str to str
        Group of each track; a track that it lacks is a group of its own.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    ChoiceCorrection or None
        None where there was no choice, or the predictions of the best trial are missing.
    """
    if len(candidates) < 2:
        return None
    tried = candidates[:MAX_TRIALS]
    with ThreadPoolExecutor(_READERS) as readers:
        read = list(readers.map(_read, tried))
    if read[0] is None:
        return None
    present = [each for each in read if each is not None]
    common = sorted(set.intersection(*({*each.row} for each in present)))
    groups = TrackGroups.of([group_of.get(track, track) for track in common])
    if len(present) < 2 or groups.n_groups < 2:
        return None
    rows = [np.array([each.row[track] for track in common]) for each in present]
    return ChoiceCorrection(
        correct_for_choice(
            list(_chosen(present, rows)),
            present[0].truth[rows[0]],
            groups,
            n_classes=len(candidates[0].classes),
            seed=seed,
        ),
        n_ranked=len(candidates),
        n_unread=len(tried) - len(present),
    )


def correct_run(trial: Trial) -> ChoiceCorrection | None:
    """Correct the score of the best trial of a run for the choice among the run's trials."""
    ranked = scored(trial.run.trials())
    candidates = [
        Candidate(trial.run, trial.info.classes, str(trial_id), int(epoch))
        for trial_id, epoch in zip(ranked["trial_id"], ranked["best_epoch"], strict=True)
    ]
    return correct_best(candidates, groups_by_track(trial.run))


class _Predictions(NamedTuple):
    row: dict[str, int]
    truth: np.ndarray
    predicted: np.ndarray


def _chosen(present: Sequence[_Predictions], rows: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Predictions on the common tracks; of all epochs only if every trial stored them."""
    with_epochs = all(len(each.predicted) > 1 for each in present)
    for each, row in zip(present, rows, strict=True):
        yield (each.predicted if with_epochs else each.predicted[-1:])[:, row]


def _read(candidate: Candidate) -> _Predictions | None:
    """Read the predictions of a trial; the last row is its best epoch, others are all of its epochs."""
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
    folder, name = run.folder / "predictions", f"{trial_id}{SUFFIX}"
    if not folder.exists(name):
        return None
    epochs = read_epochs(folder.parquet(name).read())
    if epochs.shape[1] != n_tracks:
        raise RunError(f"{folder.uri}/{name}: is not of the tracks of {trial_id}.parquet")
    return epochs
