"""``genre-search COMMAND``: every command of the project under one name.

The commands are those of ``python -m data.prepare`` and so on. An installed script, unlike ``python -m``,
does not import from the current folder, so it also works where that folder has a ``data.py`` or a ``data/``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import version
from types import MappingProxyType
from typing import NamedTuple

import click


class _Entry(NamedTuple):
    module: str
    summary: str


_COMMANDS: Mapping[str, _Entry] = MappingProxyType(
    {
        "prepare": _Entry("data.prepare", "Extract features and spectrograms from audio into a cache."),
        "inspect": _Entry("data.inspect", "Show the content and the quality of a cache."),
        "demo": _Entry("data.demo", "Make the demo data set: synthetic music in ten styles."),
        "search": _Entry("search.run", "Search for the best configuration of a model family."),
        "leaderboard": _Entry("results.leaderboard", "Rank the trials of all runs, or compare two."),
        "report": _Entry("results.report", "Write an HTML report of one or several runs."),
        "export": _Entry("results.export", "Train and export the best model of a run or of all runs."),
        "predict": _Entry("results.predict", "Predict the genre of audio files with an exported model."),
        "serve": _Entry("results.serve", "Serve an exported model on a local web page."),
        "runs": _Entry("results.runs", "List, rename, delete and archive runs."),
        "dashboard": _Entry("results.dashboard", "Show the study of a run in Optuna's dashboard."),
    }
)
"""Commands in the order of their use; the summaries let ``--help`` answer without importing any of them."""


class _LazyGroup(click.Group):
    """A group that imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of the commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if no command has that name."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name].module).main
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names and summaries of the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with; an unknown name is answered with the known ones."""
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no command {args[0]!r}; the commands are {', '.join(_COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("genre-search"), prog_name="genre-search")
def main() -> None:
    """Find the best model and settings for classifying music by genre.

    Every command has --help. Start with "genre-search search --family features_mlp", which searches on the
    demo data set, and "genre-search leaderboard".
    """


if __name__ == "__main__":
    main()
