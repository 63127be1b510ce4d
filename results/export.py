"""Export a trained model that takes audio and names its genre: ``python -m results.export``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from data.console import Command
from data.errors import RunError, SettingsError

if TYPE_CHECKING:
    from results.evaluation.correction import ChoiceCorrection
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
    "--ensemble",
    is_flag=True,
    help="An ensemble whose members and weights are selected on the validated tracks.",
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
    ensemble: bool,
    formats: tuple[str, ...],
    cache: str | None,
) -> None:
    """Train the best configuration of a RUN, or of all runs, on train + validation and export it.

    With --top K, K configurations are trained, and vote. With --ensemble, the members and their weights are
    selected on the out-of-fold predictions, and the vote is scored by cross-fitting. The locked test is
    scored once, by the exported files, and the scoring is recorded in the run.
    """
    from results.evaluation.trials import find_trial
    from results.exporting.writer import export_trial
    from search.storage.run_folder import RunFolder

    extra = tuple(dict.fromkeys(each for each in formats if each != "keras"))
    if ensemble:
        if top is not None:
            raise SettingsError("--ensemble does not go with --top, which fixes the number of members")
        _export_ensemble(run, out, runs=runs, trial_id=trial_id, cache=cache, formats=extra)
        return
    if top is not None:
        _export_top(top, run, out, runs=runs, trial_id=trial_id, cache=cache, formats=extra)
        return
    among, correction = None, None
    if run == BEST:
        if trial_id is not None:
            raise RunError(f"--trial {trial_id}: name its run too, in place of 'best'")
        trial, among, correction = _best(runs)
    else:
        trial = find_trial(RunFolder.at(runs, run), trial_id)
    name = f"{trial.run.name}:{'BASELINE' if trial.baseline else trial.trial_id}"
    click.echo(f"Training {name} for {trial.best_epoch} epochs on train + validation.", err=True)
    metrics = export_trial(
        trial, out, runs=runs, among=among, cache=cache, formats=extra, correction=correction
    )
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
    mean = sum(trial.val_accuracy for trial in trials) / len(trials)
    if metrics["validation"]["accuracy"] < mean:
        click.echo(
            f"Warning: the vote is worse in validation than its members' mean ({100 * mean:.1f} %);"
            " --ensemble selects members and weights.",
            err=True,
        )
    _tell(metrics, out, board.info.cache.synthetic)


def _export_ensemble(
    run: str,
    out: str,
    *,
    runs: str,
    trial_id: str | None,
    cache: str | None,
    formats: tuple[str, ...],
) -> None:
    """Select members and weights on the validated tracks, and export them."""
    from results.exporting.ensemble_writer import export_ensemble
    from results.ranking.boards import boards
    from results.ranking.selection import MAX_CANDIDATES, candidates, select
    from search.storage.run_folder import RunFolder

    if trial_id is not None:
        raise SettingsError(f"--trial {trial_id}: one trial is no ensemble; leave out --ensemble or --trial")
    if run != BEST:
        RunFolder.at(runs, run).info()  # reports a run that does not exist
    ranked, _ = boards(runs, top=MAX_CANDIDATES, names=None if run == BEST else [run])
    board = _comparable(ranked, runs)
    selected = select(candidates(board, runs))
    click.echo(selected.sentence(), err=True)
    if len(selected.trials) < 2:
        best = selected.trials[0]
        raise RunError(
            f"--ensemble: the best vote is {best.run.name}:{best.trial_id} alone; leave out --ensemble"
        )
    named = ", ".join(
        f"{trial.run.name}:{trial.trial_id} ({trial.info.family}, {weight:.2f})"
        for trial, weight in zip(selected.trials, selected.weights, strict=True)
    )
    click.echo(f"Training {len(selected.trials)} members on train + validation: {named}.", err=True)
    metrics = export_ensemble(
        selected.trials,
        out,
        runs=runs,
        among=_compared(ranked),
        cache=cache,
        formats=formats,
        weights=selected.weights,
        selection=selected.sentence(),
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


def _best(runs: str) -> tuple[Trial, int, ChoiceCorrection | None]:
    """Find the best trial of all runs on the same data, the number of trials, and its corrected score."""
    from results.evaluation.trials import find_trial
    from results.ranking.boards import boards
    from search.storage.run_folder import RunFolder

    ranked, _ = boards(runs, top=1)
    board = _comparable(ranked, runs)
    chosen = board.entries[0]
    trial = find_trial(RunFolder.at(runs, chosen.run), chosen.trial_id)
    return trial, _compared(ranked), board.correction


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
