"""The tables of a run, taken from its study: one source, and one way from it to ``trials.parquet``."""

from __future__ import annotations

import contextlib
import math
import time
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState
from ray.tune import Callback
from ray.tune.experiment import Trial

from search.storage.checkpoint import remove_checkpoint
from search.storage.journal_mirror import JournalMirror
from search.storage.run_folder import HISTORY_COLUMNS, TRIAL_COLUMNS, RunFolder
from search.storage.study import configuration
from search.tune.optuna_searcher import CURVE, TruthfulOptunaSearch
from search.tune.trial import OOM, SUSPENDED, TRIAL_NUMBER

SECONDS = "seconds"
"""Attribute of the study: how long its search has taken, all sittings together."""
_TELL_SECONDS = 10.0
"""The study is told so as often."""
_REWRITE_SECONDS = 2.0
"""The tables are rewritten at most this often, because each rewrite is whole."""
_REWRITE_SHARE = 0.03
"""Share of the driver's time that this may take, however many trials there are."""

_NO_MEMORY = ("low on memory", "outofmemory", "out of memory")
"""What Ray says of a worker that was killed to free memory."""

_NUMBERS = (
    "epochs",
    "best_epoch",
    "val_accuracy",
    "val_loss",
    "val_macro_f1",
    "train_accuracy",
    "params",
    "seconds",
)


def trials_table(trials: list[FrozenTrial]) -> pd.DataFrame:
    """One row a trial, in the order of suggestion: `TRIAL_COLUMNS`, then ``config.*`` sorted by name."""
    rows = [_row(trial) for trial in trials]
    configured = sorted({key for row in rows for key in row if key.startswith("config.")})
    frame = pd.DataFrame(rows, columns=[*TRIAL_COLUMNS, *configured])
    return frame.astype(dict.fromkeys(_NUMBERS, "float64")).astype({"epochs": "int64"})


def _row(trial: FrozenTrial) -> dict[str, Any]:
    attributes = trial.user_attrs
    row = {name: attributes.get(name) for name in TRIAL_COLUMNS}
    # A trial whose worker was killed for memory goes on from its checkpoint, and fails only if it is again.
    failed = trial.state == TrialState.FAIL
    row["status"] = OOM if failed and attributes.get("outcome") == OOM else trial.state.name
    row["epochs"] = attributes.get("epochs", len(trial.intermediate_values))
    row["error"] = attributes.get("error") or None
    if failed:
        row.update(
            dict.fromkeys(("best_epoch", "val_accuracy", "val_loss", "val_macro_f1", "train_accuracy"))
        )
    return row | {f"config.{key}": value for key, value in configuration(trial).items()}


def history_table(trials: list[FrozenTrial]) -> pd.DataFrame:
    """One row an epoch of a trial: `HISTORY_COLUMNS`."""
    rows = [
        {"trial_id": trial.user_attrs["trial_id"], **epoch}
        for trial in trials
        for epoch in trial.user_attrs.get(CURVE, ())
    ]
    return pd.DataFrame(rows, columns=list(HISTORY_COLUMNS)).astype({"epoch": "int64"})


def write_tables(run: RunFolder, study: optuna.Study) -> None:
    """Write ``trials.parquet`` and ``history.parquet`` of a run as its study stands."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if "trial_id" in trial.user_attrs]
    run.write_tables(trials_table(trials), history_table(trials))


def killed_for_memory(trial: Trial) -> bool:
    """Whether Ray's memory monitor ended a trial's worker; of the system's own nobody hears."""
    if not trial.error_file or not Path(trial.error_file).exists():
        return False
    said = Path(trial.error_file).read_text(errors="replace").lower()
    return any(words in said for words in _NO_MEMORY)


class Recorder(Callback):
    """Rewrites the tables as trials end.

    Parameters
    ----------
    run : RunFolder
        Where to.
    searcher : TruthfulOptunaSearch
        Where from. Its study is told, as the attribute `SECONDS`, how long the search has taken, for the day
        when it is killed.
    seconds : float
        How long it had taken when this sitting began.
    """

    def __init__(self, run: RunFolder, searcher: TruthfulOptunaSearch, *, seconds: float = 0.0) -> None:
        self._run = run
        self._searcher = searcher
        self._before = seconds
        self._begun = time.monotonic()
        self._due = 0.0
        self._told = -math.inf
        self._mirror = JournalMirror(run)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Tell the study how long the search takes; keep a copy of the journal in a bucket's run."""
        now = time.monotonic()
        if now > self._told + _TELL_SECONDS:
            self._told = now
            self._searcher.tell_study(SECONDS, self._before + now - self._begun)
        self._mirror.send_sometimes()

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record a trial that ended or was stopped."""
        self._end(trial)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note that a worker was killed for want of memory: what its trial ends with if it is again."""
        if killed_for_memory(trial):
            begun = self._searcher.study.get_trials(deepcopy=False)[trial.config[TRIAL_NUMBER]]
            optuna.trial.Trial(self._searcher.study, begun._trial_id).set_user_attr("outcome", OOM)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record a trial whose worker died for good."""
        self._end(trial)

    def _end(self, trial: Trial) -> None:
        if self._searcher.failure is not None:
            # The journal does not know of this end: the trial goes on from its checkpoint another time.
            return
        # A bucket that does not answer once is no fault of the trial: the search's end does all of it again.
        with contextlib.suppress(OSError):
            if (trial.last_result or {}).get("outcome") not in SUSPENDED:
                remove_checkpoint(self._run, trial.config[TRIAL_NUMBER])
            begun = time.monotonic()
            if begun > self._due:
                write_tables(self._run, self._searcher.study)
                ended = time.monotonic()
                self._due = ended + max(_REWRITE_SECONDS, (ended - begun) / _REWRITE_SHARE)
