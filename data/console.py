"""The class of all commands (``--debug``, one-line errors, exit status 2), and the consoles."""

from __future__ import annotations

from typing import Any

import click

from data.errors import HarnessError
from data.io.extras import check_installed
from data.io.folder import printable
from data.io.home import use_scratch_for_home
from data.io.s3_errors import bucket_failure
from data.io.terminal import err, out

__all__ = ["Command", "err", "out"]


_DEBUG = "genre_search.debug"


def _remember_debug(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    ctx.meta[_DEBUG] = value


class _BadInput(click.ClickException):
    exit_code = 2


class Command(click.Command):
    """A click command that turns a `HarnessError` into one line on standard error and exit status 2.

    Each command has the option ``--debug``, which shows the traceback instead. Usage:
    ``@click.command(cls=Command)``, or ``@click.command(cls=Command, extra="search")`` for a command that
    needs more than the installation without extras; see `data.io.extras`.
    """

    def __init__(self, *args: Any, extra: str | None = None, **kwargs: Any) -> None:
        self._extra = extra
        kwargs.setdefault("context_settings", {"help_option_names": ["-h", "--help"], "show_default": True})
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                expose_value=False,
                callback=_remember_debug,
                help="Show the traceback of an error.",
            )
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; that a library is missing is reported rather than a wrong argument."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as usage_error:
            try:
                self._check_extra()
            except HarnessError as error:
                raise _BadInput(str(error)) from usage_error
            raise

    def _check_extra(self) -> None:
        if self._extra is not None:
            check_installed(self._extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; report a `HarnessError` or a bucket's error in one line with exit status 2."""
        try:
            self._check_extra()
            use_scratch_for_home()
            return super().invoke(ctx)
        except (HarnessError, OSError) as error:
            cause = error if isinstance(error, HarnessError) else bucket_failure(error)
            if cause is None or ctx.meta[_DEBUG]:
                raise
            raise _BadInput(printable(" ".join(str(cause).split()))) from error
