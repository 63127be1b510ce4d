"""Search for the best configuration of a family: ``python -m search.run --family NAME``."""

from __future__ import annotations

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
from search.rounds.families import ALL, is_several, requested_families
from search.sampling.samplers import SEARCHERS
from search.settings import SearchSettings
from search.tune.schedulers import SCHEDULERS

if TYPE_CHECKING:
    from search.rounds.api import FamilySearch
    from search.storage.run_folder import RunFolder

_INTERRUPTED = 130
"""Exit status after Ctrl-C, as in shells."""
_NO_SCORE = 1
"""Exit status of a search in which all trials failed."""

_PLACE_OPTIONS = ("runs", "cache", "address", "max_concurrent", "cpus_per_trial", "gpus_per_trial")
"""Options about where a search runs, which may change when a run is resumed or extended."""


_option = partial(field_option, SearchSettings)
"""Return the click option of a setting."""


@click.command(cls=Command, extra="search")
@click.option(
    "--family",
    metavar="NAME",
    help=f"Model family: {', '.join(spaces.names())}; several separated by commas, or all.",
)
@_option("cache", "Cache of data.prepare.  [default: the demo data set]", metavar="DIR_OR_URI")
@_option("name", "Name of the run.  [default: family and time]", metavar="RUN")
@_option("trials", "Number of trials, including the BASELINE; per family if there are several.", metavar="N")
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
@_option(
    "target",
    "End the search at this validation score, by --metric: 0.8 is 80 %; a log loss is reached from above.",
    metavar="A",
)
@_option("stagnation", "End the search after N complete trials without improvement.", metavar="N")
@_option(
    "time_budget",
    "End the search after this time.  [default: none; 3600 for several families without --trials]",
    metavar="SECONDS",
)
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
@_option("set", "Fix a parameter; can be repeated.", metavar="KEY=VALUE", multiple=True)
@_option("space", "File with other ranges: low, high, log or choices per parameter.", metavar="FILE.yaml")
@_option("warm_start", "Start with the best configurations of an earlier run.", metavar="RUN")
@_option(
    "portfolio",
    "After the BASELINE, try configurations that did well on other data, and for slow families neighbours of"
    " the first of them; not used with a grid or --warm-start.",
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
    """Search for the best configuration of a model family, or of several."""
    if resume is not None or extend is not None:
        sys.exit(_continue(resume, extend, family))
    if family is None:
        raise SettingsError(f"--family is missing; the families are {', '.join(spaces.names())}, or {ALL}")
    if is_several(family):
        sys.exit(_search_several(family, options))
    settings = SearchSettings.checked(family=family, **options)
    _say_if_demo(settings.cache)
    from search.api import run_search

    sys.exit(_summarise(run_search(settings)))


def _search_several(families: str, options: dict[str, Any]) -> int:
    """Search several families within one budget."""
    requested_families(families)
    if "trials" not in _typed_options():
        options = {**options, "trials": None}
    _say_if_demo(options["cache"])
    from search.rounds.api import search_families

    return _summarise_search(search_families(families, **options))


def _say_if_demo(cache: str | None) -> None:
    if cache is None:
        click.echo("No --cache: searching on the demo data set, which is SYNTHETIC music.")


def _typed_options() -> dict[str, Any]:
    """Return the options that the user typed."""
    context = click.get_current_context()
    return {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }


def _continue(resume: str | None, extend: str | None, family: str | None) -> int:
    """Resume or extend an existing search with its own settings."""
    typed_options = _typed_options()
    option, name = ("--resume", resume) if resume is not None else ("--extend", str(extend))
    allowed = ["resume", "extend", "family", *_PLACE_OPTIONS]
    if extend is not None:
        allowed += ["trials", "time_budget"]
    for name_of_option, value in typed_options.items():
        if name_of_option not in allowed or (resume is not None and name_of_option == "extend"):
            typed = ("no-" if value is False else "") + name_of_option.replace("_", "-")
            raise SettingsError(f"--{typed} cannot be used with {option}: the run keeps its own settings")
    runs = click.get_current_context().params["runs"]
    where = {key: typed_options[key] for key in _PLACE_OPTIONS if key in typed_options}
    added = {key: typed_options[key] for key in ("trials", "time_budget") if key in typed_options}
    from search.storage.search_record import is_search

    if is_search(runs, str(name)):
        if family is not None:
            raise SettingsError(
                f"--family cannot be used with {option} {name}, a search over several families"
            )
        from search.rounds.api import extend_families, resume_families

        if resume is not None:
            return _summarise_search(resume_families(resume, **where))
        return _summarise_search(extend_families(str(name), **added, **where))
    if extend is not None and "trials" not in added:
        raise SettingsError(f"--extend {extend}: --trials is missing; give the number of additional trials")
    from search.api import check_family, extend_search, resume_search

    check_family(str(name), family, runs=runs)
    if resume is not None:
        return _summarise(resume_search(resume, **where))
    return _summarise(extend_search(str(name), **added, **where))


def _summarise(run: RunFolder) -> int:
    """Print the result of the search and the next command; return the exit status."""
    from search.summary import has_score, run_lines

    _print_lines(run_lines(run))
    if run.info().status != "finished":
        return _INTERRUPTED
    return 0 if has_score(run) else _NO_SCORE


def _summarise_search(search: FamilySearch) -> int:
    """Print the result of a search over several families; return the exit status."""
    from search.summary import has_score, search_lines

    _print_lines(search_lines(search))
    if search.record().status != "finished":
        return _INTERRUPTED
    return 0 if any(map(has_score, search.runs())) else _NO_SCORE


def _print_lines(lines: list[str]) -> None:
    for line in lines:
        click.echo(line, err=line.startswith("No trial"))


if __name__ == "__main__":
    main()
