"""Run KerasTuner's Hyperband: a chief and two workers, with cross-validation in `run_trial`."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

import numpy as np

from benchmarks.peers.job import MAX_EPOCHS, Job, job_from_arguments, start_workers, worker_number
from benchmarks.peers.space import BASELINE, SPACE


def declare(hp: Any) -> dict[str, Any]:
    """Declare the space to KerasTuner and draw a configuration.

    Hyperband sets the length of a trial, so `epochs` is not a parameter and schedules span the maximum.
    """
    config: dict[str, Any] = {"epochs": MAX_EPOCHS}
    for parameter in SPACE:
        if parameter.name in config:
            continue
        scope = contextlib.nullcontext()
        if parameter.when is not None:
            scope = hp.conditional_scope(parameter.when[0], list(parameter.when[1]))
        default = BASELINE.get(parameter.name)
        with scope:
            if parameter.choices:
                value = hp.Choice(parameter.name, list(parameter.choices), default=default)
            elif parameter.whole:
                value = hp.Int(parameter.name, int(parameter.low), int(parameter.high), default=default)
            else:
                sampling = "log" if parameter.log else "linear"
                value = hp.Float(
                    parameter.name, parameter.low, parameter.high, sampling=sampling, default=default
                )
        if parameter.used(config):
            config[parameter.name] = value
    return config


def make_tuner(job: Job) -> Any:
    """Create a tuner; the chief and each worker need their own."""
    import keras_tuner

    from benchmarks.peers.network import FoldsInStep

    arrays = job.arrays()

    class CrossValidated(keras_tuner.Hyperband):
        """Hyperband with trials that train all folds."""

        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
            hp = trial.hyperparameters
            folds = FoldsInStep(arrays, declare(hp), job.seed)
            if hp.values.get("tuner/trial_id"):
                with np.load(job.folder / f"weights-{hp.values['tuner/trial_id']}.npz") as saved:
                    folds.states = [
                        [saved[f"{fold}-{index}"] for index in range(len(state))]
                        for fold, state in enumerate(folds.states)
                    ]
            best = 0.0
            for epoch in range(hp.values["tuner/initial_epoch"] + 1, hp.values["tuner/epochs"] + 1):
                accuracy = folds.run_epoch()
                best = max(best, accuracy)
                job.report(trial.trial_id, epoch, accuracy)
            np.savez(
                job.folder / f"weights-{trial.trial_id}.npz",
                **{
                    f"{fold}-{index}": value
                    for fold, state in enumerate(folds.states)
                    for index, value in enumerate(state)
                },
            )
            return {"val_accuracy": best}

    return CrossValidated(
        declare,
        objective=keras_tuner.Objective("val_accuracy", "max"),
        max_epochs=MAX_EPOCHS,
        hyperband_iterations=100,
        seed=job.seed,
        directory=str(job.folder),
        project_name="peer",
    )


def main() -> None:
    job, worker = job_from_arguments(), worker_number()
    if worker is None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        os.environ.update(
            KERASTUNER_ORACLE_IP="127.0.0.1", KERASTUNER_ORACLE_PORT=port, KERASTUNER_TUNER_ID="chief"
        )
        start_workers("benchmarks.peers.with_keras_tuner", job)
    else:
        os.environ["KERASTUNER_TUNER_ID"] = f"tuner{worker}"
    make_tuner(job).search()


if __name__ == "__main__":
    main()
