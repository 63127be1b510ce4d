"""Export a trained model that takes audio and names its genre: ``python -m results.export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from data.console import Command
from data.errors import RunError

if TYPE_CHECKING:
    from results.trials import Trial

BEST = "best"
"""In place of a run's name: the best trial of all runs."""


@click.command(cls=Command)
@click.argument("run", default=BEST, metavar="[RUN | best]")
@click.option("--out", metavar="DIR", required=True, help="Folder to make.")
@click.option("--runs", metavar="DIR_OR_URI", default="runs", help="Folder of the runs.")
@click.option("--trial", "trial_id", metavar="ID", help="Trial of the run, or BASELINE.  [default: its best]")
@click.option("--cache", metavar="DIR_OR_URI", help="Where the run's cache lies, if it was moved.")
def main(run: str, out: str, runs: str, trial_id: str | None, cache: str | None) -> None:
    """Train the best configuration of a RUN, or of all runs, on train + validation and export it.

    The locked test is scored once, by the exported files, and the scoring is recorded in the run.
    """
    from results.exporting import export_trial
    from results.trials import find_trial
    from spaces.training.run_folder import RunFolder

    if run == BEST:
        if trial_id is not None:
            raise RunError(f"--trial {trial_id}: name its run too, in place of 'best'")
        trial = _best(runs)
    else:
        trial = find_trial(RunFolder.at(runs, run), trial_id)
    info = trial.info
    name = "BASELINE" if trial.baseline else trial.trial_id
    click.echo(f"Training {info.name}:{name} for {trial.best_epoch} epochs on train + validation.", err=True)
    metrics = export_trial(trial, out, runs=runs, cache=cache)
    marked = " (SYNTHETIC data)" if info.cache.synthetic else ""
    for side, one in metrics.items():
        click.echo(
            f"{side} accuracy{marked}: {100 * one['accuracy']:.1f} %"
            f" [{100 * one['low']:.1f}, {100 * one['high']:.1f}], {one['n']} tracks"
        )
    click.echo(f"Exported to {out}. Next: python -m results.predict {out} AUDIO...")


def _best(runs: str) -> Trial:
    """Find the best trial of all runs, which must be on the same data."""
    from results.ranking import boards
    from results.trials import find_trial
    from spaces.training.run_folder import RunFolder

    ranked, _ = boards(runs, top=1)
    heads = [board.entries[0] for board in ranked]
    if len({board.info.cache.fingerprint for board in ranked}) > 1:
        named = ", ".join(f"{head.run} ({100 * head.val_accuracy:.1f} %)" for head in heads)
        raise RunError(
            f"best: the runs in {runs} are on different data and cannot be ranked together; name one of the"
            f" best of each: {named}"
        )
    chosen = max(heads, key=lambda head: head.val_accuracy)
    if len(heads) > 1:
        click.echo(
            f"The runs split the data in different ways; {chosen.run} has the highest figure.", err=True
        )
    return find_trial(RunFolder.at(runs, chosen.run), chosen.trial_id)


if __name__ == "__main__":
    main()
