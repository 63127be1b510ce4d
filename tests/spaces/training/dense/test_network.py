from __future__ import annotations

import numpy as np
import pytest

from spaces.training.dense.network import NORMALISATIONS, Architecture


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("units", [(), (7,), (7, 5)])
def test_initial_weights_fit_the_keras_model(units: tuple[int, ...], normalisation: str) -> None:
    architecture = Architecture(4, 3, units, "gelu", normalisation)
    model = architecture.keras_model(input_dropout=0.1, dropout=0.2)
    initial = architecture.initial_weights(seed=0)
    assert [weight.shape for weight in initial] == [weight.shape for weight in model.get_weights()]
    trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert architecture.n_parameters == trained


def test_kernels_follow_glorots_rule() -> None:
    kernel, bias = Architecture(300, 100).initial_weights(seed=0)
    bound = np.sqrt(6 / 400)
    assert np.abs(kernel).max() <= bound
    assert kernel.std() == pytest.approx(bound / np.sqrt(3), rel=0.02)
    assert not bias.any()
