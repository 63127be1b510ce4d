from __future__ import annotations

import numpy as np
import pytest
from librosa.filters import mel
from scipy.signal import get_window

from data.analysis import mel_filters as module
from data.analysis.mel_filters import mel_filters, slaney_filters
from data.analysis.stft import hann_window

PARAMETERS = [
    {"sr": 22050, "n_fft": 2048, "n_mels": 128, "fmin": 0.0, "fmax": 11025.0},
    {"sr": 16000, "n_fft": 512, "n_mels": 96, "fmin": 0.0, "fmax": 8000.0},
    {"sr": 44100, "n_fft": 4096, "n_mels": 256, "fmin": 20.0, "fmax": 16000.0},
    {"sr": 8000, "n_fft": 256, "n_mels": 20, "fmin": 1200.0, "fmax": 4000.0},
    {"sr": 22050, "n_fft": 2048, "n_mels": 10, "fmin": 0.0, "fmax": 800.0},
]


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_the_filters_are_bit_by_bit_those_of_librosa(parameters: dict[str, float]) -> None:
    expected = mel(**parameters)
    filters = slaney_filters(**parameters)
    assert filters.dtype == expected.dtype == np.float32
    assert np.array_equal(filters, expected)
    assert np.array_equal(mel_filters(**parameters), expected)


def test_without_librosa_the_filters_are_computed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = mel_filters(**PARAMETERS[0])
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    monkeypatch.setattr("librosa.filters.mel", None)
    assert np.array_equal(mel_filters(**PARAMETERS[0]), expected)


@pytest.mark.parametrize("n", [256, 344, 345, 2048])
def test_the_window_is_bit_by_bit_that_of_scipy(n: int) -> None:
    assert np.array_equal(hann_window(n), get_window("hann", n))
