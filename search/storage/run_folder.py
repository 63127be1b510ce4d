"""The folder of a run, which a search writes and the results read.

``run.json`` (`RunInfo`), ``splits.parquet`` (`Split`), ``trials.parquet`` (one row per trial in the order of
suggestion, row 0 the BASELINE), ``history.parquet`` (one row per epoch of a trial),
``predictions/TRIAL.parquet`` (out-of-fold predictions of the validated tracks at the trial's best epoch),
``predictions/TRIAL.epochs.parquet`` (their predicted genres at each epoch),
``checkpoints/NUMBER.npz`` (unfinished trials), ``study.journal`` (the Optuna study) and ``ray/`` (Tune's
state). An export adds one file to ``test_scores/`` for its evaluation of the locked test set; version 0.1
kept these in one file, ``test_scores.json``.
"""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from data.dataset.epoch_predictions import SUFFIX, EpochPredictions
from data.dataset.splits import Split
from data.errors import RunError
from data.io.command_names import command_name
from data.io.documents import require_format, validated
from data.io.folder import Folder
from data.io.s3_errors import bucket_failure
from search.storage.run_info import READABLE_FORMATS, RunInfo

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


JOURNAL, STUDY = "study.journal", "search"
"""Optuna's journal in a run's folder, and the name of the study in it."""

EPOCH = "epoch"
"""Key in the metadata of a predictions file: the epoch of the predictions."""

_TEST_SCORES = "test_scores"
"""Folder with one file per evaluation on the test set, so that two exports at once cannot lose a record."""

_BEFORE = ".before.parquet"
"""Suffix of the predictions that a later file of the same trial replaced."""


def last_words(error: str) -> str:
    """Return the last line of a traceback, which names the error."""
    return error.strip().rpartition("\n")[2]


def first_failure(trials: pd.DataFrame) -> str:
    """Return the reason of the first failed trial in a table of trials; empty if none failed."""
    errors = trials["error"].dropna()
    return f"the first failed by: {last_words(errors.iloc[0])}" if len(errors) else ""


def require_epoch(metadata: Mapping[bytes, bytes] | None, epoch: int | None, place: str) -> None:
    """Check that predictions belong to the given epoch.

    Raises
    ------
    RunError
        If they belong to another epoch; the message names `place`, the file.
    """
    kept = _epoch_in(metadata)
    if epoch is not None and kept is not None and kept != epoch:
        raise RunError(
            f"{place}: belongs to epoch {kept}, but the score to epoch {epoch}; the trial cannot be used"
        )


def _epoch_in(metadata: Mapping[bytes, bytes] | None) -> int | None:
    kept = (metadata or {}).get(EPOCH.encode())
    return None if kept is None else int(kept)


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run.

    Attributes
    ----------
    name : str
        Name of the run.
    folder : Folder
        Place of the folder.
    """

    name: str
    folder: Folder

    @classmethod
    def at(cls, runs: str | Path, name: str) -> Self:
        """Return the folder of a run inside the folder of runs; nothing is created."""
        return cls(name, Folder.at(runs) / name)

    @property
    def typed(self) -> str:
        """The run as typed in commands: its name, and ``--runs`` unless the folder is ``runs``."""
        runs = self.folder.uri.removesuffix(f"/{self.name}")
        name = shlex.quote(self.name)
        return name if runs == "runs" else f"{name} --runs {shlex.quote(runs)}"

    @classmethod
    def all(cls, runs: str | Path) -> list[Self]:
        """Return all runs in a folder that have a ``run.json``, sorted by name."""
        folder = Folder.at(runs)
        try:
            candidates = [cls(name, folder / name) for name in folder.names()]
        except NotADirectoryError as error:
            raise RunError(f"--runs {runs}: not a folder; give the folder that contains the runs") from error
        return [run for run in candidates if run._has_record()]

    def _has_record(self) -> bool:
        try:
            return self.folder.exists("run.json")
        except OSError:
            # Not readable by this user; `info` reports the reason.
            return True

    def info(self) -> RunInfo:
        """Read ``run.json``.

        Raises
        ------
        RunError
            If the run does not exist, or its file has another format.
        CacheError
            If the file is truncated.
        """
        try:
            content = self.folder.read_json("run.json")
        except FileNotFoundError as error:
            raise RunError(
                f"no run {self.name!r} ({self.folder.uri}/run.json is missing);"
                f" '{command_name('results.leaderboard')}' lists the runs"
            ) from error
        except OSError as error:
            raise bucket_failure(error) or RunError(
                f"{self.folder.uri}/run.json: cannot be read ({error.strerror or error})"
            ) from error
        where, advice = f"{self.folder.uri}/run.json", "use the version of the program that wrote it"
        require_format(content, READABLE_FORMATS, where=where, error=RunError, advice=advice)
        return validated(RunInfo, content, where=where, error=RunError, advice=advice)

    def write_info(self, info: RunInfo) -> None:
        """Write ``run.json``."""
        self.folder.write_json("run.json", info.model_dump(mode="json"))

    def split(self) -> Split:
        """Read the assignment of tracks to folds and test set."""
        return Split.from_frame(self._table("splits.parquet"))

    def write_split(self, split: Split) -> None:
        """Write ``splits.parquet``."""
        self._write("splits.parquet", split.frame())

    def trials(self) -> pd.DataFrame:
        """Read ``trials.parquet``: `search.storage.columns.TRIAL_COLUMNS` and ``config.*``.

        Raises
        ------
        RunError
            If no trial has been recorded yet.
        """
        return self._table("trials.parquet")

    def history(self) -> pd.DataFrame:
        """Read ``history.parquet``: `search.storage.columns.HISTORY_COLUMNS`."""
        return self._table("history.parquet")

    def write_tables(self, trials: pd.DataFrame, history: pd.DataFrame) -> None:
        """Write ``history.parquet``, then ``trials.parquet``."""
        self._write("history.parquet", history)
        self._write("trials.parquet", trials)

    def predictions(self, trial_id: str, epoch: int | None = None) -> pd.DataFrame:
        """Read the out-of-fold predictions of a trial at its best epoch.

        Parameters
        ----------
        trial_id : str
            The trial.
        epoch : int, optional
            The epoch of the trial's score.

        Returns
        -------
        DataFrame
            One row per validated track, sorted: ``track_id``, ``label`` (the true genre) and one column of
            probabilities per genre, named ``p.GENRE``.

        Raises
        ------
        RunError
            If the predictions are missing or belong to another epoch.
        """
        return self._table(f"predictions/{trial_id}.parquet", epoch)

    def write_predictions(
        self,
        trial_id: str,
        track_id: np.ndarray,
        label: np.ndarray,
        classes: tuple[str, ...],
        probabilities: np.ndarray,
        epoch: int | None = None,
    ) -> None:
        """Write the file that `predictions` reads; ``probabilities`` has shape (n_tracks, n_classes).

        The previous file is kept until `settle_predictions`, because the search may end before the trial
        reports this epoch.
        """
        import pandas as pd
        import pyarrow as pa

        frame = pd.DataFrame({"track_id": track_id, "label": label})
        for number, genre in enumerate(classes):
            frame[f"p.{genre}"] = probabilities[:, number]
        table = pa.Table.from_pandas(frame, preserve_index=False)
        if epoch is not None:
            table = table.replace_schema_metadata({**(table.schema.metadata or {}), EPOCH: str(epoch)})
        folder, name = self.folder / "predictions", f"{trial_id}.parquet"
        if folder.exists(name):
            folder.write(f"{trial_id}{_BEFORE}", folder.read(name))
        folder.write_table(name, table)

    def epoch_predictions(self, trial_id: str, n_tracks: int, epochs: int) -> EpochPredictions:
        """Read the predictions of a trial's first epochs, to which the resumed trial adds further ones.

        Parameters
        ----------
        trial_id : str
            The trial.
        n_tracks : int
            Number of validated tracks.
        epochs : int
            Number of epochs that the trial keeps.

        Returns
        -------
        EpochPredictions
            Marked as dropped if epochs are missing, so that no incomplete list is written.
        """
        folder, name = self.folder / "predictions", f"{trial_id}{SUFFIX}"
        kept: list[np.ndarray] = []
        if folder.exists(name):
            kept = EpochPredictions.of(folder.read_table(name)).epochs[:epochs]
        complete = len(kept) == epochs and all(len(predicted) == n_tracks for predicted in kept)
        return EpochPredictions(n_tracks, kept if complete else [], dropped=not complete)

    def write_epoch_predictions(self, trial_id: str, predictions: EpochPredictions) -> None:
        """Write the predicted genres of all epochs of a trial; remove the file if they were dropped."""
        folder, name = self.folder / "predictions", f"{trial_id}{SUFFIX}"
        if not predictions.dropped:
            folder.write_table(name, predictions.table())
        elif folder.exists(name):
            folder.remove(name)

    def settle_predictions(self, best_epochs: Mapping[str, int]) -> None:
        """Keep only the predictions of each trial that belong to the epoch of its score.

        Parameters
        ----------
        best_epochs : mapping of str to int
            That epoch per trial, after the search has ended.
        """
        folder = self.folder / "predictions"
        for before in folder.names():
            trial_id = before.removesuffix(_BEFORE)
            if trial_id == before:
                continue
            last = f"{trial_id}.parquet"
            best_epoch = best_epochs.get(trial_id)
            last_epoch, epoch = (
                _epoch_in(folder.parquet(name).schema_arrow.metadata) for name in (last, before)
            )
            if best_epoch is not None and last_epoch != best_epoch and epoch == best_epoch:
                folder.write(last, folder.read(before))
            folder.remove(before)

    def test_scores(self) -> list[dict[str, Any]]:
        """Read the evaluations on the test set, oldest first.

        Returns
        -------
        list of dict
            ``run``, ``trial_id``, ``when``, and the scores (``accuracy``, ``n``); an evaluation that has only
            begun, or that failed, has no scores. ``file`` names its file, except for those of version 0.1.
        """
        try:
            earlier = list(self.folder.read_json("test_scores.json"))
        except FileNotFoundError:
            earlier = []
        folder = self.folder / _TEST_SCORES
        return earlier + [{**folder.read_json(name), "file": name} for name in folder.names()]

    def write_test_score(self, score: dict[str, Any], name: str | None = None) -> str:
        """Write the file of one evaluation on the test set, and return its name.

        Parameters
        ----------
        score : dict
            What is known: ``run``, ``trial_id`` and ``when`` before the evaluation, and the scores after it.
        name : str, optional
            The file of the evaluation that has begun; by default a new one, which no other process can have.
        """
        name = name or f"{score['when'].replace(':', '')}-{uuid.uuid4().hex}.json"
        (self.folder / _TEST_SCORES).write_json(name, score)
        return name

    def _table(self, name: str, epoch: int | None = None) -> pd.DataFrame:
        try:
            table = self.folder.read_table(name)
        except FileNotFoundError as error:
            raise RunError(
                f"run {self.name!r}: {self.folder.uri}/{name} is missing; it is written when a trial ends"
            ) from error
        require_epoch(table.schema.metadata, epoch, f"run {self.name!r}: {self.folder.uri}/{name}")
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def _write(self, name: str, frame: pd.DataFrame) -> None:
        import pyarrow as pa

        self.folder.write_table(name, pa.Table.from_pandas(frame, preserve_index=False))
