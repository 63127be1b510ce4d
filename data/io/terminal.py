"""The consoles of standard output and standard error."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@cache
def out() -> Console:
    """Console of standard output: results."""
    from rich.console import Console

    # Names of tracks and runs are shown as they are: "[remix]" is not markup.
    return Console(markup=False, emoji=False)


@cache
def err() -> Console:
    """Console of standard error: progress and notices."""
    from rich.console import Console

    return Console(stderr=True, markup=False, emoji=False)
