"""Run Syne Tune's ASHA on its local backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers.job import MAX_EPOCHS, WORKERS, job_from_arguments
from benchmarks.peers.space import BASELINE, SPACE


def main() -> None:
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend import LocalBackend
    from syne_tune.config_space import choice, loguniform, randint, uniform
    from syne_tune.optimizer.baselines import ASHA

    job = job_from_arguments()
    space: dict[str, Any] = {"job": str(job.folder), "seed": job.seed}
    baseline: dict[str, Any] = {}
    for parameter in SPACE:
        if parameter.choices:
            space[parameter.name] = choice(list(parameter.choices))
        elif parameter.whole:
            space[parameter.name] = randint(int(parameter.low), int(parameter.high))
        else:
            space[parameter.name] = (loguniform if parameter.log else uniform)(parameter.low, parameter.high)
        # Syne Tune's spaces have no conditions, so unused parameters of the BASELINE need a value too.
        baseline[parameter.name] = BASELINE.get(
            parameter.name, int(parameter.low) if parameter.whole else parameter.low
        )
    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=str(Path(__file__).with_name("syne_tune_trial.py"))),
        scheduler=ASHA(
            space,
            metric="accuracy",
            do_minimize=False,
            time_attr="epoch",
            max_t=MAX_EPOCHS,
            random_seed=job.seed,
            points_to_evaluate=[baseline],
        ),
        stop_criterion=StoppingCriterion(max_wallclock_time=24 * 3600),
        n_workers=WORKERS,
        sleep_time=0.2,
        max_failures=1000,
    )
    tuner.run()


if __name__ == "__main__":
    main()
