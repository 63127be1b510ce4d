"""Search for the best configuration of a family: ``python -m search.run --family NAME``."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

import spaces
from data.console import Command
from data.dataset.class_weights import CLASS_WEIGHTS
from data.dataset.scores import METRICS
from data.errors import SettingsError
from data.field_options import field_option
from search.sampling.samplers import SEARCHERS
from search.settings import SearchSettings
from search.tune.schedulers import SCHEDULERS

if TYPE_CHECKING:
    from search.storage.run_folder import RunFolder

_INTERRUPTED = 130
"""Exit status after Ctrl-C, as in shells."""
_NO_SCORE = 1
"""Exit status of a search in which all trials failed."""

_PLACE_OPTIONS = ("runs", "cache", "address", "max_concurrent", "cpus_per_trial", "gpus_per_trial")
"""Options about where a search runs, which may change when a run is resumed or extended."""


_option = partial(field_option, SearchSettings)
"""Return the click option of a setting."""


@click.command(cls=Command)
@click.option("--family", metavar="NAME", help=f"Model family: {', '.join(spaces.names())}.")
@_option("cache", "Cache of data.prepare.  [default: the demo data set]", metavar="DIR_OR_URI")
@_option("name", "Name of the run.  [default: family and time]", metavar="RUN")
@_option("trials", "Number of trials, including the BASELINE.", metavar="N")
@_option("max_epochs", "Maximum number of epochs per trial.", metavar="N")
@_option(
    "folds",
    "Folds of the cross-validation; 1 for a hold-out.  [default: depends on the family]",
    metavar="K",
)
@_option("test_fraction", "Fraction of the tracks in the locked test set; 0 for none.", metavar="F")
@_option(
    "splits", "CSV file with your own partition: track_id,split; 'none' ignores the cache's.", metavar="FILE"
)
@_option("searcher", "Sampler that suggests configurations.", type=click.Choice(SEARCHERS))
@_option("scheduler", "Early stopping rule.", type=click.Choice(SCHEDULERS))
@_option(
    "grace_period",
    "Share of its own epochs that a trial trains before it may be stopped.  [default: 0.25, but a minimum"
    " of epochs that depends on the family; hyperband: two rungs below the end]",
    metavar="SHARE",
)
@_option(
    "metric",
    "Metric of the validated tracks that chooses epochs and trials.",
    type=click.Choice(METRICS),
)
@_option(
    "class_weight",
    "Weight of genres in the training loss: balanced for genres of unequal size.",
    type=click.Choice(CLASS_WEIGHTS),
)
@_option("reduction_factor", "ASHA continues one trial in N at each rung.", metavar="N")
@_option("brackets", "Number of ASHA brackets.", metavar="N")
@_option("patience", "End a trial after N epochs without improvement.", metavar="N")
@_option("target", "End the search at this validation accuracy.", metavar="A")
@_option("stagnation", "End the search after N complete trials without improvement.", metavar="N")
@_option("time_budget", "End the search after this time.", metavar="SECONDS")
@_option("max_concurrent", "Concurrent trials.  [default: as many as fit]", metavar="N")
@_option("cpus_per_trial", "CPU cores per trial.", metavar="X")
@_option(
    "gpus_per_trial",
    "GPUs per trial: a fraction of one, or whole GPUs (a trial trains on the first).",
    metavar="X",
)
@_option("address", "Ray cluster to use.  [default: start a local one]", metavar="ADDR")
@_option("runs", "Folder or URI of the runs.", metavar="DIR_OR_URI")
@_option("seed", "Seed of split, sampler, initial weights, shuffling and augmentation.", metavar="N")
@_option("deterministic", "Use deterministic operations only, which repeat on a GPU.")
@_option("set", "Fix a parameter; may be repeated.", metavar="KEY=VALUE", multiple=True)
@_option("space", "File with other ranges: low, high, log or choices per parameter.", metavar="FILE.yaml")
@_option("warm_start", "Start with the best configurations of an earlier run.", metavar="RUN")
@_option(
    "portfolio",
    "After the BASELINE, try configurations that did well on other data, and for slow families neighbours of"
    " the BASELINE; not used with a grid or --warm-start.",
    flags="--portfolio/--no-portfolio",
)
@_option(
    "weights",
    "Pretrained weights of vgg16_transfer: imagenet, none or FILE.  [default: imagenet]",
    metavar="SOURCE",
)
@click.option("--resume", metavar="RUN", help="Resume an interrupted run with its own settings.")
@click.option("--extend", metavar="RUN", help="Add --trials to a finished run, with its own settings.")
@_option("tensorboard", "Write TensorBoard events into the folder ray/ of the run.")
@_option("mlflow", "Log to MLflow.", metavar="URI")
@_option("wandb", "Log to Weights & Biases.", metavar="PROJECT")
def main(resume: str | None, extend: str | None, family: str | None, **options: Any) -> None:
    """Search for the best configuration of a model family."""
    if resume is not None or extend is not None:
        run = _continue(resume, extend, family)
    else:
        if family is None:
            raise SettingsError(f"--family is missing; the families are {', '.join(spaces.names())}")
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
            click.echo(
                f"Next: python -m results.export {run.typed} --out {shlex.quote(f'exports/{info.name}')}"
            )
            return 0
        click.echo(f"No trial has a score; {first_failure(trials)}", err=True)
        return _NO_SCORE
    click.echo(f"Interrupted. Resume with: python -m search.run --resume {run.typed}")
    return _INTERRUPTED


if __name__ == "__main__":
    main()
