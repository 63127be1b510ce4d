"""Events of Tune in the live view, on a terminal and in a pipe."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from rich.console import Console

from data.dataset.scores import Metric
from data.io.activity import report_activity, shown_in
from data.io.folder import Folder
from search.progress import search_view
from search.progress.live_view import LiveView
from search.progress.search_view import SearchView
from search.progress.state import FamilyProgress


def trial(number: int, accuracy: float, epoch: int, outcome: str = "RUNNING") -> Any:
    result = {"val_accuracy": accuracy, "val_loss": 1 - accuracy, "epoch": epoch, "outcome": outcome}
    return SimpleNamespace(
        trial_id=f"t{number}",
        config={"trial_number": number, "trial_id": f"id{number}", "epochs": 40, "units": 64},
        status="RUNNING",
        last_result=result,
        error_file=None,
    )


@pytest.fixture
def text(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is printed where standard error is a pipe, 60 columns wide."""
    console = Console(file=io.StringIO(), force_terminal=False, width=60)
    monkeypatch.setattr(search_view, "err", lambda: console)
    assert isinstance(console.file, io.StringIO)
    return console.file


def view_of(
    folder: Path, *, metric: Metric = "accuracy", budget: float | None = None, before: float = 0.0
) -> tuple[SearchView, LiveView]:
    progress = FamilyProgress("night", "softmax", metric, total=4)
    view = SearchView("night", [progress], time_budget=budget, before=before)
    return view, LiveView(view, progress, Folder.at(folder))


def test_a_pipe_gets_one_unwrapped_line_per_ended_trial(tmp_path: Path, text: io.StringIO) -> None:
    view, live = view_of(tmp_path, budget=3600.0, before=600.0)
    trials = [trial(0, 0.71, 30, "COMPLETE"), trial(1, 0.52, 1), trial(2, 0.9, 9, "FAIL")]
    trials[2].last_result["outcome"] = "OOM"
    with view:
        live.on_trial_result(1, trials, trials[0], trials[0].last_result)
        for ended in trials:
            live.on_trial_complete(1, trials, ended)
        dead = trial(3, 0.95, 2)
        dead.status = "ERROR"
        live.on_trial_error(1, trials, dead)
        # Tune may report an end twice.
        live.on_trial_error(1, trials, dead)
    assert text.getvalue().splitlines() == [
        "night:0 COMPLETE after 30 epochs: 71.0 %; best 71.0 % (night:0); 1/4 trials; 0:00 left",
        "night:1 PRUNED after 1 epoch: 52.0 %; best 71.0 % (night:0); 2/4 trials; 0:00 left",
        "night:2 OOM after 9 epochs: no score; best 71.0 % (night:0); 3/4 trials; 0:00 left",
        "night:3 FAIL after 2 epochs: no score; best 71.0 % (night:0); 4/4 trials; 0:00 left",
    ]


def test_the_time_left_is_that_of_the_whole_budget(tmp_path: Path, text: io.StringIO) -> None:
    view, live = view_of(tmp_path, budget=3600.0, before=600.0)
    live._progress.total = None
    with view:
        live.on_trial_complete(1, [], trial(0, 0.5, 3, "COMPLETE"))
    assert text.getvalue() == (
        "night:0 COMPLETE after 3 epochs: 50.0 %; best 50.0 % (night:0); 1 trial; 50:00 left\n"
    )


def test_the_metric_of_the_run_is_shown_and_decides_what_is_best(tmp_path: Path, text: io.StringIO) -> None:
    view, live = view_of(tmp_path, metric="log_loss")
    with view:
        live.on_trial_complete(1, [], trial(0, 0.3, 3, "COMPLETE"))
        live.on_trial_complete(1, [], trial(1, 0.1, 3))
    lines = text.getvalue().splitlines()
    assert lines[1].startswith("night:1 PRUNED after 3 epochs: 0.900; best 0.700 (night:0); 2/4 trials")


def test_earlier_sessions_are_shown_first(tmp_path: Path, text: io.StringIO) -> None:
    study = optuna.create_study(direction="maximize")
    for number, accuracy in enumerate((0.5, 0.8, None, 0.6)):
        asked = study.ask()
        asked.set_user_attr("trial_id", f"id{number}")
        if accuracy is None:
            study.tell(asked, state=optuna.trial.TrialState.FAIL)
        elif number < 3:
            asked.set_user_attr("val_accuracy", accuracy)
            asked.set_user_attr("epochs", 7)
            study.tell(asked, accuracy)
    progress = FamilyProgress("night", "softmax", total=8)
    for _ in range(2):
        # Each round reads the whole study.
        progress.read(study.get_trials())
    with SearchView("night", [progress]):
        pass
    assert text.getvalue() == ("night: 3 trials so far (2 COMPLETE, 1 FAIL); best 80.0 % (night:1)\n")
    assert progress.curve == [0.5, 0.8, 0.8]
    assert progress.missing == 5


def test_the_leader_of_several_families_is_named(tmp_path: Path, text: io.StringIO) -> None:
    families = [FamilyProgress(f"night-{name}", name) for name in ("softmax", "weak_softmax")]
    view = SearchView("night", families, time_budget=3600.0)
    lives = [LiveView(view, family, Folder.at(tmp_path)) for family in families]
    with view:
        view.start_round("softmax")
        lives[0].on_trial_complete(1, [], trial(0, 0.7, 3, "COMPLETE"))
        lives[1].on_trial_complete(1, [], trial(0, 0.4, 3, "COMPLETE"))
        view.stop_family("weak_softmax", "its best is surely below night-softmax:0")
        families[1].pause()
        # By scores on the tracks that both validated.
        view.leader = "night-weak_softmax"
        lives[0].on_trial_complete(2, [], trial(1, 0.6, 3, "COMPLETE"))
    lines = text.getvalue().splitlines()
    assert lines[1].endswith(
        "best 40.0 % (night-weak_softmax:0); leader 70.0 % (night-softmax:0); 1 trial; 1:00:00 left"
    )
    assert lines[2] == "weak_softmax gets no more trials: its best is surely below night-softmax:0"
    assert "; best 70.0 % (night-softmax:0); leader 40.0 % (night-weak_softmax:0); " in lines[3]
    assert (families[1].state, families[1].missing) == ("stopped", 0)


def test_a_restarted_trial_reports_its_curve_again(tmp_path: Path, text: io.StringIO) -> None:
    _, live = view_of(tmp_path)
    for epochs in ((1, 2), (3,), (1, 2, 3, 4)):
        curve = [{"epoch": epoch, "val_accuracy": epoch / 10} for epoch in epochs]
        running = trial(1, epochs[-1] / 10, epochs[-1])
        live.on_trial_result(1, [], running, {**running.last_result, "curve": curve})
    line = live._progress.running["t1"]
    assert (line.curve, line.epoch, line.epochs, line.score) == ((0.1, 0.2, 0.3, 0.4), 4, 40, 0.4)
    assert line.config == {"epochs": 40, "units": 64}


def test_a_suspended_trial_has_not_ended(tmp_path: Path, text: io.StringIO) -> None:
    view, live = view_of(tmp_path)
    with view:
        live.on_trial_complete(1, [], trial(0, 0.5, 3, "DISK_FULL"))
    assert text.getvalue() == ""
    assert live._progress.ended == []


def test_tune_can_pickle_the_view_while_it_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(search_view, "err", lambda: console)
    view, live = view_of(tmp_path)
    with view:
        live.on_trial_complete(1, [], trial(0, 0.5, 3, "COMPLETE"))
        assert pickle.loads(pickle.dumps(live)).__dict__ == {}
        copy.deepcopy(live)
        view._live.refresh()
    assert isinstance(console.file, io.StringIO)
    assert "night:0" in console.file.getvalue()


def test_a_gpu_that_tensorflow_does_not_see_is_reported_once(tmp_path: Path, text: io.StringIO) -> None:
    _, live = view_of(tmp_path)
    for sees, host in ((True, "a"), (False, "b"), (False, "c")):
        live.on_trial_result(1, [], trial(0, 0.5, 1), {"sees_gpu": sees, "hostname": host})
    (line,) = text.getvalue().splitlines()
    assert line.startswith("TensorFlow sees no GPU on b, although trials reserve one")


def test_long_steps_are_shown(tmp_path: Path, text: io.StringIO) -> None:
    view, live = view_of(tmp_path)
    with view, shown_in(Folder.at(tmp_path)):
        report_activity("80 of 300 pictures")
        waiting = SimpleNamespace(status="RUNNING", last_result=None)
        for _ in range(2):
            live.on_step_begin(1, [waiting])  # type: ignore[list-item]
    assert text.getvalue() == "80 of 300 pictures\n"
