"""Check that the optional libraries of a command or option are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Mapping
from types import MappingProxyType

from data.errors import SettingsError

EXTRAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "search": (
            "tensorflow",
            "ray",
            "optuna",
            "cmaes",
            "librosa",
            "sklearn",
            "pandas",
            "pyarrow",
            "matplotlib",
            "plotly",
            "jinja2",
            "yaml",
        ),
        "dashboard": ("optuna_dashboard",),
        "gp": ("torch",),
        "mlflow": ("mlflow",),
        "onnx": ("onnx", "tf2onnx"),
        "serve": ("fastapi", "uvicorn", "multipart", "prometheus_client", "jinja2"),
        "tensorboard": ("tensorboardX",),
        "wandb": ("wandb",),
    }
)
"""Modules that the extras of ``pyproject.toml`` install, by extra."""

_MAX_NAMED = 3
"""Maximum number of missing modules to name."""


def missing_modules(extra: str) -> list[str]:
    """Return the modules of an extra that are not installed."""
    return [name for name in EXTRAS[extra] if importlib.util.find_spec(name) is None]


def check_installed(extra: str, *, option: str = "", modules: Collection[str] = ()) -> None:
    """Check that the modules of an extra of this package are installed.

    Parameters
    ----------
    extra : str
        Key of `EXTRAS`.
    option : str
        Option that needs them, for the message; empty if the whole command does.
    modules : collection of str
        Modules of the extra that are needed; by default, all.

    Raises
    ------
    SettingsError
        If a module is missing; the message names the extra.
    """
    missing = [name for name in missing_modules(extra) if not modules or name in modules]
    if missing:
        prefix = f"{option}: " if option else ""
        others = len(missing) - _MAX_NAMED
        names = ", ".join(missing[:_MAX_NAMED]) + (f" and {others} others are" if others > 0 else "")
        raise SettingsError(f"{prefix}{names} not installed; run: {install_command(extra)}")


def install_command(extra: str) -> str:
    """Return the command that installs an extra; it also works in a checkout that pip has installed."""
    return f"pip install 'genre-search[{extra}]'"
