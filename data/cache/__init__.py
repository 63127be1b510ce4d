"""The Parquet cache of features and spectrograms.

Examples
--------
>>> from data.cache import Cache
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data.cache.cache import Cache

__all__ = ["Cache"]


def __getattr__(name: str) -> Any:
    # Imported on demand, because other modules of this package must not import the whole cache.
    if name == "Cache":
        from data.cache.cache import Cache

        return Cache
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
