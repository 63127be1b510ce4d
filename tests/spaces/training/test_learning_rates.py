from __future__ import annotations

import numpy as np
import pytest

from spaces.training.learning_rates import SCHEDULES, learning_rates


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_epochs_of_a_schedule_form_one_curve(schedule: str) -> None:
    whole = learning_rates(schedule, 0.1, epoch=0, epochs=1, steps=40)
    parts = [learning_rates(schedule, 0.1, epoch=epoch, epochs=4, steps=10) for epoch in range(4)]
    assert np.concatenate(parts) == pytest.approx(whole)
    assert whole.dtype == np.float32
    assert whole[0] == pytest.approx(0.1)


def test_each_schedule_has_its_published_shape() -> None:
    assert learning_rates("constant", 0.1, epoch=3, epochs=4, steps=2) == pytest.approx([0.1, 0.1])
    assert learning_rates("cosine", 0.1, epoch=2, epochs=4, steps=1) == pytest.approx([0.05])
    assert learning_rates("exponential", 0.1, epoch=2, epochs=4, steps=1) == pytest.approx([0.01])


def test_epochs_after_the_horizon_keep_the_last_rate() -> None:
    assert learning_rates("cosine", 0.1, epoch=9, epochs=4, steps=2) == pytest.approx([0.0, 0.0], abs=1e-9)
    assert learning_rates("exponential", 0.1, epoch=9, epochs=4, steps=2) == pytest.approx([1e-3, 1e-3])


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="'step' is not one of constant"):
        learning_rates("step", 0.1, epoch=0, epochs=1, steps=1)
