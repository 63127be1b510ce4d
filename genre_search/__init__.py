"""The console command ``genre-search`` and the search from Python, above the other packages.

>>> import genre_search
>>> result = genre_search.run_search("features_mlp", cache="cache/mine", trials=40)  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genre_search.result import SearchResult, run_search

__all__ = ["SearchResult", "run_search"]


def __getattr__(name: str) -> Any:
    # Imported on demand, because the command's --help must not wait for it.
    if name in __all__:
        from data.io.extras import check_installed

        check_installed("search")
        from genre_search import result

        return getattr(result, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
