"""Export a trained model that predicts genres from audio: ``python -m results.export``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from data.console import Command
from data.dataset.scores import COLUMNS, METRIC_WORDS, merit
from data.errors import RunError, SettingsError
from data.io.command_names import command_name
from data.io.stages import Stages

if TYPE_CHECKING:
    from results.evaluation.correction import ChoiceCorrection
    from results.evaluation.trials import Trial
    from results.ranking.entries import Board

FORMATS = ("keras", "onnx", "tflite", "savedmodel")
"""Values of ``--format``; the first is always written."""

BEST = "best"
"""Stands for the run with the best trial."""

_SPARE_CANDIDATES = 20
"""Additional candidates for an ensemble, which replace trials without stored predictions."""


@click.command(cls=Command, extra="search")
@click.argument("run", default=BEST, metavar="[RUN | RUN:TRIAL | best]")
@click.option("--out", metavar="DIR", required=True, help="Folder to create.")
@click.option("--runs", metavar="DIR_OR_URI", default="runs", help="Folder of the runs.")
@click.option(
    "--trial", "trial_id", metavar="N", help="Trial of the run: 4, best or baseline.  [default: the best]"
)
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
    show_default="keras, and onnx where the extra onnx is installed",
    help="Format, checked against .keras on real inputs; can be repeated. With keras alone, no other is"
    " written.",
)
@click.option(
    "--cache",
    metavar="DIR_OR_URI",
    help="Location of the run's cache, if it was moved; with best, compare only runs on this data.",
)
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

    RUN may be a search over several families; RUN:4 or RUN:baseline exports another trial than the best.

    With --top K, K configurations are trained and their predictions averaged. With --ensemble, members and
    weights are selected on out-of-fold predictions, and the vote is scored by cross-fitting. The exported
    files are evaluated once on the held-out test set; the evaluation is recorded in the run.
    """
    from results.exporting.writer import export_trial

    additional_formats = (
        tuple(dict.fromkeys(name for name in formats if name != "keras")) if formats else None
    )
    if ensemble:
        if top is not None:
            raise SettingsError("--ensemble selects the number of members; leave out --top")
        _export_ensemble(run, out, runs=runs, trial_id=trial_id, cache=cache, formats=additional_formats)
        return
    if top is not None:
        _export_top(top, run, out, runs=runs, trial_id=trial_id, cache=cache, formats=additional_formats)
        return
    trial, n_compared, correction = _selected(run, trial_id, runs, cache)
    click.echo(
        f"Training {trial.name} for {trial.best_epoch} epochs on training + validation tracks.", err=True
    )
    with Stages() as stages:
        metrics = export_trial(
            trial,
            out,
            runs=runs,
            among=n_compared,
            cache=cache,
            formats=additional_formats,
            correction=correction,
            stages=stages,
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
    formats: tuple[str, ...] | None,
) -> None:
    """Export an ensemble of the best trials with equal weights."""
    from results.exporting.ensemble_writer import choose_members, export_ensemble

    board, n_compared = _ensemble_board(
        run, runs=runs, trial_id=trial_id, cache=cache, top=top + _SPARE_CANDIDATES, option="--top"
    )
    trials = choose_members(board, top, runs)
    members = ", ".join(f"{trial.name} ({trial.info.family})" for trial in trials)
    click.echo(f"Training {top} members on training + validation tracks: {members}.", err=True)
    with Stages() as stages:
        metrics = export_ensemble(
            trials, out, runs=runs, among=n_compared, cache=cache, formats=formats, stages=stages
        )
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
    formats: tuple[str, ...] | None,
) -> None:
    """Select members and weights on the validated tracks, and export the ensemble."""
    from results.evaluation.trials import find_trial
    from results.exporting.ensemble_writer import export_ensemble
    from results.ranking.selection import select

    board, n_compared = _ensemble_board(
        run, runs=runs, trial_id=trial_id, cache=cache, top=1, option="--ensemble"
    )
    selected = select(board.candidates)
    click.echo(selected.sentence(), err=True)
    if len(selected.members) < 2:
        raise RunError(
            f"--ensemble: no ensemble beats {selected.members[0].name} alone; leave out --ensemble"
        )
    trials = [find_trial(member.run, member.trial_id) for member in selected.members]
    click.echo(
        f"Training {len(trials)} members on training + validation tracks: {selected.names()}.", err=True
    )
    with Stages() as stages:
        metrics = export_ensemble(
            trials,
            out,
            runs=runs,
            among=n_compared,
            cache=cache,
            formats=formats,
            weights=selected.weights,
            selection=selected.sentence(),
            stages=stages,
        )
    _print_metrics(metrics, out, board.info.cache.synthetic)


def _ensemble_board(
    run: str, *, runs: str, trial_id: str | None, cache: str | None, top: int, option: str
) -> tuple[Board, int]:
    """Find the board with an ensemble's candidates, and the number of compared trials."""
    from results.ranking.boards import boards
    from results.ranking.references import run_names

    name, _, wanted = run.partition(":")
    wanted = trial_id or wanted
    if wanted not in ("", BEST):
        raise SettingsError(
            f"trial {wanted}: an ensemble needs several trials; leave out {option} or the trial"
        )
    ranked, _ = boards(runs, top=top, names=None if name == BEST else run_names([name], runs))
    return _comparable(ranked, runs, cache)


def _print_metrics(metrics: dict[str, Any], out: str, synthetic: bool) -> None:
    """Print the accuracies of an export."""
    suffix = " (SYNTHETIC data)" if synthetic else ""
    for name, scores in metrics.items():
        click.echo(
            f"{name} accuracy{suffix}: {100 * scores['accuracy']:.1f} %"
            f" [{100 * scores['low']:.1f}, {100 * scores['high']:.1f}], {scores['n']} tracks"
        )
    click.echo(f"Exported to {out}. Next: {command_name('results.predict')} {shlex.quote(str(out))} AUDIO...")


def _selected(
    run: str, trial_id: str | None, runs: str, cache: str | None
) -> tuple[Trial, int | None, ChoiceCorrection | None]:
    """Find the trial to export, the number of compared trials, and its corrected score.

    Number and correction are None for a trial of one run: the export itself knows both then.
    """
    from results.evaluation.trials import find_trial
    from results.ranking.boards import boards
    from results.ranking.references import run_names, trial_at
    from search.storage.run_folder import RunFolder

    name, _, wanted = run.partition(":")
    if trial_id is not None and (name == BEST or wanted):
        raise RunError(f"--trial {trial_id}: name the run of the trial in place of {run!r}")
    names = None if name == BEST else run_names([name], runs)
    wanted = trial_id or wanted
    if names == [name] or wanted.lower() not in ("", BEST):
        return trial_at(f"{name}:{wanted}", runs), None, None
    ranked, _ = boards(runs, top=1, names=names)
    board, n_compared = _comparable(ranked, runs, cache)
    best = board.entries[0]
    return find_trial(RunFolder.at(runs, best.run), best.trial_id), n_compared, board.correction


def _comparable(ranked: Sequence[Board], runs: str, cache: str | None) -> tuple[Board, int]:
    """Select the board with the best trial, and count the trials on its data.

    Parameters
    ----------
    ranked : sequence of Board
        All boards; the first has the latest run.
    runs : str
        Folder of the runs, for messages.
    cache : str or None
        Compare only runs on the data of this cache; by default on the data of the latest run.
    """
    boards = [board for board in ranked if board.info.cache.data in _fingerprints(cache, ranked)]
    if not boards:
        raise RunError(
            f"--cache {cache}: no scored run in {runs} used this data; 'results.leaderboard' lists them"
        )
    others = [board for board in ranked if board.info.cache.data != boards[0].info.cache.data]
    if others and cache is None:
        left_out = ", ".join(
            f"{board.info.cache.uri} ({board.info.cache.data[:8]}: {board.entries[0].name},"
            f" {100 * board.entries[0].val_accuracy:.1f} %)"
            for board in others
        )
        click.echo(
            f"Warning: the runs in {runs} are on different data. Compared are those on the data of the latest"
            f" run, {boards[0].info.cache.uri} ({boards[0].info.cache.data[:8]}); --cache selects other data:"
            f" {left_out}.",
            err=True,
        )
    metric = boards[0].metric if len({board.metric for board in boards}) == 1 else "accuracy"
    best_board = max(boards, key=lambda board: merit(getattr(board.entries[0], COLUMNS[metric]), metric))
    if len(boards) > 1:
        click.echo(
            "Warning: the data is the same, but the runs use different splits;"
            f" {best_board.entries[0].name} has the best {METRIC_WORDS[metric]}.",
            err=True,
        )
    return best_board, sum(board.ranked for board in boards)


def _fingerprints(cache: str | None, ranked: Sequence[Board]) -> tuple[str, ...]:
    """Return the fingerprints of the data to compare, as recorded by runs of this and of older versions."""
    if cache is None:
        return (ranked[0].info.cache.data,)
    from data.cache.cache import Cache

    opened_cache = Cache.open(cache)
    return (opened_cache.collection, opened_cache.info.fingerprint)


if __name__ == "__main__":
    main()
