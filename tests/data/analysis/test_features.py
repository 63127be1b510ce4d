from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.analysis.chroma import chroma_bank
from data.analysis.feature_names import FEATURES
from data.analysis.features import extract
from data.analysis.kinds import FEATURE_KIND
from data.analysis.parameters import Parameters
from data.analysis.segments import of_file
from data.analysis.stft import Spectrum

SR = 22050
TOLERANCE = dict.fromkeys(FEATURES, 1e-5) | {"harmony_mean": 2e-4, "perceptr_mean": 2e-4, "rolloff_var": 1e-4}
"""Maximum relative difference; single-precision rounding explains it."""


def song(seconds: float = 12.0, seed: int = 0) -> np.ndarray:
    """Synthesise noise bursts at 100 per minute over detuned chords."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * SR)) / SR
    y = sum(
        np.sin(2 * np.pi * hz * time + rng.uniform(0, 6)) / (n + 1)
        for n, hz in enumerate([222.5, 280.3, 333.6, 667.1, 1501.0])
    )
    y = y * (0.6 + 0.4 * np.sin(2 * np.pi * 0.3 * time)) + 0.02 * rng.normal(size=len(time))
    y += rng.normal(size=len(time)) * np.exp(-30 * (time % 0.6))
    return (0.2 * y).astype(np.float32)


def librosa_features(y: np.ndarray) -> np.ndarray:
    """Compute the published features by separate librosa calls."""
    import librosa
    from librosa import feature

    mirrored = {"y": y, "pad_mode": "reflect"}
    D = librosa.stft(y, pad_mode="reflect")
    H, P = librosa.decompose.hpss(D)  # type: ignore[attr-defined]
    series = {
        "chroma_stft": feature.chroma_stft(sr=SR, **mirrored),
        "rms": feature.rms(**mirrored),
        "spectral_centroid": feature.spectral_centroid(sr=SR, **mirrored),
        "spectral_bandwidth": feature.spectral_bandwidth(sr=SR, **mirrored),
        "rolloff": feature.spectral_rolloff(sr=SR, **mirrored),
        "zero_crossing_rate": feature.zero_crossing_rate(y),
        "harmony": librosa.util.fix_length(librosa.istft(H), size=len(y)),
        "perceptr": librosa.util.fix_length(librosa.istft(P), size=len(y)),
    }
    mfcc = feature.mfcc(sr=SR, n_mfcc=20, **mirrored)
    series |= {f"mfcc{n + 1}": row for n, row in enumerate(mfcc)}
    onsets = librosa.onset.onset_strength(y=y, sr=SR, aggregate=np.median)  # type: ignore[attr-defined]
    values = {"tempo": float(feature.tempo(onset_envelope=onsets, sr=SR)[0])}
    for name, row in series.items():
        values |= {f"{name}_mean": float(np.mean(row)), f"{name}_var": float(np.var(row))}
    return np.array([values[name] for name in FEATURES])


def assert_close(actual: np.ndarray, expected: np.ndarray) -> None:
    errors = np.abs(actual - expected) / np.maximum(np.abs(expected), 1e-9)
    too_large = {
        name: error for name, error in zip(FEATURES, errors, strict=True) if not error <= TOLERANCE[name]
    }
    assert not too_large


def test_every_feature_equals_that_of_librosa() -> None:
    y = song()
    assert_close(extract(y), librosa_features(y))


def test_the_ten_real_tracks_equal_the_published_table(shared: Path) -> None:
    published = pd.read_csv(shared / "gtzan" / "features_30_sec.csv").set_index("filename")
    paths = sorted((shared / "gtzan" / "genres_original").glob("*/*.wav"))
    assert len(paths) == 10
    for path in paths:
        X, start_s = of_file(path, Parameters(), FEATURE_KIND)
        assert X.shape == (1, 57)
        assert start_s.tolist() == [0]
        assert_close(X[0], published.loc[f"{path.stem}.au", list(FEATURES)].to_numpy(float))


def test_silence_gives_finite_features_and_no_tempo() -> None:
    values = dict(zip(FEATURES, extract(np.zeros(SR, dtype=np.float32)), strict=True))
    assert np.isfinite(list(values.values())).all()
    assert values["tempo"] == 0
    assert values["mfcc1_mean"] == pytest.approx(-1131.37, abs=0.01)


def test_one_frame_is_enough() -> None:
    assert np.isfinite(extract(song(1)[:2048])).all()


@pytest.mark.parametrize("tuning", [-0.5, 0.0, 0.13])
def test_the_chroma_bank_equals_librosas(tuning: float) -> None:
    import librosa

    expected = librosa.filters.chroma(sr=SR, n_fft=2048, tuning=tuning)  # type: ignore[attr-defined]
    np.testing.assert_allclose(chroma_bank(SR, 2048, tuning), expected, rtol=1e-5, atol=1e-8)


def test_the_transform_equals_librosas() -> None:
    import librosa

    y = song(2)
    np.testing.assert_allclose(Spectrum.of(y).D.T, librosa.stft(y, pad_mode="reflect"), rtol=1e-4, atol=2e-4)
