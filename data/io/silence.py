"""Silence libraries that write to the process's standard error directly."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

_STDERR = 2


@contextlib.contextmanager
def silent_stderr(*, replay: bool) -> Iterator[None]:
    """Hide everything that is written to standard error inside this context, by C++ code too.

    Parameters
    ----------
    replay : bool
        Whether to print the hidden text if the block fails.
    """
    sys.stderr.flush()
    original = os.dup(_STDERR)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), _STDERR)
        try:
            yield
        except BaseException:
            if replay:
                sys.stderr.flush()
                hidden.seek(0)
                os.write(original, hidden.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(original, _STDERR)
            os.close(original)
