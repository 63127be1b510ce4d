"""Model families, one file per family: its search space, its BASELINE and the network it builds.

Every module of this package is a family, unless its name begins with an underscore. It defines ``FAMILY``;
a new family needs no other change. Code that families share is in `spaces.training`.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from data.errors import SettingsError

if TYPE_CHECKING:
    from spaces.training.family import Family


def names() -> list[str]:
    """Return the names of all families, sorted, without importing them."""
    modules = pkgutil.iter_modules(__path__)
    return sorted(module.name for module in modules if not (module.ispkg or module.name.startswith("_")))


def get(name: str) -> Family:
    """Return the family with the given name.

    Raises
    ------
    SettingsError
        If no family has this name.
    """
    if name not in names():
        raise SettingsError(f"--family {name}: unknown; the families are {', '.join(names())}")
    family: Family = importlib.import_module(f"spaces.{name}").FAMILY
    return family
