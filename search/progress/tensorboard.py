"""TensorBoard events that can be viewed while the search runs."""

from __future__ import annotations

from pathlib import Path

from ray.tune.experiment import Trial
from ray.tune.logger import TBXLoggerCallback
from tensorboardX import SummaryWriter

_FLUSH_SECONDS = 10


class TensorBoardEvents(TBXLoggerCallback):
    """Write the events of trials directly into the run's folder.

    Ray's callback writes them to its session folder, from which they reach the run only with Tune's
    snapshots: once an hour here, and never if the driver is killed.

    Parameters
    ----------
    folder : Path
        Parent of one folder per trial.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def log_trial_start(self, trial: Trial) -> None:
        """Open an event file; a restarted trial gets a new one."""
        if trial in self._trial_writer:
            self._trial_writer[trial].close()
        place = str(self._folder / trial.trial_id)
        self._trial_writer[trial] = SummaryWriter(place, flush_secs=_FLUSH_SECONDS)
        self._trial_result[trial] = {}
