"""One trial: the folds of one configuration, trained epoch by epoch inside a Ray actor that is used again."""

from __future__ import annotations

import math
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from ray import tune

from data.dataset.task import Task
from data.errors import HarnessError, RunError
from data.io.folder import is_full
from search.storage.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from search.storage.run_folder import RunFolder
from spaces.training.family import Family, Learner

TRIAL_NUMBER = "trial_number"
"""Key of a trial's configuration under which its number in the order of suggestion travels."""
TRIAL_ID = "trial_id"
"""Key under which its name in the run travels: Tune names a trial anew when a search is resumed."""

CHECKPOINT_SHARE = 0.02
"""Share of a trial's time that writing checkpoints may take, however large its network is.

By Young's formula (1974) the time between two is best the square root of twice what one costs times the mean
time to a failure: of a network that takes a second to write, 2 % is right where a machine fails every twenty
minutes, and too careful where it fails less often.
"""

COMPLETE, RUNNING, FAIL, OOM = "COMPLETE", "RUNNING", "FAIL", "OOM"
DISK_FULL, UNREACHABLE = "DISK_FULL", "UNREACHABLE"
FAILED = (FAIL, OOM)
"""Outcomes that have no score."""
SUSPENDED = (DISK_FULL, UNREACHABLE)
"""Outcomes that are not the trial's: the search ends, and goes on with it when it is resumed."""

_PATIENCE = (1.0, 4.0, 15.0, 40.0)
"""Seconds between attempts to read or write what a trial cannot go on without."""


class StorageError(HarnessError):
    """The run's folder could not be read or written, again and again, though its disk is not full."""


_Result = TypeVar("_Result")

_METRICS = ("val_accuracy", "val_loss", "val_macro_f1", "train_loss", "train_accuracy")


class GenreTrial(tune.Trainable):
    """A configuration of a family on a task.

    Each report says the best epoch so far (``val_accuracy`` and what goes with it) and, as ``curve``, every
    epoch since the last report. Reports come at the rungs, where a scheduler decides, and every few seconds:
    a report costs the driver more than a small network's epoch costs the trial.

    An exception of one configuration does not end the actor: it is reported as the outcome of the trial. A
    trial that was begun before, by a process that died or in a search that was interrupted, goes on from its
    checkpoint.
    """

    def setup(
        self,
        config: dict[str, Any],
        *,
        task: Task,
        family: Family,
        run: RunFolder,
        seed: int,
        milestones: tuple[int, ...],
        patience: int | None,
        report_seconds: float,
        checkpoint_seconds: float,
    ) -> None:
        """Take what all trials of the search share, then the first configuration.

        Parameters
        ----------
        config : dict
            The first configuration, with `TRIAL_NUMBER` and `TRIAL_ID`.
        task, family, run, seed
            As in the search's record.
        milestones : tuple of int
            Epochs that are reported, because the scheduler decides there.
        patience : int or None
            Epochs without a better one after which a trial ends.
        report_seconds : float
            Long trials report at least this often between milestones, for the live view.
        checkpoint_seconds : float
            A checkpoint is worth writing when so much training would be lost without it, and writing takes
            no more than `CHECKPOINT_SHARE` of the time.
        """
        self._task = task
        self._family = family
        self._run = run
        self._seed = seed
        self._milestones = frozenset(milestones)
        self._patience = patience
        self._report_seconds = report_seconds
        self._checkpoint_seconds = checkpoint_seconds
        self._sees = _set_up_device(family)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next configuration; the process and what it has compiled stay."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        self._config = {key: value for key, value in config.items() if key not in (TRIAL_NUMBER, TRIAL_ID)}
        self._number = int(config[TRIAL_NUMBER])
        self._name = str(config[TRIAL_ID])
        self._epoch = 0
        self._curve: list[dict[str, float]] = []
        self._reported = 0
        self._due = time.monotonic() + self._checkpoint_seconds
        self._seconds = 0.0
        self._best: dict[str, float] = {}
        self._best_probabilities: np.ndarray | None = None
        self._learner: Learner | None = None

    def step(self) -> dict[str, Any]:
        """Train until a rung, a few seconds have passed, or the end."""
        started = time.monotonic()
        outcome, error = RUNNING, ""
        try:
            outcome = self._advance(started)
            if outcome != FAIL:
                self._save(started, ended=outcome == COMPLETE)
        except Exception as failure:  # noqa: BLE001 - whatever a configuration raises is that trial's outcome
            outcome = _outcome_of(failure)
            error = traceback.format_exc()
            if outcome == OOM:
                # The next trial of this process begins with all the memory there is.
                self._learner = None
                self._family.release_memory()
        self._seconds += time.monotonic() - started
        if outcome == FAIL and not error:
            error = f"the loss was not finite in epoch {self._epoch}"
        curve, self._reported = self._curve[self._reported :], len(self._curve)
        return {
            "epoch": self._epoch,
            "best_epoch": int(self._best.get("epoch", 0)),
            **{name: self._best.get(name, 0.0) for name in _METRICS},
            "params": self._learner.n_parameters if self._learner else 0,
            "seconds": self._seconds,
            "curve": curve,
            "outcome": outcome,
            "error": error,
            "done": outcome != RUNNING,
            "sees_gpu": self._sees,
        }

    def _advance(self, started: float) -> str:
        from data.dataset.track_scores import scores, track_probabilities

        learner = self._ready()
        truth = self._task.track_label[self._task.validated]
        while True:
            if self._is_trained():
                return COMPLETE
            outcome = learner.run_epoch(self._epoch)
            self._epoch += 1
            probabilities = track_probabilities(self._task, outcome.probabilities)
            if not (math.isfinite(outcome.train_loss) and np.isfinite(probabilities).all()):
                return FAIL
            row = {
                "epoch": self._epoch,
                **scores(probabilities, truth),
                "train_loss": outcome.train_loss,
                "train_accuracy": outcome.train_accuracy,
            }
            self._curve.append(row)
            if _rank(row) > _rank(self._best):
                self._best = row
                self._best_probabilities = probabilities
            if self._is_trained():
                return COMPLETE
            if self._epoch in self._milestones or time.monotonic() - started > self._report_seconds:
                return RUNNING

    def _is_trained(self) -> bool:
        """Whether all epochs are done, or patience is at an end; the BASELINE is trained as published."""
        if self._epoch >= self._config["epochs"]:
            return True
        if self._patience is None or self._number == 0:
            return False
        return self._epoch - self._best.get("epoch", 0) >= self._patience

    def _ready(self) -> Learner:
        # Made on the first step, so that what it raises is an outcome and not the actor's end.
        if self._learner is None:
            learner = self._family.learner(self._config, self._task, seed=self._seed)
            try:
                self._go_on(learner)
            except RunError as error:
                # Such as one of mixed precision, where the GPU that it was trained on is gone.
                print(f"trial {self._number} starts anew: {error}", file=sys.stderr)
                learner = self._family.learner(self._config, self._task, seed=self._seed)
            self._learner = learner
        return self._learner

    def _go_on(self, learner: Learner) -> None:
        """Take up the last checkpoint; a trial without one starts at its beginning.

        Raises
        ------
        RunError
            If it is cut short or of another network. Nothing of it is taken up then.
        StorageError
            If it cannot be read now.
        """
        checkpoint = self._patiently(lambda: read_checkpoint(self._run, self._number))
        if checkpoint is None or checkpoint.progress[TRIAL_ID] != self._name:
            # Of a trial that the journal, cut short, did not know any more: its number was given anew.
            return
        if checkpoint.state:
            learner.restore(checkpoint.state)
        self._epoch = checkpoint.progress["epoch"]
        self._seconds = checkpoint.progress["seconds"]
        self._best = checkpoint.progress["best"]
        # Reported again from the first epoch on, because a driver that died too knows none of them.
        self._curve = checkpoint.progress["curve"]

    def _save(self, started: float, *, ended: bool) -> None:
        """Write predictions and checkpoint; what a disk or a bucket refuses now is tried again later."""
        if ended:
            self._patiently(self._save_predictions)
            return
        try:
            self._save_predictions()
            self._save_checkpoint(started)
        except OSError as error:
            if is_full(error):
                raise
            print(f"trial {self._number} goes on, though it could not be saved: {error}", file=sys.stderr)

    def _patiently(self, action: Callable[[], _Result]) -> _Result:
        """Do what reads or writes the run's folder; a bucket may be out of reach for a moment.

        Raises
        ------
        StorageError
            If it cannot be reached for a minute.
        """
        waits = iter(_PATIENCE)
        while True:
            try:
                return action()
            except OSError as error:
                if is_full(error):
                    raise
                seconds = next(waits, None)
                if seconds is None:
                    raise StorageError(f"cannot be reached ({error})") from error
            time.sleep(seconds)

    def _save_checkpoint(self, started: float) -> None:
        begun = time.monotonic()
        if self._learner is None or begun < self._due:
            return
        progress = {
            TRIAL_ID: self._name,
            "epoch": self._epoch,
            "seconds": self._seconds + time.monotonic() - started,
            "best": self._best,
            "curve": self._curve,
        }
        write_checkpoint(self._run, self._number, Checkpoint(progress, self._learner.state()))
        ended = time.monotonic()
        self._due = ended + max(self._checkpoint_seconds, (ended - begun) / CHECKPOINT_SHARE)

    def _save_predictions(self) -> None:
        if self._best_probabilities is None:
            return
        task = self._task
        validated = task.validated
        genres = np.array(task.classes, dtype=object)
        self._run.write_predictions(
            self._name,
            task.track_id[validated],
            genres[task.track_label[validated]],
            task.classes,
            self._best_probabilities,
            epoch=int(self._best["epoch"]),
        )
        self._best_probabilities = None


def accuracy(result: Mapping[str, Any]) -> float:
    """Score of a report; a trial that failed has none, whatever it had reached before."""
    return 0.0 if result.get("outcome") in FAILED else float(result.get("val_accuracy", 0.0))


def _rank(row: dict[str, float]) -> tuple[float, float]:
    """Order of epochs: by accuracy, then by loss."""
    return row.get("val_accuracy", -1.0), -row.get("val_loss", math.inf)


def _outcome_of(error: Exception) -> str:
    if isinstance(error, StorageError):
        return UNREACHABLE
    # CUDA says so in words only, in whatever class of error TensorFlow puts them.
    exhausted = type(error).__name__ == "ResourceExhaustedError" or "out of memory" in str(error).lower()
    if isinstance(error, MemoryError) or exhausted:
        return OOM
    cause: BaseException | None = error
    while cause is not None:
        # That of the scratch folder is told as a cache that cannot be written.
        if isinstance(cause, OSError) and is_full(cause):
            return DISK_FULL
        cause = cause.__cause__
    return FAIL


def _set_up_device(family: Family) -> bool:
    """Give the family the cores and GPUs that Ray gave the trial; return whether it sees them."""
    import ray

    process = ray.get_runtime_context()
    # Not OMP_NUM_THREADS, which Ray leaves alone where the user's environment has it.
    cpus = process.get_assigned_resources().get("CPU", 1.0)
    return family.set_up(cpus=cpus, gpus=bool(process.get_accelerator_ids().get("GPU")))
