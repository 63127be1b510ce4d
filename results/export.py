"""Export a trained model that predicts genres from audio: ``python -m results.export``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from data.console import Command
from data.errors import RunError, SettingsError

if TYPE_CHECKING:
    from results.evaluation.correction import ChoiceCorrection
    from results.evaluation.trials import Trial
    from results.ranking.boards import Board

FORMATS = ("keras", "onnx", "tflite", "savedmodel")
"""Values of ``--format``; the first is always written."""

BEST = "best"
"""Stands for the run with the best trial."""

_SPARE_CANDIDATES = 20
"""Additional candidates for an ensemble, which replace trials without stored predictions."""


@click.command(cls=Command)
@click.argument("run", default=BEST, metavar="[RUN | best]")
@click.option("--out", metavar="DIR", required=True, help="Folder to create.")
@click.option("--runs", metavar="DIR_OR_URI", default="runs", help="Folder of the runs.")
@click.option("--trial", "trial_id", metavar="ID", help="Trial of the run, or BASELINE.  [default: the best]")
@click.option(
    "--top",
    metavar="K",
    type=click.IntRange(min=2),
    help="Export an ensemble of K trials: the best of each family first, then the next best.",
)
@click.option(
    "--ensemble",
    is_flag=True,
    help="Export an ensemble whose members and weights are selected on the validated tracks.",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    default=("keras",),
    help="Additional format, checked against .keras on real inputs; may be repeated.",
)
@click.option("--cache", metavar="DIR_OR_URI", help="Location of the run's cache, if it was moved.")
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
    """Train the best configuration of a RUN, or of all runs, on training + validation tracks and export it.

    With --top K, K configurations are trained and their predictions averaged. With --ensemble, members and
    weights are selected on out-of-fold predictions, and the vote is scored by cross-fitting. The exported
    files are evaluated once on the held-out test set; the evaluation is recorded in the run.
    """
    from results.evaluation.trials import find_trial
    from results.exporting.writer import export_trial
    from search.storage.run_folder import RunFolder

    additional_formats = tuple(dict.fromkeys(name for name in formats if name != "keras"))
    if ensemble:
        if top is not None:
            raise SettingsError("--ensemble selects the number of members; leave out --top")
        _export_ensemble(run, out, runs=runs, trial_id=trial_id, cache=cache, formats=additional_formats)
        return
    if top is not None:
        _export_top(top, run, out, runs=runs, trial_id=trial_id, cache=cache, formats=additional_formats)
        return
    n_compared, correction = None, None
    if run == BEST:
        if trial_id is not None:
            raise RunError(f"--trial {trial_id}: name the run of the trial in place of 'best'")
        trial, n_compared, correction = _best(runs)
    else:
        trial = find_trial(RunFolder.at(runs, run), trial_id)
    name = f"{trial.run.name}:{'BASELINE' if trial.baseline else trial.trial_id}"
    click.echo(f"Training {name} for {trial.best_epoch} epochs on training + validation tracks.", err=True)
    metrics = export_trial(
        trial,
        out,
        runs=runs,
        among=n_compared,
        cache=cache,
        formats=additional_formats,
        correction=correction,
    )
    _print_metrics(metrics, out, trial.info.cache.synthetic)


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
    """Export an ensemble of the best trials with equal weights."""
    from results.exporting.ensemble_writer import choose_members, export_ensemble

    board, n_compared = _ensemble_board(
        run, runs=runs, trial_id=trial_id, top=top + _SPARE_CANDIDATES, option="--top"
    )
    trials = choose_members(board, top, runs)
    members = ", ".join(f"{trial.run.name}:{trial.trial_id} ({trial.info.family})" for trial in trials)
    click.echo(f"Training {top} members on training + validation tracks: {members}.", err=True)
    metrics = export_ensemble(trials, out, runs=runs, among=n_compared, cache=cache, formats=formats)
    mean = sum(trial.val_accuracy for trial in trials) / len(trials)
    if metrics["validation"]["accuracy"] < mean:
        click.echo(
            f"Warning: the vote has a lower validation accuracy than its members' mean ({100 * mean:.1f} %);"
            " --ensemble selects members and weights.",
            err=True,
        )
    _print_metrics(metrics, out, board.info.cache.synthetic)


def _export_ensemble(
    run: str,
    out: str,
    *,
    runs: str,
    trial_id: str | None,
    cache: str | None,
    formats: tuple[str, ...],
) -> None:
    """Select members and weights on the validated tracks, and export the ensemble."""
    from results.exporting.ensemble_writer import export_ensemble
    from results.ranking.selection import MAX_CANDIDATES, candidates, select

    board, n_compared = _ensemble_board(
        run, runs=runs, trial_id=trial_id, top=MAX_CANDIDATES, option="--ensemble"
    )
    selected = select(candidates(board, runs))
    click.echo(selected.sentence(), err=True)
    if len(selected.trials) < 2:
        best = selected.trials[0]
        raise RunError(
            f"--ensemble: no ensemble beats {best.run.name}:{best.trial_id} alone; leave out --ensemble"
        )
    members = ", ".join(
        f"{trial.run.name}:{trial.trial_id} ({trial.info.family}, {weight:.2f})"
        for trial, weight in zip(selected.trials, selected.weights, strict=True)
    )
    click.echo(
        f"Training {len(selected.trials)} members on training + validation tracks: {members}.", err=True
    )
    metrics = export_ensemble(
        selected.trials,
        out,
        runs=runs,
        among=n_compared,
        cache=cache,
        formats=formats,
        weights=selected.weights,
        selection=selected.sentence(),
    )
    _print_metrics(metrics, out, board.info.cache.synthetic)


def _ensemble_board(run: str, *, runs: str, trial_id: str | None, top: int, option: str) -> tuple[Board, int]:
    """Find the board with an ensemble's candidates, and the number of compared trials."""
    from results.ranking.boards import boards
    from search.storage.run_folder import RunFolder

    if trial_id is not None:
        raise SettingsError(
            f"--trial {trial_id}: an ensemble needs several trials; leave out {option} or --trial"
        )
    if run != BEST:
        RunFolder.at(runs, run).info()  # raises if the run does not exist
    ranked, _ = boards(runs, top=top, names=None if run == BEST else [run])
    return _comparable(ranked, runs), _compared(ranked)


def _print_metrics(metrics: dict[str, Any], out: str, synthetic: bool) -> None:
    """Print the accuracies of an export."""
    suffix = " (SYNTHETIC data)" if synthetic else ""
    for name, scores in metrics.items():
        click.echo(
            f"{name} accuracy{suffix}: {100 * scores['accuracy']:.1f} %"
            f" [{100 * scores['low']:.1f}, {100 * scores['high']:.1f}], {scores['n']} tracks"
        )
    click.echo(f"Exported to {out}. Next: python -m results.predict {shlex.quote(str(out))} AUDIO...")


def _best(runs: str) -> tuple[Trial, int, ChoiceCorrection | None]:
    """Find the best trial of all runs, the number of compared trials, and its corrected score."""
    from results.evaluation.trials import find_trial
    from results.ranking.boards import boards
    from search.storage.run_folder import RunFolder

    ranked, _ = boards(runs, top=1)
    board = _comparable(ranked, runs)
    best = board.entries[0]
    trial = find_trial(RunFolder.at(runs, best.run), best.trial_id)
    return trial, _compared(ranked), board.correction


def _compared(ranked: list[Board]) -> int:
    """Count the scored trials of all boards."""
    return sum(board.ranked for board in ranked)


def _comparable(ranked: list[Board], runs: str) -> Board:
    """Return the board with the highest accuracy; refuse boards on different data."""
    heads = [board.entries[0] for board in ranked]
    if len({board.info.cache.data for board in ranked}) > 1:
        best_runs = ", ".join(f"{head.run} ({100 * head.val_accuracy:.1f} %)" for head in heads)
        raise RunError(
            f"best: the runs in {runs} are on different data and cannot be compared; name one of these"
            f" runs: {best_runs}"
        )
    best_board = max(ranked, key=lambda board: board.entries[0].val_accuracy)
    if len(heads) > 1:
        click.echo(
            f"Warning: the runs use different splits; {best_board.entries[0].run} has the highest accuracy.",
            err=True,
        )
    return best_board


if __name__ == "__main__":
    main()
