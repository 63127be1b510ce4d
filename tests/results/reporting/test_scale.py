from __future__ import annotations

from typing import Any

import pytest

from results.reporting.scale import Scale

_LOG = {"name": "FloatDistribution", "attributes": {"log": True}}
_INT = {"name": "IntDistribution", "attributes": {"log": False}}
_FLOAT = {"name": "FloatDistribution", "attributes": {"log": False}}


@pytest.mark.parametrize(
    ("values", "distribution", "labels"),
    [
        ([0.00013, 0.07], _LOG, ["0.0003", "0.001", "0.003", "0.01", "0.03"]),
        ([0.0121, 0.93], _LOG, ["0.03", "0.1", "0.3"]),
        ([11, 503], _INT, ["100", "200", "300", "400", "500"]),
        ([1, 3], _INT, ["1", "2", "3"]),
        ([0.0133, 0.4712], _FLOAT, ["0.1", "0.2", "0.3", "0.4"]),
        (["relu", "gelu"], None, ["gelu", "relu"]),
    ],
)
def test_ticks_are_round_numbers(
    values: list[Any], distribution: dict[str, Any] | None, labels: list[str]
) -> None:
    scale = Scale.of("x", values, distribution)
    ticks = scale.ticks()
    assert [text for _, text in ticks] == labels
    assert all(0 <= position <= 1 for position, _ in ticks)


def test_choices_and_ends_have_their_places() -> None:
    scale = Scale.of("x", [1e-4, 1e-2], _LOG)
    assert [scale.place(value) for value in (1e-4, 1e-3, 1e-2)] == pytest.approx([0, 0.5, 1])
    assert not Scale.of("x", [3, 3], _INT).varies
