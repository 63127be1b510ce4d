"""The model families: one file a family, with its search space, its BASELINE and the network it builds.

A module of this package is a family if its name does not begin with an underscore; it has a ``FAMILY``, and
nothing else needs to know of it. What families share is in `spaces.training`.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from data.errors import SettingsError

if TYPE_CHECKING:
    from spaces.training.family import Family


def names() -> list[str]:
    """Names of all families, sorted. Nothing is imported."""
    modules = pkgutil.iter_modules(__path__)
    return sorted(one.name for one in modules if not (one.ispkg or one.name.startswith("_")))


def get(name: str) -> Family:
    """Return the family of a name.

    Raises
    ------
    SettingsError
        If there is none of that name.
    """
    if name not in names():
        raise SettingsError(f"--family {name}: unknown; the families are {', '.join(names())}")
    family: Family = importlib.import_module(f"spaces.{name}").FAMILY
    return family
