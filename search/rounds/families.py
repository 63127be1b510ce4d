"""The families that ``--family`` names: one, a list, or ``all``."""

from __future__ import annotations

import spaces
from data.errors import SettingsError

ALL = "all"


def requested_families(text: str) -> list[str]:
    """Return the families that ``--family`` names, in that order, each once.

    Parameters
    ----------
    text : str
        A family, several separated by commas, or ``all``.

    Raises
    ------
    SettingsError
        If a name is unknown or missing.
    """
    known = spaces.names()
    if text.strip() == ALL:
        return known
    families = [part.strip() for part in text.split(",")]
    for family in families:
        if family not in known:
            what = f"{family!r} is unknown" if family else "a name is missing"
            raise SettingsError(
                f"--family {text}: {what}; give {ALL}, or some of {', '.join(known)}, separated by commas"
            )
    return list(dict.fromkeys(families))


def is_several(text: str) -> bool:
    """Return whether ``--family`` names more than one family."""
    return text.strip() == ALL or "," in text
