"""Check that modules of the same name do not hide the packages of this project."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[1]


def require_own(importer: str, *packages: str) -> None:
    """Refuse to import a package of this project if other modules hide the packages that it needs.

    Parameters
    ----------
    importer : str
        Package that calls this function during its import.
    *packages : str
        Packages that the importer needs.

    Raises
    ------
    ImportError
        If a package would be imported from another place. The error has the importer's name, so that
        ``python -m`` prints it in one line.
    """
    for package in packages:
        spec = find_spec(package)
        if spec is None or spec.origin is None or Path(spec.origin).resolve().parent != _PROJECT / package:
            other = spec and (spec.origin or list(spec.submodule_search_locations or ()))
            raise ImportError(
                f"the package {package!r} of genre-search is hidden by {other}; use the command genre-search"
                " instead of python -m, or start in another folder",
                name=importer,
            )
