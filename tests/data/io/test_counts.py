from __future__ import annotations

import pytest

from data.io.counts import counted


@pytest.mark.parametrize(("number", "text"), [(0, "0 trials"), (1, "1 trial"), (2, "2 trials")])
def test_a_single_thing_is_in_the_singular(number: int, text: str) -> None:
    assert counted(number, "trial") == text
