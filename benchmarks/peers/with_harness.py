"""Run the harness with its defaults."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.job import FOLDS, MAX_EPOCHS, TEST_FRACTION, job_from_arguments


def search(**options: Any) -> None:
    """Search with the harness's defaults, overridden by `options`, and report each epoch's score."""
    job = job_from_arguments()
    import search.driver
    from search.api import run_search
    from search.settings import SearchSettings

    class TimedRecorder(search.driver.Recorder):
        """Records each epoch's score when the driver receives it."""

        def on_trial_result(
            self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            super().on_trial_result(iteration, trials, trial, result, **info)
            for row in result["curve"]:
                job.report(trial.trial_id, int(row["epoch"]), row["val_accuracy"])

    search.driver.Recorder = TimedRecorder  # type: ignore[misc]
    run_search(
        SearchSettings.checked(
            family="features_mlp",
            cache=job.cache,
            name="peer",
            runs=str(job.folder / "runs"),
            trials=100_000,
            max_epochs=MAX_EPOCHS,
            folds=FOLDS,
            test_fraction=TEST_FRACTION,
            seed=job.seed,
            **options,
        )
    )


if __name__ == "__main__":
    search()
