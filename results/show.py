"""Show a run or a trial in the terminal: ``python -m results.show RUN[:TRIAL]``."""

from __future__ import annotations

import click

from data.console import Command


@click.command(cls=Command, extra="search")
@click.argument("reference", metavar="RUN[:TRIAL]")
@click.option("--runs", metavar="DIR_OR_URI", default="runs", help="Folder of the runs.")
def main(reference: str, runs: str) -> None:
    """Show configuration, scores, learning curve and confusion matrix of a trial.

    TRIAL is a number, best or baseline; without it, the run and its best trial are shown. RUN may be a search
    over several families, whose best trial is shown.
    """
    from results.ranking.references import failed_trial, run_names, trial_at
    from results.reporting.terminal import print_failed_trial, print_run, print_trial
    from search.storage.run_folder import RunFolder

    name, _, wanted = reference.partition(":")
    failed = failed_trial(name, wanted, runs) if wanted else None
    if failed is not None:
        print_failed_trial(*failed)
        return
    trial = trial_at(reference, runs)
    if not wanted:
        for run_name in run_names([name], runs):
            print_run(RunFolder.at(runs, run_name))
    print_trial(trial)


if __name__ == "__main__":
    main()
