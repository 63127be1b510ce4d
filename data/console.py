"""The click command class of all commands (``--debug``, one-line errors, exit status 2) and the consoles."""

from __future__ import annotations

from typing import Any

import click

from data.errors import HarnessError
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

    Each command gets ``--debug``, with which the traceback is shown instead. Use it as
    ``@click.command(cls=Command)``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
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

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; end with status 2 and one line at a `HarnessError` or a bucket's refusal."""
        try:
            use_scratch_for_home()
            return super().invoke(ctx)
        except (HarnessError, OSError) as error:
            cause = error if isinstance(error, HarnessError) else bucket_failure(error)
            if cause is None or ctx.meta[_DEBUG]:
                raise
            from data.io.folder import printable

            raise _BadInput(printable(" ".join(str(cause).split()))) from error
