"""The folder of one run: what a search writes and the results read.

``run.json`` (`RunInfo`), ``splits.parquet`` (`Split`), ``trials.parquet`` (one row a trial, in
the order of suggestion, row 0 the BASELINE), ``history.parquet`` (one row an epoch of a trial),
``predictions/TRIAL.parquet`` (what the validation tracks were judged to be at the trial's best epoch),
``checkpoints/NUMBER.npz`` (trials that have not ended), ``study.journal`` (the Optuna study) and ``ray/``
(Tune's own state). An export adds
``test_scores.json``: each scoring of the locked test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from data.analysis.kinds import Kind, kinds_in
from data.cache.fingerprints import preparation_fingerprint, same_input
from data.dataset.splits import Split
from data.errors import RunError
from data.io.folder import Folder
from data.io.s3_errors import bucket_failure

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from data.cache.cache import Cache

FORMAT = 1
"""Version of the layout."""

JOURNAL, STUDY = "study.journal", "search"
"""Optuna's journal in a run's folder, and the name of the study in it."""

TRIAL_COLUMNS = (
    "trial_id",
    "status",
    "epochs",
    "best_epoch",
    "val_accuracy",
    "val_loss",
    "val_macro_f1",
    "train_accuracy",
    "params",
    "seconds",
    "error",
)
"""Columns of ``trials.parquet`` beside ``config.*``. The scores are those of ``best_epoch``."""

EPOCH = "epoch"
"""Key in the metadata of a judgement's file: the epoch that it is of."""

_BEFORE = ".before.parquet"
"""Ending of the judgement that a trial's last one replaced."""

HISTORY_COLUMNS = (
    "trial_id",
    "epoch",
    "val_accuracy",
    "val_loss",
    "val_macro_f1",
    "train_loss",
    "train_accuracy",
)
"""Columns of ``history.parquet``; epochs count from 1."""


def last_words(error: str) -> str:
    """Return the line of a traceback that says what went wrong."""
    return error.strip().rpartition("\n")[2]


def first_failure(trials: pd.DataFrame) -> str:
    """Say why the first of the trials failed that did, of a table of trials; nothing where none did."""
    errors = trials["error"].dropna()
    return f"the first failed by: {last_words(errors.iloc[0])}" if len(errors) else ""


class CacheRef(BaseModel):
    """The data that a run saw.

    Attributes
    ----------
    uri : str
        The cache.
    fingerprint : str
        That of the whole cache when the search started; runs of version 0.1 have no other.
    collection : str, optional
        Fingerprint of tracks, content, labels and groups.
    inputs : dict of str to str
        Fingerprint of each kind of input that the run reads, in the order of their columns.
    source, synthetic, parameters
        As in ``cache.json``.
    """

    model_config = ConfigDict(extra="forbid")

    uri: str
    fingerprint: str
    source: str
    synthetic: bool
    parameters: dict[str, Any]
    collection: str | None = None
    inputs: dict[str, str] = {}

    @classmethod
    def of(cls, cache: Cache, kind: Kind) -> CacheRef:
        """Refer to the inputs of a kind in a cache."""
        common = cache.info.model_dump(include={"fingerprint", "source", "synthetic", "parameters"})
        return cls(
            uri=cache.folder.uri,
            collection=cache.collection,
            inputs={each: cache.input_fingerprint(each) for each in kinds_in(kind)},
            **common,
        )

    @property
    def data(self) -> str:
        """Fingerprint of the collection; of a run of version 0.1, that of its cache."""
        return self.collection or self.fingerprint

    def kind(self, reads: Kind) -> Kind:
        """Return the kind of input that the run reads, where its family reads `reads`."""
        return "+".join(self.inputs) or reads

    def same_collection(self, other: CacheRef) -> bool:
        """Whether two runs saw the same tracks, content, labels and groups, in whatever inputs."""
        if self.collection is None:
            return self.fingerprint == other.fingerprint or (
                other.collection is not None and other.same_collection(self)
            )
        return other.data == self.collection or (
            other.collection is None
            and preparation_fingerprint(other.parameters, self.collection) == other.fingerprint
        )

    def is_in(self, cache: Cache, reads: Kind) -> bool:
        """Whether a cache holds the collection and the inputs that the run read.

        Parameters
        ----------
        cache : Cache
            The cache, to which other inputs may have been added since.
        reads : str
            What the run's family reads.
        """
        if self.collection is not None:
            return cache.collection == self.collection and all(
                cache.input_fingerprint(kind) == recorded for kind, recorded in self.inputs.items()
            )
        if cache.info.fingerprint == self.fingerprint:
            return True
        same = preparation_fingerprint(self.parameters, cache.collection) == self.fingerprint
        return same and all(
            same_input(kind, self.parameters, cache.info.parameters) for kind in kinds_in(self.kind(reads))
        )


class RunInfo(BaseModel):
    """Content of ``run.json``.

    Attributes
    ----------
    format : int
        Version of the layout.
    name, family : str
        The run and its model family.
    status : str
        ``running``, ``finished``, or ``interrupted`` (which can be resumed).
    classes : list of str
        Genres, in the order of the network's outputs.
    n_validated, n_test : int
        Tracks that are validated on, and tracks that are locked away.
    folds : int
        Number of folds; 1 for a hold-out.
    test_fraction : float or None
        Share of the locked test; None for a given partition.
    split_fingerprint : str
        Equal for two runs where, and only where, each track is on the same side in both.
    seed : int
        Drives split, sampler, initial weights, shuffling and augmentation.
    trials, max_epochs : int
        The budget.
    settings : dict
        Every option of the search, from which it is resumed.
    space : dict
        Distribution of each parameter, as Optuna writes it.
    narrowed : dict
        What of the family's space was changed: ``fixed`` values, and ``ranges``.
    weights : dict of str to str
        SHA-256 of the pretrained weights by network.
    baseline : dict
        The configuration of trial 0.
    versions : dict
        Versions of Python and of the libraries.
    git_revision : str or None
        Revision of this program, where it lies in a git checkout.
    command_line : list of str
        What was typed.
    created, ended : str or None
        Times in ISO 8601, UTC.
    reason : str or None
        Why the search ended: ``all trials``, ``time budget``, ``target``, ``stagnation`` or ``interrupted``.
    seconds : float
        How long it has searched, all sittings together.
    warm_start : dict or None
        ``run``, ``trials`` and ``configurations`` that the search began with, after the BASELINE, and
        ``test_tracks_seen``: how many of the locked tracks that run's search had looked at.
    portfolio : list of dict
        Configurations of the family's portfolio that the search began with, after the BASELINE.
    rungs : list of int
        Epochs at which ASHA, of one bracket or of all, decides.
    """

    model_config = ConfigDict(extra="forbid")

    format: int = FORMAT
    name: str
    family: str
    status: Literal["running", "finished", "interrupted"]
    cache: CacheRef
    classes: list[str]
    n_validated: int
    n_test: int
    folds: int
    test_fraction: float | None
    split_fingerprint: str
    seed: int
    trials: int
    max_epochs: int
    settings: dict[str, Any]
    space: dict[str, Any]
    baseline: dict[str, Any]
    versions: dict[str, str]
    git_revision: str | None
    command_line: list[str]
    created: str
    ended: str | None = None
    reason: str | None = None
    seconds: float = 0.0
    warm_start: dict[str, Any] | None = None
    portfolio: list[dict[str, Any]] = []
    rungs: list[int] = []
    narrowed: dict[str, Any] = {}
    weights: dict[str, str] = {}


def require_epoch(metadata: Mapping[bytes, bytes] | None, epoch: int | None, place: str) -> None:
    """Refuse a judgement of another epoch than the one that is wanted.

    Raises
    ------
    RunError
        Naming `place`, where the file lies.
    """
    kept = _epoch_in(metadata)
    if epoch is not None and kept is not None and kept != epoch:
        raise RunError(
            f"{place}: is of epoch {kept}, but the score is of epoch {epoch}; the trial cannot be used"
        )


def _epoch_in(metadata: Mapping[bytes, bytes] | None) -> int | None:
    kept = (metadata or {}).get(EPOCH.encode())
    return None if kept is None else int(kept)


@dataclass(frozen=True)
class RunFolder:
    """A run's folder.

    Attributes
    ----------
    name : str
        The run's name.
    folder : Folder
        Where it lies.
    """

    name: str
    folder: Folder

    @classmethod
    def at(cls, runs: str | Path, name: str) -> RunFolder:
        """Name the folder of a run inside the runs' folder; nothing is made."""
        return cls(name, Folder.at(runs) / name)

    @property
    def typed(self) -> str:
        """The run as commands name it: its name, and ``--runs`` unless it lies in ``runs``."""
        runs = self.folder.uri.removesuffix(f"/{self.name}")
        return self.name if runs == "runs" else f"{self.name} --runs {runs}"

    @classmethod
    def all(cls, runs: str | Path) -> list[RunFolder]:
        """All runs of a runs' folder that have a ``run.json``, sorted by name."""
        folder = Folder.at(runs)
        try:
            found = [cls(name, folder / name) for name in folder.names()]
        except NotADirectoryError as error:
            raise RunError(f"--runs {runs}: not a folder; name the one that holds the runs") from error
        return [run for run in found if run._has_record()]

    def _has_record(self) -> bool:
        try:
            return self.folder.exists("run.json")
        except OSError:
            # Somebody else's, which `info` tells.
            return True

    def info(self) -> RunInfo:
        """Content of ``run.json``.

        Raises
        ------
        RunError
            If there is no such run, or its file is of another version.
        CacheError
            If its file is not whole.
        """
        try:
            content = self.folder.read_json("run.json")
        except FileNotFoundError as error:
            raise RunError(
                f"no run {self.name!r} ({self.folder.uri}/run.json is missing);"
                " 'python -m results.leaderboard' lists the runs"
            ) from error
        except OSError as error:
            raise bucket_failure(error) or RunError(
                f"{self.folder.uri}/run.json: cannot be read ({error.strerror or error})"
            ) from error
        found = content.get("format") if isinstance(content, dict) else None
        if found != FORMAT:
            raise RunError(
                f"{self.folder.uri}/run.json: format {found}, but this program reads {FORMAT}; use the"
                " version of the program that wrote it"
            )
        try:
            return RunInfo.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise RunError(f"{self.folder.uri}/run.json: {where}: {first['msg']}") from error

    def write_info(self, info: RunInfo) -> None:
        """Write ``run.json``."""
        self.folder.write_json("run.json", info.model_dump(mode="json"))

    def split(self) -> Split:
        """Read the side of each track."""
        return Split.from_frame(self._table("splits.parquet"))

    def write_split(self, split: Split) -> None:
        """Write ``splits.parquet``."""
        self._write("splits.parquet", split.frame())

    def trials(self) -> pd.DataFrame:
        """``trials.parquet``: `TRIAL_COLUMNS` and ``config.*``.

        Raises
        ------
        RunError
            If no trial has been recorded yet.
        """
        return self._table("trials.parquet")

    def history(self) -> pd.DataFrame:
        """``history.parquet``: `HISTORY_COLUMNS`."""
        return self._table("history.parquet")

    def write_tables(self, trials: pd.DataFrame, history: pd.DataFrame) -> None:
        """Write ``history.parquet``, then ``trials.parquet``."""
        self._write("history.parquet", history)
        self._write("trials.parquet", trials)

    def predictions(self, trial_id: str, epoch: int | None = None) -> pd.DataFrame:
        """Out-of-fold judgement of a trial at its best epoch.

        Parameters
        ----------
        trial_id : str
            The trial.
        epoch : int, optional
            The epoch that its score is of.

        Returns
        -------
        DataFrame
            One row a validated track, sorted: ``track_id``, ``label`` (the truth) and a column of probability
            for each genre, named ``p.GENRE``.

        Raises
        ------
        RunError
            If the judgement was not kept, or is of another epoch.
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
        """Write what `predictions` reads; ``probabilities`` has shape (n_tracks, n_classes).

        What it replaces is kept until `settle_predictions`: nobody may ever hear of this epoch, where the
        search ends before the trial reports it.
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

    def settle_predictions(self, best_epochs: Mapping[str, int]) -> None:
        """Keep the one judgement of each trial that is of the epoch of its score.

        Parameters
        ----------
        best_epochs : mapping of str to int
            That epoch by trial, of a search that has ended.
        """
        folder = self.folder / "predictions"
        for before in folder.names():
            trial_id = before.removesuffix(_BEFORE)
            if trial_id == before:
                continue
            last = f"{trial_id}.parquet"
            wanted = best_epochs.get(trial_id)
            last_epoch, epoch = (
                _epoch_in(folder.parquet(name).schema_arrow.metadata) for name in (last, before)
            )
            if wanted is not None and last_epoch != wanted and epoch == wanted:
                folder.write(last, folder.read(before))
            folder.remove(before)

    def test_scores(self) -> list[dict[str, Any]]:
        """Scorings of the locked test so far, oldest first: ``trial_id``, ``when``, ``accuracy``, ``n``."""
        try:
            return list(self.folder.read_json("test_scores.json"))
        except FileNotFoundError:
            return []

    def add_test_score(self, score: dict[str, Any]) -> None:
        """Record a scoring of the locked test in ``test_scores.json``."""
        self.folder.write_json("test_scores.json", [*self.test_scores(), score])

    def _table(self, name: str, epoch: int | None = None) -> pd.DataFrame:
        try:
            table = self.folder.read_table(name)
        except FileNotFoundError as error:
            raise RunError(
                f"run {self.name!r}: {self.folder.uri}/{name} is missing; has a trial of it ended yet?"
            ) from error
        require_epoch(table.schema.metadata, epoch, f"run {self.name!r}: {self.folder.uri}/{name}")
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def _write(self, name: str, frame: pd.DataFrame) -> None:
        import pyarrow as pa

        self.folder.write_table(name, pa.Table.from_pandas(frame, preserve_index=False))
