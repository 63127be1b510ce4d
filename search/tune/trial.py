"""One trial: all folds of a configuration, trained epoch by epoch in a reusable Ray actor."""

from __future__ import annotations

import math
import sys
import time
import traceback
from dataclasses import replace
from typing import Any

import numpy as np
from ray import tune

from data.dataset.score_window import window_epochs
from data.dataset.scores import Metric
from data.dataset.task import Task
from data.dataset.track_scores import track_probabilities
from data.errors import HarnessError, RunError
from data.io.activity import shown_in
from data.io.folder import is_full
from search.outcomes import COMPLETE, FAIL, OOM, RUNNING
from search.storage.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from search.storage.columns import EPOCH_METRICS
from search.storage.run_folder import RunFolder
from search.storage.rungs import Rungs
from search.tune.failures import outcome_of, with_retries
from search.tune.reports import EPOCHS, SCORE, TRIAL_ID, TRIAL_NUMBER
from search.tune.trial_record import TrialRecord
from search.tune.worker import process_bytes, set_up_device
from spaces.training.family import Family, Learner

CHECKPOINT_SHARE = 0.02
"""Maximum share of a trial's time for writing checkpoints, for any size of network.

By Young's formula (1974) the best interval is the square root of twice the cost of a checkpoint times the
mean time between failures. For a checkpoint that takes one second, 2 % is optimal for a machine that fails
every twenty minutes, and conservative for a more reliable one.
"""

_FIRST_REPORT_SHARE = 0.2
"""Time until the first report of a trial, as a share of the time between later ones."""
_MEMORY_FAILURES = "memory_failures"
"""Key in the progress of a checkpoint: how often the trial ran out of memory."""


class NewWorkerNeededError(HarnessError):
    """The trial has to start again in a new worker process; Tune restarts it."""


class GenreTrial(tune.Trainable):
    """Train one configuration of a family on a task.

    Each report contains the metrics of the best epoch so far and, as ``curve``, every epoch since the
    previous report. The score of an epoch is that of the window of epochs that ends with it. Trials report at
    the rungs, where a scheduler decides, and every few seconds, because a report costs the driver more time
    than an epoch of a small network costs the trial. The first report comes earlier, as a sign of life.

    An exception does not end the actor; it becomes the outcome of the trial. A trial that a dead process or
    an interrupted search left unfinished resumes from its checkpoint.
    """

    def setup(
        self,
        config: dict[str, Any],
        *,
        task: Task,
        family: Family,
        run: RunFolder,
        seed: int,
        metric: Metric,
        score_window: int,
        rungs: Rungs,
        patience: int | None,
        report_seconds: float,
        checkpoint_seconds: float,
        max_growth: float = math.inf,
        deterministic: bool = False,
    ) -> None:
        """Store what all trials of the search share, then prepare the first configuration.

        Parameters
        ----------
        config : dict
            The first configuration, with `TRIAL_NUMBER` and `TRIAL_ID`.
        task, family, run, seed
            The data, the family, the folder of the run and the seed of the search.
        metric : str
            Metric that chooses the best epoch and that scheduler and sampler see.
        score_window : int
            Maximum number of epochs whose mean probabilities are scored; 1 for single epochs.
        rungs : Rungs
            Where the scheduler decides, so that the trial must report.
        patience : int or None
            Number of epochs without improvement after which a trial ends.
        report_seconds : float
            Maximum time between reports, for the live view; the first one is due after a fifth of it.
        checkpoint_seconds : float
            Minimum time between checkpoints. Writing them takes at most `CHECKPOINT_SHARE` of the time.
        max_growth : float
            Bytes by which the process may grow after its first trial, before it is replaced.
        deterministic : bool
            Whether TensorFlow uses only deterministic operations.
        """
        self._task = task
        self._family = family
        self._run = run
        self._seed = seed
        self._metric = metric
        self._score_window = score_window
        self._rungs = rungs
        self._patience = patience
        self._report_seconds = report_seconds
        self._checkpoint_seconds = checkpoint_seconds
        self._max_growth = max_growth
        self._first_size: int | None = None
        self._sees_gpu = set_up_device(family, deterministic=deterministic)
        self._start(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Prepare the next configuration; the process and its compiled functions are reused.

        A process that has grown too large is not: the first step of the configuration requests a new one.
        If this method returned False, Tune would abort the trial.
        """
        self._start(new_config)
        size = process_bytes()
        if self._first_size is None:
            self._first_size = size
        self._is_worn_out = size - self._first_size > self._max_growth
        return True

    def _start(self, config: dict[str, Any]) -> None:
        self._config = {key: value for key, value in config.items() if key not in (TRIAL_NUMBER, TRIAL_ID)}
        self._number = int(config[TRIAL_NUMBER])
        self._name = str(config[TRIAL_ID])
        self._judged_at = frozenset(self._rungs.of(int(config[EPOCHS])))
        self._reports_first = False
        self._memory_failures = 0
        self._is_worn_out = False
        self._due = time.monotonic() + self._checkpoint_seconds
        self._seconds = 0.0
        self._start_record()
        self._learner: Learner | None = None

    def _start_record(self) -> None:
        self._record = TrialRecord(
            self._task.track_label[self._task.validated],
            metric=self._metric,
            window=window_epochs(self._score_window, int(self._config[EPOCHS])),
        )
        self._saved_epoch = 0

    def step(self) -> dict[str, Any]:
        """Train until the next rung, until some seconds have passed, or to the end.

        Raises
        ------
        NewWorkerNeededError
            If the process has grown too large, or memory was exhausted for the first time in this trial.
        """
        if self._is_worn_out:
            raise NewWorkerNeededError("the worker process has grown too large")
        started = time.monotonic()
        outcome, error = RUNNING, ""
        try:
            with shown_in(self._run.folder):
                outcome = self._advance(started)
            if outcome != FAIL:
                self._save(started, ended=outcome == COMPLETE)
        except Exception as failure:  # noqa: BLE001 - any exception becomes the outcome of the trial
            outcome = outcome_of(failure)
            error = traceback.format_exc()
            if outcome == OOM:
                self._request_retry(failure)
                # Free all memory for the next trial of this process.
                self._learner = None
                self._family.release_memory()
        self._seconds += time.monotonic() - started
        if outcome == FAIL and not error:
            error = f"the loss was not finite in epoch {self._record.epoch + 1}"
        best = self._record.best
        return {
            "epoch": self._record.epoch,
            "best_epoch": int(best.get("epoch", 0)),
            # A checkpoint of an earlier version may lack a metric.
            **{name: best.get(name) if best else 0.0 for name in EPOCH_METRICS},
            "params": self._learner.n_parameters if self._learner else 0,
            "seconds": self._seconds,
            "curve": self._record.take_new_rows(),
            SCORE: self._record.merit(best),
            "outcome": outcome,
            "error": error,
            "done": outcome != RUNNING,
            "sees_gpu": self._sees_gpu,
            "precision": self._learner.precision if self._learner else "",
        }

    def _request_retry(self, failure: Exception) -> None:
        """Request a new worker after the first lack of memory; the second one is the trial's own fault.

        Other trials or programs may have taken the memory of a shared GPU, and memory of an earlier trial may
        be fragmented.

        Raises
        ------
        NewWorkerNeededError
            If this was the first time.
        """
        if self._memory_failures:
            return
        try:
            checkpoint = read_checkpoint(self._run, self._number)
            if checkpoint is None or checkpoint.progress[TRIAL_ID] != self._name:
                progress = {TRIAL_ID: self._name, "epoch": 0, "seconds": 0.0, "best": {}, "curve": []}
                checkpoint = Checkpoint(progress, {})
            if checkpoint.progress.get(_MEMORY_FAILURES):
                # A network that cannot even be built fails before it is restored.
                return
            progress = {**checkpoint.progress, _MEMORY_FAILURES: 1}
            write_checkpoint(self._run, self._number, replace(checkpoint, progress=progress))
        except (OSError, RunError):
            # Without this note, the new worker would retry for ever.
            return
        raise NewWorkerNeededError(f"out of memory; the trial is repeated once ({failure})") from failure

    def _advance(self, started: float) -> str:
        learner = self._ready()
        report_due = started + self._report_seconds * (1.0 if self._seconds else _FIRST_REPORT_SHARE)
        if self._reports_first:
            # The search may have ended before the scheduler's decision about this epoch was recorded.
            self._reports_first = False
            return RUNNING
        while True:
            if self._is_trained():
                return COMPLETE
            outcome = learner.run_epoch(self._record.epoch)
            probabilities = track_probabilities(self._task, outcome.probabilities)
            if not (math.isfinite(outcome.train_loss) and np.isfinite(probabilities).all()):
                again = learner.in_full_precision()
                if again is None:
                    return FAIL
                print(
                    f"trial {self._number}: not finite in {learner.precision} in epoch"
                    f" {self._record.epoch + 1};"
                    " it is trained again in float32",
                    file=sys.stderr,
                )
                learner = self._learner = again
                self._start_record()
                continue
            self._record.add(
                probabilities, train_loss=outcome.train_loss, train_accuracy=outcome.train_accuracy
            )
            if self._is_trained():
                return COMPLETE
            if self._record.epoch in self._judged_at or time.monotonic() > report_due:
                return RUNNING

    def _is_trained(self) -> bool:
        """Return whether training has ended: all epochs done, or no improvement within the patience.

        The BASELINE always trains for its published number of epochs.
        """
        epoch = self._record.epoch
        if epoch >= self._config[EPOCHS]:
            return True
        if self._patience is None or self._number == 0:
            return False
        return epoch - self._record.best.get("epoch", 0) >= self._patience

    def _ready(self) -> Learner:
        # Created in the first step, so that an exception becomes an outcome and does not end the actor.
        if self._learner is None:
            learner = self._family.learner(self._config, self._task, seed=self._seed)
            try:
                learner = self._restore(learner)
            except RunError as error:
                # For example a mixed-precision checkpoint from a GPU that is no longer available.
                print(f"trial {self._number} restarts from its first epoch: {error}", file=sys.stderr)
                learner = self._family.learner(self._config, self._task, seed=self._seed)
                self._start_record()
            self._learner = learner
        return self._learner

    def _restore(self, learner: Learner) -> Learner:
        """Resume from the last checkpoint; without one, the trial starts at its first epoch.

        Returns
        -------
        Learner
            The learner, or the same in float32 if the trial had failed in half precision.

        Raises
        ------
        RunError
            If the checkpoint is truncated or belongs to another network; nothing is restored then.
        StorageError
            If the checkpoint cannot be read now.
        """
        checkpoint = with_retries(lambda: read_checkpoint(self._run, self._number))
        if checkpoint is None or checkpoint.progress[TRIAL_ID] != self._name:
            # A truncated journal lost a trial, and its number was assigned again: ignore the old file.
            return learner
        if checkpoint.progress.get("precision") == "float32":
            learner = learner.in_full_precision() or learner
        n_tracks, epoch = len(self._task.validated), checkpoint.progress["epoch"]
        predictions = with_retries(lambda: self._run.epoch_predictions(self._name, n_tracks, epoch))
        self._record.restore(checkpoint, predictions)
        if checkpoint.state:
            learner.restore(checkpoint.state)
        self._memory_failures = checkpoint.progress.get(_MEMORY_FAILURES, 0)
        self._seconds = checkpoint.progress["seconds"]
        self._reports_first = epoch in self._judged_at
        return learner

    def _save(self, started: float, *, ended: bool) -> None:
        """Write predictions and a checkpoint; a failed write is repeated at the next opportunity."""
        if ended:
            with_retries(self._save_predictions)
            return
        try:
            self._save_predictions()
            self._save_checkpoint(started)
        except OSError as error:
            if is_full(error):
                raise
            print(f"trial {self._number} continues, but could not be saved: {error}", file=sys.stderr)

    def _save_checkpoint(self, started: float) -> None:
        started_writing = time.monotonic()
        if self._learner is None or started_writing < self._due:
            return
        progress = {
            TRIAL_ID: self._name,
            "seconds": self._seconds + time.monotonic() - started,
            "precision": self._learner.precision,
            _MEMORY_FAILURES: self._memory_failures,
        }
        checkpoint = self._record.checkpoint(progress, self._learner.state())
        write_checkpoint(self._run, self._number, checkpoint)
        ended = time.monotonic()
        self._due = ended + max(self._checkpoint_seconds, (ended - started_writing) / CHECKPOINT_SHARE)

    def _save_predictions(self) -> None:
        """Write the predicted genres of all epochs, and the probabilities of the best if they are new."""
        record = self._record
        self._run.write_epoch_predictions(self._name, record.epoch_predictions)
        epoch = int(record.best.get("epoch", 0))
        if record.best_probabilities is None or epoch == self._saved_epoch:
            return
        task = self._task
        validated = task.validated
        genres = np.array(task.classes, dtype=object)
        self._run.write_predictions(
            self._name,
            task.track_id[validated],
            genres[task.track_label[validated]],
            task.classes,
            record.best_probabilities,
            epoch=epoch,
        )
        self._saved_epoch = epoch
