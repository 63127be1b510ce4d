"""Keras and TensorFlow without the lines that they write, and the packages that they load, when imported."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, cast

_UNASKED = ("matplotlib", "sklearn")
"""Modules that Keras imports if installed, for features that this project does not use."""


def import_keras() -> None:
    """Import Keras and TensorFlow, silently unless that fails, and in a quarter less time.

    Some of the lines come before TensorFlow's own logging is set up, and obey no setting: standard error
    itself is turned away for the time of the import. What only Keras's own utilities would need is not
    imported; afterwards everybody can import it.
    """
    if "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            with _hidden(_UNASKED):
                import keras  # noqa: F401
        except BaseException:
            aside.seek(0)
            os.write(kept, aside.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextlib.contextmanager
def _hidden(names: tuple[str, ...]) -> Iterator[None]:
    """Let packages that are not imported yet seem not to be installed, inside this context."""
    hidden = [name for name in names if name not in sys.modules]
    # Python's own mark for what cannot be imported.
    cast(dict[str, Any], sys.modules).update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
