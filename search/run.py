"""Search for the best configuration of a family: ``python -m search.run --family NAME``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

import spaces
from data.console import Command
from data.errors import SettingsError
from search.sampling.samplers import SEARCHERS
from search.tune.schedulers import SCHEDULERS

if TYPE_CHECKING:
    from search.storage.run_folder import RunFolder

_INTERRUPTED = 130
"""Exit status after Ctrl-C, as in shells."""
_NO_SCORE = 1
"""Exit status of a search in which all trials failed."""

_PLACE_OPTIONS = ("runs", "cache", "address", "max_concurrent", "cpus_per_trial", "gpus_per_trial")
"""Options about where a search runs, which may change when a run is resumed or extended."""


@click.command(cls=Command)
@click.option("--family", metavar="NAME", help=f"Model family: {', '.join(spaces.names())}.")
@click.option("--cache", metavar="DIR_OR_URI", help="Cache of data.prepare.  [default: the demo data set]")
@click.option("--name", metavar="RUN", help="Name of the run.  [default: family and time]")
@click.option("--trials", metavar="N", type=int, default=40, help="Number of trials, including the BASELINE.")
@click.option("--max-epochs", metavar="N", type=int, default=100, help="Maximum number of epochs per trial.")
@click.option(
    "--folds",
    metavar="K",
    type=int,
    help="Folds of the cross-validation; 1 for a hold-out.  [default: depends on the family]",
)
@click.option(
    "--test-fraction",
    metavar="F",
    type=float,
    default=0.2,
    help="Fraction of the tracks in the locked test set; 0 for none.",
)
@click.option("--splits", metavar="FILE", help="CSV file with your own partition: track_id,split.")
@click.option(
    "--searcher", type=click.Choice(SEARCHERS), default="tpe", help="Sampler that suggests configurations."
)
@click.option("--scheduler", type=click.Choice(SCHEDULERS), default="asha", help="Early stopping rule.")
@click.option(
    "--grace-period",
    metavar="N",
    type=int,
    help="Epochs before a trial may be stopped.  [default: a quarter; hyperband: two rungs below the end]",
)
@click.option(
    "--reduction-factor", metavar="N", type=int, default=3, help="ASHA continues one trial in N at each rung."
)
@click.option("--brackets", metavar="N", type=int, default=1, help="Number of ASHA brackets.")
@click.option("--patience", metavar="N", type=int, help="End a trial after N epochs without improvement.")
@click.option("--target", metavar="A", type=float, help="End the search at this validation accuracy.")
@click.option(
    "--stagnation", metavar="N", type=int, help="End the search after N complete trials without improvement."
)
@click.option("--time-budget", metavar="SECONDS", type=float, help="End the search after this time.")
@click.option("--max-concurrent", metavar="N", type=int, help="Concurrent trials.  [default: as many as fit]")
@click.option("--cpus-per-trial", metavar="X", type=float, default=1.0, help="CPU cores per trial.")
@click.option(
    "--gpus-per-trial",
    metavar="X",
    type=float,
    default=0.0,
    help="GPUs per trial: a fraction of one, or whole GPUs (a trial trains on the first).",
)
@click.option("--address", metavar="ADDR", help="Ray cluster to use.  [default: start a local one]")
@click.option("--runs", metavar="DIR_OR_URI", default="runs", help="Folder or URI of the runs.")
@click.option(
    "--seed",
    metavar="N",
    type=int,
    default=0,
    help="Seed of split, sampler, initial weights, shuffling and augmentation.",
)
@click.option(
    "--deterministic", is_flag=True, help="Use deterministic operations only, which repeat on a GPU."
)
@click.option("--set", metavar="KEY=VALUE", multiple=True, help="Fix a parameter; may be repeated.")
@click.option(
    "--space", metavar="FILE.yaml", help="File with other ranges: low, high, log or choices per parameter."
)
@click.option("--warm-start", metavar="RUN", help="Start with the best configurations of an earlier run.")
@click.option(
    "--portfolio/--no-portfolio",
    default=True,
    help="After the BASELINE, try configurations of the family that did well on other data; not used with a"
    " grid or --warm-start.",
)
@click.option(
    "--weights",
    metavar="SOURCE",
    help="Pretrained weights of vgg16_transfer: imagenet, none or FILE.  [default: imagenet]",
)
@click.option("--resume", metavar="RUN", help="Resume an interrupted run with its own settings.")
@click.option("--extend", metavar="RUN", help="Add --trials to a finished run, with its own settings.")
@click.option("--tensorboard", is_flag=True, help="Write TensorBoard events into the folder ray/ of the run.")
@click.option("--mlflow", metavar="URI", help="Log to MLflow.")
@click.option("--wandb", metavar="PROJECT", help="Log to Weights & Biases.")
def main(resume: str | None, extend: str | None, family: str | None, **options: Any) -> None:
    """Search for the best configuration of a model family."""
    if resume is not None or extend is not None:
        run = _continue(resume, extend, family)
    else:
        if family is None:
            raise SettingsError(f"--family is missing; the families are {', '.join(spaces.names())}")
        from search.settings import SearchSettings

        settings = SearchSettings.checked(family=family, **options)
        if settings.cache is None:
            click.echo("No --cache: searching on the demo data set, which is SYNTHETIC music.")
        from search.api import run_search

        run = run_search(settings)
    sys.exit(_summarise(run))


def _continue(resume: str | None, extend: str | None, family: str | None) -> RunFolder:
    """Resume or extend an existing run with its own settings."""
    context = click.get_current_context()
    typed_options = {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }
    option, name = ("--resume", resume) if resume is not None else ("--extend", extend)
    allowed = ["resume", "extend", "family", *_PLACE_OPTIONS]
    if extend is not None:
        allowed += ["trials", "time_budget"]
    for name_of_option, value in typed_options.items():
        if name_of_option not in allowed or (resume is not None and name_of_option == "extend"):
            typed = ("no-" if value is False else "") + name_of_option.replace("_", "-")
            raise SettingsError(f"--{typed} cannot be used with {option}: the run keeps its own settings")
    if extend is not None and "trials" not in typed_options:
        raise SettingsError(f"--extend {extend}: --trials is missing; give the number of additional trials")
    from search.api import check_family, extend_search, resume_search

    where = {key: typed_options[key] for key in _PLACE_OPTIONS if key in typed_options}
    check_family(str(name), family, runs=context.params["runs"])
    if resume is not None:
        return resume_search(resume, **where)
    return extend_search(
        str(name), trials=typed_options["trials"], time_budget=typed_options.get("time_budget"), **where
    )


def _summarise(run: RunFolder) -> int:
    """Print the result of the search and the next command; return the exit status."""
    from search.storage.run_folder import first_failure

    info, trials = run.info(), run.trials()
    states = ", ".join(f"{count} {status}" for status, count in trials["status"].value_counts().items())
    click.echo(f"Run {info.name}: {len(trials)} trials ({states}).")
    scored = trials["val_accuracy"].notna().any()
    if scored:
        best, baseline = trials["val_accuracy"].max(), trials["val_accuracy"].iloc[0]
        marked = " on SYNTHETIC data" if info.cache.synthetic else ""
        reference = f"{baseline:.1%}" if baseline == baseline else "without a score"
        click.echo(
            f"Best validation accuracy {best:.1%}{marked}; BASELINE {reference};"
            f" {info.n_validated} tracks validated, {info.n_test} in the locked test set."
        )
    warm = info.warm_start or {}
    if warm.get("test_tracks_seen"):
        click.echo(
            f"Warning: {warm['test_tracks_seen']} test tracks were used by run {warm['run']!r}, which"
            " warm-started this search: a test score will be too high."
        )
    if info.reason in ("target", "stagnation", "time budget"):
        click.echo(
            f"Ended early by --{info.reason.replace(' ', '-')}; --extend {run.typed} --trials N adds trials."
        )
    if info.status == "finished":
        if scored:
            click.echo(f"Next: python -m results.export {run.typed} --out exports/{info.name}")
            return 0
        click.echo(f"No trial has a score; {first_failure(trials)}", err=True)
        return _NO_SCORE
    click.echo(f"Interrupted. Resume with: python -m search.run --resume {run.typed}")
    return _INTERRUPTED


if __name__ == "__main__":
    main()
