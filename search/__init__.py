"""The search: one trial, the tuner around it, the command line.

`SearchSettings` has the command line's options under the same names; `run_search`, `resume_search` and
`extend_search` do what the command does.

Examples
--------
With the paths of a cache and of a folder for runs in ``cache`` and ``runs``:

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
    from search.settings import SearchSettings

try:
    from data.siblings import require_own
except Exception as error:  # whatever another project's module named data raises
    raise ImportError(
        f"the package 'data' of genre-search is hidden by another module ({error}); use the command"
        " genre-search in place of python -m, or start in another folder",
        name=__name__,
    ) from error

__all__ = ["SearchSettings", "extend_search", "resume_search", "run_search"]

require_own(__name__, "spaces")


def __getattr__(name: str) -> Any:
    # On demand, because --help must not wait for Ray.
    if name == "SearchSettings":
        from search.settings import SearchSettings

        return SearchSettings
    if name in __all__:
        from search import api as engine

        return getattr(engine, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
