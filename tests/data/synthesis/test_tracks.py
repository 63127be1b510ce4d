import numpy as np
import pytest

from data.synthesis.styles import GROOVES, SCALES, STYLES
from data.synthesis.tracks import SAMPLE_RATE, SECONDS, synthesise


@pytest.mark.parametrize("style", STYLES)
def test_every_style_has_sound_of_the_right_length(style):
    y = synthesise(style, seed=0, number=0)

    assert y.dtype == np.float32
    assert y.shape == (round(SECONDS * SAMPLE_RATE),)
    assert np.abs(y).max() <= 1
    assert np.sqrt(np.mean(y**2)) > 1e-3


def test_style_seed_and_number_determine_the_track():
    y = synthesise("funk", seed=3, number=1)

    np.testing.assert_array_equal(y, synthesise("funk", seed=3, number=1))
    for other in (("dub", 3, 1), ("funk", 4, 1), ("funk", 3, 2)):
        style, seed, number = other
        assert not np.array_equal(y, synthesise(style, seed=seed, number=number))


def test_random_draws_stay_within_bounds():
    for number in range(40):
        y = synthesise(list(STYLES)[number % len(STYLES)], seed=number, number=number)
        assert np.isfinite(y).all()
        assert np.abs(y).max() <= 1


def test_an_unknown_style_is_refused():
    with pytest.raises(KeyError, match="polka"):
        synthesise("polka", seed=0, number=0)


def test_styles_use_existing_grooves_and_scales():
    assert list(STYLES) == sorted(STYLES)
    assert len(STYLES) == 10
    for style in STYLES.values():
        assert set(style.rhythm.grooves) <= set(GROOVES)
        assert set(style.harmony.scales) <= set(SCALES)
        assert set(style.harmony.comping) <= {"pad", "beats", "offbeats", "arpeggio"}
    for parts in GROOVES.values():
        assert len({len(part) for part in parts}) == 1
