"""Search from Python: `run_search` with the options of the command, and the result of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

import spaces
from data.errors import SettingsError
from data.io.terminal import err
from results.opened_run import OpenedRun
from search import (
    SearchSettings,
    extend_families,
    extend_search,
    resume_families,
    resume_search,
    search_families,
)
from search.api import run_search as search
from search.rounds.families import ALL, is_several, requested_families
from search.run import main as search_command
from search.storage.search_record import is_search


class SearchResult(OpenedRun):
    """The result of a search: everything of `results.opened_run.OpenedRun`, and further trials.

    The result of a search over several families has the trials of all; its best is the best of all.
    """

    def extend(self, trials: int | None = None, **place: Any) -> SearchResult:
        """Add trials to the finished search, in the same study.

        Parameters
        ----------
        trials : int
            Number of additional trials; per family if there are several, which ``time_budget`` can limit in
            its place.
        **place
            See `search.api.extend_search` and `search.rounds.api.extend_families`.

        Raises
        ------
        SettingsError
            If the number of trials is missing or out of bounds.
        RunError
            If the search is not finished.
        """
        if is_search(self.runs, self.name):
            extend_families(self.name, trials=trials, runs=self.runs, **place)
        elif trials is None:
            raise SettingsError(
                f"--extend {self.name}: --trials is missing; give the number of additional trials"
            )
        else:
            extend_search(self.name, trials=trials, runs=self.runs, **place)
        return self

    def resume(self, **place: Any) -> SearchResult:
        """Resume the interrupted search; see `search.api.resume_search`."""
        resume = resume_families if is_search(self.runs, self.name) else resume_search
        resume(self.name, runs=self.runs, **place)
        return self


def run_search(family: str | Sequence[str] | None = None, **options: Any) -> SearchResult:
    """Search for the best configuration of a family, or of several within one budget.

    Parameters
    ----------
    family : str or sequence of str
        Model family; several as a list or separated by commas; ``all`` for every family whose input the cache
        contains.
    **options
        The options of ``python -m search.run`` under the same names, such as ``cache``, ``trials``,
        ``max_epochs`` and ``time_budget``.

    Returns
    -------
    SearchResult
        The result; an interrupted search can be resumed.

    Raises
    ------
    SettingsError
        If an option is unknown or cannot work, with the message of the command.
    HarnessError
        If the search cannot start.

    Examples
    --------
    >>> from genre_search import run_search
    >>> result = run_search("features_mlp", trials=40)  # doctest: +SKIP
    >>> result.best_config  # doctest: +SKIP
    {'units_1': 240, 'dropout': 0.3, ...}
    >>> result = run_search("all", cache="cache/mine", time_budget=3600)  # doctest: +SKIP
    >>> result.best.name  # doctest: +SKIP
    'search-20261128-120000-1f2e-embedding_mlp:17'
    """
    if family is None:
        raise SettingsError(f"--family is missing; the families are {', '.join(spaces.names())}, or {ALL}")
    text = family if isinstance(family, str) else ",".join(family)
    if text != family:
        requested_families(text)
    _check_choices(options)
    if is_several(text):
        _say_if_demo(options.get("cache"))
        several = search_families(text, **options)
        return SearchResult(several.name, several.runs_folder)
    settings = SearchSettings.checked(family=text, **options)
    _say_if_demo(settings.cache)
    run = search(settings)
    return SearchResult(run.name, settings.runs)


def _say_if_demo(cache: str | None) -> None:
    if cache is None:
        err().print("No --cache: searching on the demo data set, which is SYNTHETIC music.")


def _check_choices(options: dict[str, Any]) -> None:
    """Refuse a value that is not a choice, with the message of the command."""
    context = click.Context(search_command)
    choices = {
        parameter.name: parameter
        for parameter in search_command.params
        if isinstance(parameter.type, click.Choice)
    }
    try:
        for name, value in options.items():
            if name in choices and value is not None:
                choices[name].type_cast_value(context, value)
    except click.UsageError as error:
        raise SettingsError(error.format_message()) from error
