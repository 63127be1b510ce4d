"""Hyperparameter search with Ray Tune and Optuna.

`SearchSettings` has the options of the command line under the same names. `run_search`, `resume_search` and
`extend_search` correspond to the command ``python -m search.run``; `search_families`, `resume_families` and
`extend_families` to the same command with several families.

Examples
--------
``cache`` is the path of a cache, ``runs`` a folder for runs:

>>> from search import SearchSettings, extend_search, run_search
>>> settings = SearchSettings.checked(
...     family="features_mlp", cache=cache, runs=runs, name="small", trials=2, max_epochs=3, scheduler="none"
... )
>>> run = run_search(settings)
>>> run.trials()["status"].tolist()
['COMPLETE', 'COMPLETE']
>>> run = extend_search("small", trials=1, runs=runs)
>>> len(run.trials()), run.info().status
(3, 'finished')
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.api import extend_search, resume_search, run_search
    from search.rounds.api import extend_families, resume_families, search_families
    from search.settings import SearchSettings

try:
    from data.siblings import require_own
except Exception as error:  # whatever another project's module named data raises
    raise ImportError(
        f"the package 'data' of genre-search is hidden by another module ({error}); use the command"
        " genre-search in place of python -m, or start in another folder",
        name=__name__,
    ) from error

from data.io.extras import check_installed

_OF_FAMILIES = ("extend_families", "resume_families", "search_families")

__all__ = [
    "SearchSettings",
    "extend_families",
    "extend_search",
    "resume_families",
    "resume_search",
    "run_search",
    "search_families",
]

require_own(__name__, "spaces")


def __getattr__(name: str) -> Any:
    # Imported on demand, because --help must not wait for Ray.
    if name == "SearchSettings":
        from search.settings import SearchSettings

        return SearchSettings
    if name in __all__:
        check_installed("search")
    if name in _OF_FAMILIES:
        from search.rounds import api as several

        return getattr(several, name)
    if name in __all__:
        from search import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
