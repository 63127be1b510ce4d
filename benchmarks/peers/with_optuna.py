"""Run Optuna alone: TPE and the Hyperband pruner, with two processes on one journal."""

from __future__ import annotations

from collections.abc import Callable

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from benchmarks.peers.job import MAX_EPOCHS, Job, job_from_arguments, start_workers, worker_number
from benchmarks.peers.space import BASELINE, suggest

_SEED_STRIDE = 1000
"""Distance between the seeds of two runs, so that every worker of every run has its own seed."""


def main() -> None:
    job, worker = job_from_arguments(), worker_number()
    storage = JournalStorage(JournalFileBackend(str(job.folder / "study.journal")))
    if worker is None:
        optuna.create_study(study_name="peer", storage=storage, direction="maximize").enqueue_trial(BASELINE)
        for process in start_workers("benchmarks.peers.with_optuna", job):
            process.wait()
        return
    study = optuna.load_study(
        study_name="peer",
        storage=storage,
        sampler=optuna.samplers.TPESampler(
            multivariate=True, group=True, constant_liar=True, seed=_SEED_STRIDE * job.seed + worker
        ),
        pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=MAX_EPOCHS, reduction_factor=3),
    )
    study.optimize(objective(job))


def objective(job: Job) -> Callable[[optuna.Trial], float]:
    """Return the function that Optuna maximises."""
    from benchmarks.peers.network import train

    arrays = job.arrays()

    def best_accuracy(trial: optuna.Trial) -> float:
        best = 0.0

        def report(epoch: int, accuracy: float) -> None:
            nonlocal best
            best = max(best, accuracy)
            job.report(trial.number, epoch, accuracy)
            trial.report(accuracy, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        train(arrays, suggest(trial), job.seed, report)
        return best

    return best_accuracy


if __name__ == "__main__":
    main()
