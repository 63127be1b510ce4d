"""TensorFlow without the lines that it writes to standard error while it is imported."""

from __future__ import annotations

import os
import sys
import tempfile


def import_keras() -> None:
    """Import Keras and TensorFlow, silently unless that fails.

    Some of the lines come before TensorFlow's own logging is set up, and obey no setting: standard error
    itself is turned away for the time of the import.
    """
    if "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            import keras  # noqa: F401
        except BaseException:
            aside.seek(0)
            os.write(kept, aside.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
