"""The search: one trial, the tuner around it, the command line.

Examples
--------
>>> from search import SearchSettings, run_search
>>> run = run_search(SearchSettings(family="features_mlp", trials=2, max_epochs=3))  # doctest: +SKIP
>>> run.trials()[["status", "val_accuracy"]]  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.engine import run_search
    from search.settings import SearchSettings

__all__ = ["SearchSettings", "run_search"]


def __getattr__(name: str) -> Any:
    # On demand, because --help must not wait for Ray.
    if name == "run_search":
        from search.engine import run_search

        return run_search
    if name == "SearchSettings":
        from search.settings import SearchSettings

        return SearchSettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
