from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from data.io import progress, stages
from data.io.progress import counted_files
from data.io.stages import Stages


def screen(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> Console:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    for module in (stages, progress):
        monkeypatch.setattr(module, "err", lambda: console)
    return console


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_each_stage_is_shown(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    console = screen(monkeypatch, terminal=terminal)
    with Stages() as stage:
        stage("Reading the data")
        stage("Starting Ray")
    text = text_of(console)
    assert "Starting Ray ..." in text or terminal
    assert (text == "Reading the data ...\nStarting Ray ...\n") != terminal
    # Another live view can be drawn afterwards.
    console.status("next").start()


def test_a_long_stage_prints_a_line_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    console, now = screen(monkeypatch, terminal=False), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with counted_files("Analysing", 90) as advance:
        for _ in range(45):
            now[0] += 1
            advance(2)
    lines = text_of(console).splitlines()
    assert lines[:2] == ["Analysing ...", "Analysing ... 20 of 90 files"]
    assert len(lines) == 5


def test_files_are_counted_by_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    console = screen(monkeypatch, terminal=True)
    with counted_files("Analysing", 3) as advance:
        advance(2)
    assert "2/3" in text_of(console)


def test_nothing_is_said_of_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    console = screen(monkeypatch, terminal=False)
    with counted_files("Analysing", 0) as advance:
        advance(0)
    assert text_of(console) == ""
