"""Export a trained model that takes audio and names its genre: ``python -m results.export``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from data.console import Command
from data.errors import RunError, SettingsError

if TYPE_CHECKING:
    from results.evaluation.trials import Trial
    from results.ranking.boards import Board

FORMATS = ("keras", "onnx", "tflite", "savedmodel")
"""Names for ``--format``; the first is always written."""

BEST = "best"
"""In place of a run's name: the best trial of all runs."""

_SPARE = 20
"""Trials that are looked at beyond the members of an ensemble, in place of some that cannot vote."""


@click.command(cls=Command)
@click.argument("run", default=BEST, metavar="[RUN | best]")
@click.option("--out", metavar="DIR", required=True, help="Folder to make.")
@click.option("--runs", metavar="DIR_OR_URI", default="runs", help="Folder of the runs.")
@click.option("--trial", "trial_id", metavar="ID", help="Trial of the run, or BASELINE.  [default: its best]")
@click.option(
    "--top",
    metavar="K",
    type=click.IntRange(min=2),
    help="An ensemble of K that votes: the best of each family first, then the next best.",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    default=("keras",),
    help="Further formats beside .keras, each checked against it on real rows; may be given again.",
)
@click.option("--cache", metavar="DIR_OR_URI", help="Where the run's cache lies, if it was moved.")
def main(
    run: str,
    out: str,
    runs: str,
    trial_id: str | None,
    top: int | None,
    formats: tuple[str, ...],
    cache: str | None,
) -> None:
    """Train the best configuration of a RUN, or of all runs, on train + validation and export it.

    With --top K, K configurations are trained, and vote. The locked test is scored once, by the exported
    files, and the scoring is recorded in the run.
    """
    from results.evaluation.trials import find_trial
    from results.exporting.writer import export_trial
    from search.storage.run_folder import RunFolder

    extra = tuple(dict.fromkeys(each for each in formats if each != "keras"))
    if top is not None:
        _export_top(top, run, out, runs=runs, trial_id=trial_id, cache=cache, formats=extra)
        return
    among = None
    if run == BEST:
        if trial_id is not None:
            raise RunError(f"--trial {trial_id}: name its run too, in place of 'best'")
        trial, among = _best(runs)
    else:
        trial = find_trial(RunFolder.at(runs, run), trial_id)
    name = f"{trial.run.name}:{'BASELINE' if trial.baseline else trial.trial_id}"
    click.echo(f"Training {name} for {trial.best_epoch} epochs on train + validation.", err=True)
    metrics = export_trial(trial, out, runs=runs, among=among, cache=cache, formats=extra)
    _tell(metrics, out, trial.info.cache.synthetic)


def _export_top(
    top: int,
    run: str,
    out: str,
    *,
    runs: str,
    trial_id: str | None,
    cache: str | None,
    formats: tuple[str, ...],
) -> None:
    """Export an ensemble."""
    from results.exporting.ensemble_writer import choose_members, export_ensemble
    from results.ranking.boards import boards
    from search.storage.run_folder import RunFolder

    if trial_id is not None:
        raise SettingsError(f"--trial {trial_id}: one trial is no ensemble; leave out --top or --trial")
    if run != BEST:
        RunFolder.at(runs, run).info()  # tells that there is no such run
    ranked, _ = boards(runs, top=top + _SPARE, names=None if run == BEST else [run])
    board = _comparable(ranked, runs)
    trials = choose_members(board, top, runs)
    named = ", ".join(f"{trial.run.name}:{trial.trial_id} ({trial.info.family})" for trial in trials)
    click.echo(f"Training {top} members on train + validation: {named}.", err=True)
    metrics = export_ensemble(trials, out, runs=runs, among=_compared(ranked), cache=cache, formats=formats)
    best = max(trials, key=lambda trial: trial.val_accuracy)
    if metrics["validation"]["accuracy"] < best.val_accuracy:
        click.echo(
            f"The vote is worse in validation than {best.run.name}:{best.trial_id} alone"
            f" ({100 * best.val_accuracy:.1f} %): fewer members may serve better.",
            err=True,
        )
    _tell(metrics, out, board.info.cache.synthetic)


def _tell(metrics: dict[str, Any], out: str, synthetic: bool) -> None:
    """Print the numbers of an export."""
    marked = " (SYNTHETIC data)" if synthetic else ""
    for side, one in metrics.items():
        click.echo(
            f"{side} accuracy{marked}: {100 * one['accuracy']:.1f} %"
            f" [{100 * one['low']:.1f}, {100 * one['high']:.1f}], {one['n']} tracks"
        )
    click.echo(f"Exported to {out}. Next: python -m results.predict {out} AUDIO...")


def _best(runs: str) -> tuple[Trial, int]:
    """Find the best trial of all runs, which must be on the same data, and tell among how many it is."""
    from results.evaluation.trials import find_trial
    from results.ranking.boards import boards
    from search.storage.run_folder import RunFolder

    ranked, _ = boards(runs, top=1)
    chosen = _comparable(ranked, runs).entries[0]
    return find_trial(RunFolder.at(runs, chosen.run), chosen.trial_id), _compared(ranked)


def _compared(ranked: list[Board]) -> int:
    """How many trials with a score stand on all boards."""
    return sum(board.ranked for board in ranked)


def _comparable(ranked: list[Board], runs: str) -> Board:
    """Return the board with the highest figure, of boards on the same data."""
    heads = [board.entries[0] for board in ranked]
    if len({board.info.cache.data for board in ranked}) > 1:
        named = ", ".join(f"{head.run} ({100 * head.val_accuracy:.1f} %)" for head in heads)
        raise RunError(
            f"best: the runs in {runs} are on different data and cannot be ranked together; name one of the"
            f" best of each: {named}"
        )
    chosen = max(ranked, key=lambda board: board.entries[0].val_accuracy)
    if len(heads) > 1:
        click.echo(
            f"The runs split the data in different ways; {chosen.entries[0].run} has the highest figure.",
            err=True,
        )
    return chosen


if __name__ == "__main__":
    main()
