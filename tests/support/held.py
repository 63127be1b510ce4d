"""Trials that pause (``python -m tests.support.held OPTIONS``), and trials that cannot save anything.

The command searches like ``search.run``, also with the numpy family ``softmax``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from search import driver as tuning
from search.tune import failures
from search.tune.trial import GenreTrial
from tests.support.softmax import main


class Held(GenreTrial):
    """A trial that saves every epoch and pauses at the epoch in the file ``until-NUMBER`` beside the run.

    The file ``actor-PID`` beside the run names its process: Ray changes the process's title with every call.
    """

    def setup(self, config: dict[str, Any], **options: Any) -> None:
        super().setup(config, **options)
        (self._beside / f"actor-{os.getpid()}").touch()

    @property
    def _beside(self) -> Path:
        return self._run.folder.local.parent

    def _advance(self, started: float) -> str:
        until = self._beside / f"until-{self._number}"
        while until.exists() and self._record.epoch >= int(until.read_text()):
            time.sleep(0.02)
        return super()._advance(float("-inf"))

    def _save_checkpoint(self, started: float) -> None:
        self._due = float("-inf")
        super()._save_checkpoint(started)


class Lost(GenreTrial):
    """A trial whose run cannot be reached, which it notices without retries."""

    def setup(self, config: dict[str, Any], **options: Any) -> None:
        failures.RETRY_SECONDS = (0.0, 0.0)
        super().setup(config, **options)

    def _save_predictions(self) -> None:
        raise OSError("AWS Error NETWORK_CONNECTION")


if __name__ == "__main__":
    tuning.GenreTrial = Held
    main()
