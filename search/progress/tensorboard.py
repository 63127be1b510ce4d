"""TensorBoard's events where they can be looked at while the search runs."""

from __future__ import annotations

from pathlib import Path

from ray.tune.experiment import Trial
from ray.tune.logger import TBXLoggerCallback
from tensorboardX import SummaryWriter

_FLUSH_SECONDS = 10


class TensorBoardEvents(TBXLoggerCallback):
    """Writes a trial's events to a folder that stays.

    Ray's own callback writes them to its session, from where they come to the run with Tune's snapshots:
    once an hour as this program sets them, and never if the driver is killed.

    Parameters
    ----------
    folder : Path
        Gets a folder a trial.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def log_trial_start(self, trial: Trial) -> None:
        """Begin a file of events; a trial that is restarted gets another."""
        if trial in self._trial_writer:
            self._trial_writer[trial].close()
        place = str(self._folder / trial.trial_id)
        self._trial_writer[trial] = SummaryWriter(place, flush_secs=_FLUSH_SECONDS)
        self._trial_result[trial] = {}
