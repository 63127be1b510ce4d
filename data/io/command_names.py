"""Names of the project's commands, as the user types them."""

from __future__ import annotations

import click


def command_name(module: str) -> str:
    """Return the name of a command, for messages that say what to run next.

    Parameters
    ----------
    module : str
        Module of the command, such as ``data.prepare`` or ``search.run``.

    Returns
    -------
    str
        ``genre-search prepare`` while a command of that group runs, otherwise ``python -m data.prepare``.
    """
    context = click.get_current_context(silent=True)
    root = context.find_root() if context is not None else None
    if root is None or not isinstance(root.command, click.Group) or str(root.info_name).startswith("python "):
        # Not a command of the group; `results.runs` is a group of its own.
        return f"python -m {module}"
    package, _, name = module.partition(".")
    return f"{root.info_name} {package if name == 'run' else name}"
