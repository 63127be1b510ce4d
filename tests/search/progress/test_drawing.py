"""The drawing of a search at several sizes of the terminal."""

from __future__ import annotations

import pytest
from rich.console import Console

from data.dataset.scores import Metric
from search.progress.drawing import Frame, draw
from search.progress.state import STOPPED, FamilyProgress, TrialLine, seconds_left

FRAME = Frame(title="night", passed=754.0, left=2846.0, time_budget=3600.0)


def line(number: int, score: float | None, status: str = "COMPLETE", epoch: int = 30) -> TrialLine:
    curve = tuple(0.1 + 0.01 * each for each in range(epoch))
    config = {"units_1": 64, "learning_rate": 0.00123, "scaler": "quantile", "epochs": 30, "dropout": 0.25}
    return TrialLine(number, status, epoch, 30, score, curve, config)


def family(
    name: str, scores: list[float | None], running: int = 0, metric: Metric = "accuracy"
) -> FamilyProgress:
    progress = FamilyProgress(f"night-{name}", name, metric)
    for number, score in enumerate(scores):
        progress.end(f"t{number}", line(number, score, "FAIL" if score is None else "COMPLETE"))
    for number in range(len(scores), len(scores) + running):
        progress.report(f"t{number}", line(number, 0.3 + 0.01 * number, "RUNNING", 7))
    return progress


def drawn(families: list[FamilyProgress], width: int, height: int = 24, frame: Frame = FRAME) -> list[str]:
    console = Console(width=width, height=height, force_terminal=False, record=True)
    with console.capture() as capture:
        console.print(draw(families, frame, width=width, height=height))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= width
    return [line.rstrip() for line in lines]


def families() -> list[FamilyProgress]:
    weak = family("weak_softmax", [0.2, 0.22])
    weak.state, weak.reason = STOPPED, "its best is surely below night-softmax:2"
    return [family("softmax", [0.4, 0.5, 0.7, None, 0.6], running=12), weak, family("melspec_cnn", [])]


def test_80_columns_show_the_families_and_the_running_trials() -> None:
    lines = drawn(families(), 80)
    assert lines[0].startswith("night")
    assert lines[0].endswith("7 trials; 12:34 passed of 1:00:00, 47:26 left")
    assert lines[1].split() == ["family", "trials", "best", "accuracy", "trial", "state", "best", "so", "far"]
    softmax = lines[2].split()
    assert softmax[:6] == ["softmax", "5", "70.0", "%", "night-softmax:2", "training"]
    assert softmax[6] == "▁▃███"
    weak = lines[3].split()
    assert weak[:6] == ["weak_softmax", "2", "22.0", "%", "night-weak_softmax:1", "stopped"]
    assert lines[4].split() == ["melspec_cnn", "0", "-", "waiting"]
    assert lines[5].split() == ["trial", "status", "epoch", "accuracy", "by", "epoch"]
    trials = [text.split() for text in lines[6:]]
    assert trials[0] == ["night-softmax:5", "RUNNING", "7/30", "35.0", "%", "▁▂▃▅▆▇█"]
    assert [row[1] for row in trials].count("RUNNING") == 8
    # Then the best of those that ended.
    assert [row[0] for row in trials[8:]] == [f"night-softmax:{number}" for number in (2, 4, 1, 0)] + [
        "night-weak_softmax:1"
    ]
    assert not any("units_1" in text for text in lines)


def test_140_columns_show_more_than_80() -> None:
    narrow, wide = drawn(families(), 80, 50), drawn(families(), 140, 50)
    assert "5 (4 COMPLETE, 1 FAIL)" in wide[2]
    assert sum("RUNNING" in text for text in wide) == 12 > sum("RUNNING" in text for text in narrow)
    assert "dropout=0.25 learning_rate=0.00123 scaler=quantile units_1=64" in "\n".join(wide)
    many = family("softmax", [0.3 + 0.001 * number for number in range(200)])
    blocks = [sum(character in "▁▂▃▄▅▆▇█" for character in drawn([many], width)[2]) for width in (80, 140)]
    assert 10 <= blocks[0] < blocks[1]


def test_a_low_terminal_keeps_the_families() -> None:
    lines = drawn(families(), 80, 14)
    assert len(lines) <= 14
    assert sum("RUNNING" in text for text in lines) >= 4


def test_long_names_are_shortened_where_they_do_not_fit() -> None:
    search = "search-20261128-105251-ab12"
    progress = FamilyProgress(f"{search}-embedding_mlp", "embedding_mlp")
    progress.end("a", line(17, 0.7))
    frame = Frame(title=search, passed=1.0, left=None)
    narrow, wide = drawn([progress], 70, frame=frame), drawn([progress], 140, frame=frame)
    assert narrow[2].split()[4] == ":17"
    assert narrow[4].split()[0] == "embedding_mlp:17"
    assert wide[2].split()[6] == f"{search}-embedding_mlp:17"


def test_a_log_loss_is_a_number_and_lower_is_better() -> None:
    lines = drawn([family("softmax", [1.2, 0.8, 1.0], metric="log_loss")], 80)
    assert "best log loss" in lines[1]
    softmax = lines[2].split()
    assert softmax[2:4] == ["0.800", "night-softmax:1"]
    assert softmax[-1] == "▁███"
    assert [text.split()[3] for text in lines[4:]] == ["0.800", "1.000", "1.200"]


@pytest.mark.parametrize(
    ("total", "budget", "left"),
    [(None, None, None), (None, 100.0, 60.0), (10, None, 80.0), (10, 50.0, 10.0), (4, 100.0, 20.0)],
)
def test_the_time_left(total: int | None, budget: float | None, left: float | None) -> None:
    progress = family("softmax", [0.5, 0.6])
    progress.total = total
    # Two trials took 20 seconds; earlier sessions took 20.
    assert seconds_left([progress], passed=20.0, before=20.0, time_budget=budget) == left


def test_the_time_left_is_unknown_before_the_first_trial() -> None:
    progress = FamilyProgress("night", "softmax", total=5)
    assert seconds_left([progress], passed=20.0, before=0.0, time_budget=None) is None
    assert seconds_left([progress], passed=20.0, before=0.0, time_budget=50.0) == 30.0
