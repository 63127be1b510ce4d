"""Pass the events of Ray Tune on to the live view of the search, which replaces Tune's log."""

from __future__ import annotations

from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from data.dataset.scores import COLUMNS
from data.io.extras import install_command
from data.io.folder import Folder
from search.outcomes import FAIL, FAILED, OOM, RUNNING, SUSPENDED, status_of
from search.progress.search_view import SearchView
from search.progress.state import FamilyProgress, TrialLine
from search.tune.recorder import killed_for_memory
from search.tune.reports import EPOCHS, TRIAL_ID, TRIAL_NUMBER


class LiveView(Callback):
    """Show the trials of one family as they report and end.

    Parameters
    ----------
    view : SearchView
        The view of the search.
    progress : FamilyProgress
        The family in that view.
    folder : Folder
        Folder of the run, in which workers say what a long step is doing.
    """

    def __init__(self, view: SearchView, progress: FamilyProgress, folder: Folder) -> None:
        self._view = view
        self._progress = progress
        self._folder = folder
        self._curves: dict[str, list[float]] = {}
        self._ended: set[str] = set()
        self._warned = False

    def __getstate__(self) -> dict[str, Any]:
        # Tune writes its callbacks to a file, which nothing reads; a terminal cannot be written.
        return {}

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look now and then what trials that have not reported an epoch are doing."""
        waiting = any(trial.status == Trial.RUNNING and not _epoch(trial) for trial in trials)
        self._view.look(self._progress, self._folder, waiting=waiting)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Update a trial; warn once if TensorFlow sees no GPU."""
        column = COLUMNS[self._progress.metric]
        curve = self._curves.setdefault(trial.trial_id, [])
        rows = [row for row in result.get("curve", ()) if row.get(column) is not None]
        if rows and rows[0]["epoch"] == 1:
            # A restarted trial reports its epochs again.
            curve.clear()
        curve += [float(row[column]) for row in rows]
        self._progress.report(trial.trial_id, self._line(trial, result, RUNNING))
        if not result.get("sees_gpu", True) and not self._warned:
            self._warned = True
            self._view.print(
                f"TensorFlow sees no GPU on {result.get('hostname', 'a node')}, although trials reserve one,"
                " so they train on the CPU. Install the CUDA libraries there: " + install_command("gpu")
            )

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Count a trial that ended or was stopped."""
        self._end(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Count a trial whose worker was restarted too often."""
        self._end(trial)

    def _end(self, trial: Trial) -> None:
        result = trial.last_result or {}
        # After a failure of storage, the trial is resumed with the search.
        if trial.trial_id in self._ended or result.get("outcome") in SUSPENDED:
            return
        self._ended.add(trial.trial_id)
        status = status_of(result.get("outcome", RUNNING), ended=True, died=trial.status == Trial.ERROR)
        if status == FAIL and trial.status == Trial.ERROR and killed_for_memory(trial):
            status = OOM
        self._view.trial_ended(self._progress, trial.trial_id, self._line(trial, result, status))

    def _line(self, trial: Trial, result: dict[str, Any], status: str) -> TrialLine:
        score = None
        # A trial whose worker died too often has no score, whatever it reported.
        if result.get("epoch") and status not in FAILED:
            score = result.get(COLUMNS[self._progress.metric])
        config = {key: value for key, value in trial.config.items() if key not in (TRIAL_NUMBER, TRIAL_ID)}
        return TrialLine(
            number=int(trial.config.get(TRIAL_NUMBER, -1)),
            status=status,
            epoch=int(result.get("epoch", 0)),
            epochs=int(config.get(EPOCHS, 0)),
            score=None if score is None else float(score),
            curve=tuple(self._curves.get(trial.trial_id, ())),
            config=config,
        )


def _epoch(trial: Trial) -> int:
    return int((trial.last_result or {}).get("epoch", 0))
