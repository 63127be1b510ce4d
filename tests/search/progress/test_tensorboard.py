from __future__ import annotations

import time
from pathlib import Path

from ray.tune.experiment import Trial

from search.progress.tensorboard import TensorBoardEvents
from tests.support.waiting import wait_until


def test_events_are_written_while_the_search_runs(tmp_path: Path) -> None:
    trial = Trial("unknown", stub=True, trial_id="abc", config={"rate": 0.1})
    events = TensorBoardEvents(tmp_path / "ray")
    events.log_trial_result(0, trial, {"val_accuracy": 0.5, "training_iteration": 1})
    (event_file,) = (tmp_path / "ray" / "abc").glob("events.out.tfevents.*")
    size = event_file.stat().st_size
    events.log_trial_result(1, trial, {"val_accuracy": 0.6, "training_iteration": 2})
    # TensorBoard's writer uses another thread.
    wait_until(lambda: event_file.stat().st_size > size, what="the events of the second report")
    # A restarted trial gets a new file, whose name contains the second.
    size, second = event_file.stat().st_size, int(time.time())
    wait_until(lambda: int(time.time()) > second, what="the next second")
    events.log_trial_start(trial)
    events.log_trial_result(2, trial, {"val_accuracy": 0.7, "training_iteration": 3})
    events.log_trial_end(trial)
    (restarted,) = set((tmp_path / "ray" / "abc").iterdir()) - {event_file}
    assert event_file.stat().st_size >= size
    assert b"val_accuracy" in restarted.read_bytes()
