from __future__ import annotations

import copy
import io
import pickle
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from data.io.activity import report_activity, shown_in
from data.io.folder import Folder
from search.progress import live_view, stages
from search.progress.live_view import FamilyLine, LiveView
from search.progress.stages import Stages


def trial(number: int, accuracy: float, epoch: int, outcome: str = "RUNNING") -> Any:
    return SimpleNamespace(
        trial_id=f"t{number}",
        config={"trial_number": number},
        status="RUNNING",
        last_result={"val_accuracy": accuracy, "epoch": epoch, "outcome": outcome},
    )


def started_view(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, budget: float | None = None) -> LiveView:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    monkeypatch.setattr(live_view, "err", lambda: console)
    view = LiveView("night", trials=4, time_budget=budget)
    view.setup(total_num_samples=4)
    return view


def drawn_text(view: LiveView) -> str:
    view.on_experiment_end([])
    file = view._console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_a_terminal_shows_counts_and_the_best_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    view = started_view(monkeypatch, terminal=True)
    trials = [
        trial(0, 0.71, 30, "COMPLETE"),
        trial(1, 0.52, 25),
        trial(2, 0.0, 1, "FAIL"),
        trial(3, 0.78, 40),
        SimpleNamespace(trial_id="t4", config={"trial_number": 4}, status="PENDING", last_result={"pid": 1}),
    ]
    for ended in trials[:3]:
        view.on_trial_complete(1, trials, ended)
    view.on_trial_result(2, trials, trials[3], {})
    view._live.refresh()
    text = drawn_text(view)
    assert "night" in text
    assert "3/4" in text
    assert "1 running; 1 complete, 1 failed, 1 stopped" in text
    assert text.rindex("78.0%") < text.rindex("71.0%")
    assert "BASELINE" in text


def test_without_a_terminal_each_ended_trial_prints_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    view = started_view(monkeypatch, terminal=False)
    trials = [trial(0, 0.71, 30, "COMPLETE"), trial(1, 0.52, 25)]
    view.on_trial_result(1, trials, trials[0], {})
    view.on_trial_complete(1, trials, trials[0])
    view.on_trial_complete(1, trials, trials[1])
    lines = drawn_text(view).splitlines()
    assert lines[0].startswith("trial 0 complete after 30 epochs: 71.0%; best 71.0%; 1/4 done")
    assert lines[1].startswith("trial 1 stopped after 25 epochs: 52.0%; best 71.0%; 2/4 done")
    assert len(lines) == 2


def test_a_dead_worker_counts_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    view = started_view(monkeypatch, terminal=False)
    dead = trial(1, 0.3, 2)
    dead.status = "ERROR"
    view.on_trial_error(1, [dead], dead)
    assert "trial 1 failed after 2 epochs: 0.0%; best 0.0%" in drawn_text(view)


def test_the_time_left_is_limited_by_the_time_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    view = started_view(monkeypatch, terminal=False, budget=0.0)
    assert view._left() == "?"
    view.on_trial_complete(1, [trial(0, 0.5, 3)], trial(0, 0.5, 3))
    assert view._left() == "0:00"
    view.on_experiment_end([])


def test_tune_can_pickle_the_view_while_it_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    view = started_view(monkeypatch, terminal=True)
    copied = copy.deepcopy(view)
    view.on_experiment_end([])
    copied.setup()
    copied.on_experiment_end([])
    assert copied._title == "night"


def test_a_gpu_that_tensorflow_does_not_see_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    view = started_view(monkeypatch, terminal=False)
    for sees, host in ((True, "a"), (False, "b"), (False, "c")):
        view.on_trial_result(1, [], trial(0, 0.5, 1), {"sees_gpu": sees, "hostname": host})
    text = " ".join(drawn_text(view).split())
    assert text.count("TensorFlow sees no GPU on") == 1
    assert "no GPU on b, although trials reserve one" in text


def test_long_steps_and_families_are_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), force_terminal=False, width=100)
    monkeypatch.setattr(live_view, "err", lambda: console)
    families = [FamilyLine("vgg16_transfer", 0, None, "training"), FamilyLine("softmax", 12, 0.75, "stopped")]
    view = LiveView("night", trials=4, time_budget=None, families=families, folder=Folder.at(tmp_path))
    view = pickle.loads(pickle.dumps(view))
    view.setup(total_num_samples=4)
    with shown_in(Folder.at(tmp_path)):
        report_activity("80 of 300 pictures")
        waiting = SimpleNamespace(
            trial_id="t0", config={"trial_number": 0}, status="RUNNING", last_result=None
        )
        view.on_step_begin(1, [waiting])  # type: ignore[list-item]
        view.on_step_begin(1, [waiting])  # type: ignore[list-item]
    view.on_trial_complete(1, [trial(0, 0.5, 3)], trial(0, 0.5, 3, "COMPLETE"))
    console.print(view._drawing())
    text = drawn_text(view)
    assert text.count("80 of 300 pictures") == 2
    assert "vgg16_transfer: trial 0 complete after 3 epochs: 50.0%" in text
    assert re.search(r"softmax +12 +75\.0% +stopped", text)


@pytest.mark.parametrize("terminal", [True, False])
def test_stages_before_the_first_trial(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    monkeypatch.setattr(stages, "err", lambda: console)
    with Stages() as stage:
        stage("Reading the data")
        stage("Starting Ray")
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "Starting Ray ..." in text or terminal
    assert (text == "Reading the data ...\nStarting Ray ...\n") != terminal
    # Another live view can be drawn afterwards.
    console.status("next").start()
