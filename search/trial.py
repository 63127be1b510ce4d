"""One trial: the folds of one configuration, trained epoch by epoch inside a Ray actor that is used again."""

from __future__ import annotations

import json
import math
import os
import time
import traceback
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from ray import tune

import spaces
from data.errors import RunError
from data.task import Task
from spaces.training.family import Learner
from spaces.training.run_folder import RunFolder

TRIAL_NUMBER = "trial_number"
"""Key of a trial's configuration under which its number in the order of suggestion travels."""

COMPLETE, RUNNING, FAIL, OOM = "COMPLETE", "RUNNING", "FAIL", "OOM"
FAILED = (FAIL, OOM)
"""Outcomes that have no score."""

_REPORT_SECONDS = 5.0
"""Long trials report at least this often between rungs, for the live view and the checkpoint."""

_METRICS = ("val_accuracy", "val_loss", "val_macro_f1", "train_loss", "train_accuracy")


class GenreTrial(tune.Trainable):
    """A configuration of a family on a task.

    Each report says the best epoch so far (``val_accuracy`` and what goes with it) and, as ``curve``, every
    epoch since the last report. Reports come at the rungs, where a scheduler decides, and every few seconds:
    a report costs the driver more than a small network's epoch costs the trial.

    An exception of one configuration does not end the actor: it is reported as the outcome of the trial.
    """

    def setup(
        self,
        config: dict[str, Any],
        *,
        task: Task,
        family: str,
        run: RunFolder,
        seed: int,
        milestones: tuple[int, ...],
    ) -> None:
        """Take what all trials of the search share, then the first configuration."""
        self._task = task
        self._family = spaces.get(family)
        self._run = run
        self._seed = seed
        self._milestones = frozenset(milestones)
        _limit_threads()
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next configuration; the process and what it has compiled stay."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        self._config = {key: value for key, value in config.items() if key != TRIAL_NUMBER}
        self._epoch = 0
        self._seconds = 0.0
        self._best: dict[str, float] = {}
        self._best_probabilities: np.ndarray | None = None
        self._learner: Learner | None = None

    def step(self) -> dict[str, Any]:
        """Train until a rung, a few seconds have passed, or the end."""
        started = time.monotonic()
        curve: list[dict[str, float]] = []
        outcome, error = RUNNING, ""
        try:
            outcome = self._advance(curve, started)
            self._save_predictions()
        except Exception as failure:  # noqa: BLE001 - whatever a configuration raises is that trial's outcome
            outcome = OOM if _is_out_of_memory(failure) else FAIL
            error = traceback.format_exc()
        self._seconds += time.monotonic() - started
        if outcome == FAIL and not error:
            error = f"the loss was not finite in epoch {self._epoch}"
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
        }

    def _advance(self, curve: list[dict[str, float]], started: float) -> str:
        from spaces.training.votes import scores, track_probabilities

        learner = self._ready()
        truth = self._task.track_label[self._task.validated]
        while True:
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
            curve.append(row)
            if _rank(row) > _rank(self._best):
                self._best = row
                self._best_probabilities = probabilities
            if self._epoch >= self._config["epochs"]:
                return COMPLETE
            if self._epoch in self._milestones or time.monotonic() - started > _REPORT_SECONDS:
                return RUNNING

    def _ready(self) -> Learner:
        # Made on the first step, so that what it raises is an outcome and not the actor's end.
        if self._learner is None:
            self._learner = self._family.learner(self._config, self._task, seed=self._seed)
        return self._learner

    def _save_predictions(self) -> None:
        if self._best_probabilities is None:
            return
        task = self._task
        validated = task.validated
        genres = np.array(task.classes, dtype=object)
        self._run.write_predictions(
            self.trial_id,
            task.track_id[validated],
            genres[task.track_label[validated]],
            task.classes,
            self._best_probabilities,
        )
        self._best_probabilities = None

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write all that the trial needs to go on: arrays as npz, the rest as JSON."""
        folder = Path(checkpoint_dir)
        progress = {"epoch": self._epoch, "seconds": self._seconds, "best": self._best}
        state: dict[str, Any] = dict(self._learner.state()) if self._learner else {}
        np.savez(folder / "state.npz", **state)
        (folder / "progress.json").write_text(json.dumps(progress))

    def load_checkpoint(self, checkpoint: str) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        RunError
            If the checkpoint is not whole.
        """
        folder = Path(checkpoint)
        try:
            progress = json.loads((folder / "progress.json").read_text())
            with np.load(folder / "state.npz", allow_pickle=False) as arrays:
                state = {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise RunError(
                f"{checkpoint}: the checkpoint is not whole ({error}); start the trial anew"
            ) from error
        if state:
            self._ready().restore(state)
        self._epoch = progress["epoch"]
        self._seconds = progress["seconds"]
        self._best = progress["best"]


def _rank(row: dict[str, float]) -> tuple[float, float]:
    """Order of epochs: by accuracy, then by loss."""
    return row.get("val_accuracy", -1.0), -row.get("val_loss", math.inf)


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _limit_threads() -> None:
    """Give TensorFlow the cores that Ray gave the trial (Ray sets OMP_NUM_THREADS to them)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    threads = max(1, int(os.environ.get("OMP_NUM_THREADS", "1")))
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
