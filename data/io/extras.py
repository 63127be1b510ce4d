"""Check that the optional libraries of a command or option are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from data.errors import SettingsError


def check_installed(modules: Iterable[str], extra: str, *, option: str = "") -> None:
    """Check that the modules of an extra of this package are installed.

    Parameters
    ----------
    modules : iterable of str
        Names of the modules, such as ``onnxruntime``.
    extra : str
        Extra of ``pyproject.toml`` that installs them.
    option : str
        Option that needs them, for the message; empty if the whole command does.

    Raises
    ------
    SettingsError
        If a module is missing; the message names the extra.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        prefix = f"{option}: " if option else ""
        raise SettingsError(f"{prefix}{', '.join(missing)} not installed; run: {install_command(extra)}")


def install_command(extra: str) -> str:
    """Return the command that installs an extra; it also works in a checkout that pip has installed."""
    return f"pip install 'genre-search[{extra}]'"
