"""The consoles for standard output and standard error."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@cache
def out() -> Console:
    """Console for results, on standard output."""
    from rich.console import Console

    # Names of tracks and runs may contain brackets, such as "[remix]", which are not markup.
    return Console(markup=False, emoji=False)


@cache
def err() -> Console:
    """Console for progress and notices, on standard error."""
    from rich.console import Console

    return Console(stderr=True, markup=False, emoji=False)
