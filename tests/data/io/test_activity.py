from __future__ import annotations

from pathlib import Path

import pytest

from data.io import activity
from data.io.activity import activities, listening, report_activity, shown_in
from data.io.folder import Folder


def test_a_worker_shows_what_it_does_until_it_has_done_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "_MIN_SECONDS", -1.0)
    folder = Folder.at(tmp_path)
    report_activity("nobody listens")
    with shown_in(folder):
        assert activities(folder) == []
        report_activity("1 of 9")
        report_activity("5 of 9")
        assert activities(folder) == ["5 of 9"]
        with shown_in(Folder.at("/proc/nowhere")):
            # A folder that cannot be written does not fail the work.
            report_activity("6 of 9")
    assert activities(folder) == []
    report_activity("nobody listens")


def test_texts_are_passed_on_now_and_then_only(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    monkeypatch.setattr(activity, "_last", -1e9)
    with listening(texts.append):
        for number in range(100):
            report_activity(f"{number} of 100")
    assert texts == ["0 of 100"]
