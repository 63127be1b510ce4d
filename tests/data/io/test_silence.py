from __future__ import annotations

import os

import pytest

from data.io.silence import silent_stderr


def test_output_of_libraries_is_hidden(capfd: pytest.CaptureFixture[str]) -> None:
    with silent_stderr(replay=True):
        os.write(2, b"hidden\n")
    os.write(2, b"shown\n")
    assert capfd.readouterr().err == "shown\n"


@pytest.mark.parametrize(("replay", "text"), [(True, "reason\n"), (False, "")])
def test_hidden_output_is_replayed_after_an_error(
    capfd: pytest.CaptureFixture[str], replay: bool, text: str
) -> None:
    def fail() -> None:
        os.write(2, b"reason\n")
        raise ImportError

    with pytest.raises(ImportError), silent_stderr(replay=replay):
        fail()
    assert capfd.readouterr().err == text
