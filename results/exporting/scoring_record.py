"""Record each evaluation on the held-out test set, and find the earlier ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click

from data.errors import HarnessError, RunError
from data.io.s3_errors import bucket_failure
from results.evaluation.trials import Trial
from search.storage.run_folder import RunFolder

_SCORES = ("accuracy", "low", "high", "n", "macro_f1")


@dataclass
class Scoring:
    """An evaluation on the held-out test set that has begun.

    Attributes
    ----------
    earlier : list of dict
        The evaluations on the same tracks that had begun before, or at the same time; oldest first.
    result : dict
        Metrics as returned by `data.dataset.metrics.judge`; empty until `finish`.
    """

    earlier: list[dict[str, Any]]
    result: dict[str, Any] = field(default_factory=dict)

    def finish(self, result: dict[str, Any]) -> None:
        """Set the result, which is recorded at the end of the block of `recorded_scoring`."""
        self.result = result


@contextmanager
def recorded_scoring(trial: Trial, runs: str, **identity: str) -> Iterator[Scoring]:
    """Evaluate on the held-out test set in a block: record it in the trial's run before and after.

    The record is written first and the others are read afterwards, so of two exports at the same time at most
    one finds no other evaluation. A block that fails leaves a record without scores, because the test set may
    have been used.

    Parameters
    ----------
    trial : Trial
        The evaluated trial.
    runs : str
        Folder of the runs, which is searched for other evaluations on the same tracks.
    **identity : str
        ``run``, ``trial_id`` and ``when``.

    Raises
    ------
    RunError
        If the run's folder cannot be written.
    """
    record: dict[str, Any] = {**identity, "split_fingerprint": trial.info.split_fingerprint}
    with _recording(trial):
        name = trial.run.write_test_score(record)
    scoring = Scoring(earlier_scorings(trial, runs, own=name))
    yield scoring
    with _recording(trial):
        trial.run.write_test_score(record | {key: scoring.result[key] for key in _SCORES}, name)


@contextmanager
def _recording(trial: Trial) -> Iterator[None]:
    """Turn an OSError into an error that says why the record must be written."""
    try:
        yield
    except OSError as error:
        raise bucket_failure(error) or RunError(
            f"{trial.run.folder.uri}/test_scores: cannot be written ({error.strerror or error}), but each"
            " evaluation on the test set has to be recorded; make it writable and export again"
        ) from error


def earlier_scorings(trial: Trial, runs: str, *, own: str = "") -> list[dict[str, Any]]:
    """Find evaluations on the same test tracks by any run in the folder, oldest first.

    Tracks are compared by name, because runs with other folds or on an extended cache can hold out the same
    tracks. Runs that cannot be read are skipped with a warning on standard error.

    Parameters
    ----------
    trial : Trial
        The evaluated trial.
    runs : str
        Folder of the runs.
    own : str
        File of the trial's own evaluation, which is left out.
    """
    locked = locked_tracks(trial.run)
    evaluations = []
    for run in RunFolder.all(runs):
        try:
            scorings = [scoring for scoring in run.test_scores() if scoring.get("file") != own or not own]
            if scorings and locked & locked_tracks(run):
                evaluations += scorings
        except (HarnessError, OSError) as error:
            reason = " ".join(str(error).split())
            click.echo(f"Warning: not checked for earlier evaluations on the test set: {reason}", err=True)
    return sorted(evaluations, key=lambda evaluation: str(evaluation["when"]))


def locked_tracks(run: RunFolder) -> set[str]:
    """Read the names of the tracks of the held-out test set."""
    split = run.split()
    return set(split.track_id[split.test].tolist())
