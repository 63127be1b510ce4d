"""Search from Python: `run_search` with the options of the command, and the result of a search."""

from __future__ import annotations

from typing import Any

import click

import spaces
from data.errors import SettingsError
from data.io.extras import check_installed
from data.io.terminal import err
from results.opened_run import OpenedRun


class SearchResult(OpenedRun):
    """The result of a search: everything of `results.opened_run.OpenedRun`, and further trials."""

    def extend(self, trials: int, **place: Any) -> SearchResult:
        """Add trials to the finished search, in the same study.

        Parameters
        ----------
        trials : int
            Number of additional trials.
        **place
            See `search.api.extend_search`.
        """
        from search.api import extend_search

        extend_search(self.name, trials=trials, runs=self.runs, **place)
        return self

    def resume(self, **place: Any) -> SearchResult:
        """Resume the interrupted search; see `search.api.resume_search`."""
        from search.api import resume_search

        resume_search(self.name, runs=self.runs, **place)
        return self


def run_search(family: str | None = None, **options: Any) -> SearchResult:
    """Search for the best configuration of a family.

    Parameters
    ----------
    family : str
        Model family.
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
    """
    check_installed("search")
    from search.api import run_search as search
    from search.settings import SearchSettings

    if family is None:
        raise SettingsError(f"--family is missing; the families are {', '.join(spaces.names())}")
    _check_names(options)
    settings = SearchSettings.checked(family=family, **options)
    if settings.cache is None:
        err().print("No --cache: searching on the demo data set, which is SYNTHETIC music.")
    run = search(settings)
    return SearchResult(run.name, settings.runs)


def _check_names(options: dict[str, Any]) -> None:
    """Refuse an unknown option, and a value that is not a choice, with the message of the command."""
    from search.run import main

    context = click.Context(main)
    parameters = {str(parameter.name): parameter for parameter in main.params}
    try:
        for name, value in options.items():
            if name not in parameters or name in ("resume", "extend"):
                raise click.NoSuchOption("--" + name.replace("_", "-"), possibilities=_near(name, parameters))
            parameter = parameters[name]
            if isinstance(parameter.type, click.Choice) and value is not None:
                parameter.type_cast_value(context, value)
    except click.UsageError as error:
        raise SettingsError(error.format_message()) from error


def _near(name: str, parameters: dict[str, click.Parameter]) -> list[str]:
    """Return the options with a similar name, as the command suggests them."""
    from difflib import get_close_matches

    typed = {"--" + other.replace("_", "-") for other in parameters}
    return get_close_matches("--" + name.replace("_", "-"), sorted(typed))
