"""Syne Tune's ASHA on its local backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers.job import MAX_EPOCHS, WORKERS, given_job
from benchmarks.peers.space import BASELINE, SPACE


def main() -> None:
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend import LocalBackend
    from syne_tune.config_space import choice, loguniform, randint, uniform
    from syne_tune.optimizer.baselines import ASHA

    job = given_job()
    space: dict[str, Any] = {"job": str(job.folder), "seed": job.seed}
    first: dict[str, Any] = {}
    for one in SPACE:
        if one.choices:
            space[one.name] = choice(list(one.choices))
        elif one.whole:
            space[one.name] = randint(int(one.low), int(one.high))
        else:
            space[one.name] = (loguniform if one.log else uniform)(one.low, one.high)
        # Its spaces have no conditions, so that unused parameters of the BASELINE need a value.
        first[one.name] = BASELINE.get(one.name, int(one.low) if one.whole else one.low)
    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=str(Path(__file__).with_name("syne_tune_trial.py"))),
        scheduler=ASHA(
            space,
            metric="accuracy",
            do_minimize=False,
            time_attr="epoch",
            max_t=MAX_EPOCHS,
            random_seed=job.seed,
            points_to_evaluate=[first],
        ),
        stop_criterion=StoppingCriterion(max_wallclock_time=24 * 3600),
        n_workers=WORKERS,
        sleep_time=0.2,
        max_failures=1000,
    )
    tuner.run()


if __name__ == "__main__":
    main()
