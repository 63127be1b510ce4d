"""Check that the packages of this project are not hidden by modules of the same names."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[1]


def require_own(importer: str, *packages: str) -> None:
    """Refuse to import a package of ours while others that it needs are hidden.

    Parameters
    ----------
    importer : str
        Package that calls this while it is imported.
    *packages : str
        Packages that it imports.

    Raises
    ------
    ImportError
        If one of them would be imported from elsewhere. It has the importer's name, so that
        ``python -m`` prints it as one line.
    """
    for package in packages:
        spec = find_spec(package)
        if spec is None or spec.origin is None or Path(spec.origin).resolve().parent != _PROJECT / package:
            found = spec and (spec.origin or list(spec.submodule_search_locations or ()))
            raise ImportError(
                f"the package {package!r} of genre-search is hidden by {found}; use the command genre-search"
                " in place of python -m, or start in another folder",
                name=importer,
            )
