"""Templates of HTML pages: those of a package, and the base page and parts that all packages share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def page_templates(package: str) -> Environment:
    """Return the templates of a package, which may extend ``base.html`` and include its parts.

    Parameters
    ----------
    package : str
        Name of the package with the folder ``templates``.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    folders = [PackageLoader(name, "templates") for name in dict.fromkeys([package, "data"])]
    return Environment(loader=ChoiceLoader(folders), autoescape=True, undefined=StrictUndefined)
