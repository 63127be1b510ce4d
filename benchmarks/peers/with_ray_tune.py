"""Run Ray Tune as its user guides show it: a function trainable, OptunaSearch, ASHA."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.job import MAX_EPOCHS, WORKERS, Job, job_from_arguments
from benchmarks.peers.space import BASELINE, define_by_run


def trainable(config: dict[str, Any], job: Job) -> None:
    """Train a configuration and report each epoch."""
    from ray import tune

    from benchmarks.peers.network import train

    name = tune.get_context().get_trial_id()

    def report(epoch: int, accuracy: float) -> None:
        job.report(name, epoch, accuracy)
        tune.report({"accuracy": accuracy})

    train(job.arrays(), config, job.seed, report)


def main() -> None:
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    job = job_from_arguments()
    ray.init(address="local", num_cpus=WORKERS, include_dashboard=False)
    tune.Tuner(
        tune.with_resources(tune.with_parameters(trainable, job=job), {"cpu": 1}),
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(
                define_by_run,
                metric="accuracy",
                mode="max",
                points_to_evaluate=[BASELINE],
                seed=job.seed,
            ),
            scheduler=ASHAScheduler(max_t=MAX_EPOCHS),
            metric="accuracy",
            mode="max",
            num_samples=-1,
            max_concurrent_trials=WORKERS,
        ),
        run_config=tune.RunConfig(name="peer", storage_path=str(job.folder / "ray")),
    ).fit()


if __name__ == "__main__":
    main()
