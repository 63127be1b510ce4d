from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from data.dataset import choice_correction
from data.dataset.choice_correction import correct_for_choice
from data.dataset.scores import METRICS, Metric, score, track_losses
from data.dataset.track_groups import TrackGroups

N_CLASSES = 4


def predictions(accuracy: list[float], truth: np.ndarray, seed: int) -> list[np.ndarray]:
    """Return one epoch per trial; each track is correct with the trial's probability."""
    rng = np.random.default_rng(seed)
    trials = []
    for share in accuracy:
        wrong = (truth + rng.integers(1, N_CLASSES, len(truth))) % N_CLASSES
        trials.append(np.where(rng.random(len(truth)) < share, truth, wrong).astype(np.uint8)[None])
    return trials


def test_the_best_of_equal_trials_is_corrected_to_their_accuracy() -> None:
    raw, corrected = [], []
    for seed in range(20):
        truth = np.random.default_rng(seed).integers(0, N_CLASSES, 200)
        trials = predictions([0.6] * 100, truth, seed)
        correction = correct_for_choice(trials, truth, TrackGroups.independent(200), n_classes=N_CLASSES)
        raw.append(correction.raw)
        corrected.append(correction.corrected)
    assert np.mean(raw) > 0.67
    assert np.mean(corrected) == pytest.approx(0.6, abs=0.01)


def test_one_trial_needs_no_correction() -> None:
    truth = np.random.default_rng(0).integers(0, N_CLASSES, 400)
    trials = predictions([0.7], truth, 0)
    correction = correct_for_choice(trials, truth, TrackGroups.independent(400), n_classes=N_CLASSES)
    assert correction.corrected == pytest.approx(correction.raw, abs=0.003)
    assert (correction.n_trials, correction.n_configurations, correction.epochs) == (1, 1, False)


def test_groups_are_not_separated() -> None:
    # Each trial is right on some of the few groups by chance, so the best is not better on other groups.
    rng = np.random.default_rng(0)
    groups = TrackGroups.of(np.repeat([f"g{number}" for number in range(12)], 20))
    truth = np.zeros(240, dtype=np.int64)
    by_group = [(rng.random(12) < 0.5)[groups.number] for _ in range(40)]
    trials = [np.where(right, 0, 1).astype(np.uint8)[None] for right in by_group]
    whole = correct_for_choice(trials, truth, groups, n_classes=N_CLASSES)
    by_track = correct_for_choice(trials, truth, TrackGroups.independent(240), n_classes=N_CLASSES)
    assert whole.corrected < by_track.corrected - 0.1


def test_the_choice_of_the_epoch_is_corrected_too() -> None:
    truth = np.random.default_rng(0).integers(0, N_CLASSES, 300)
    epochs = [np.concatenate(predictions([0.5] * 30, truth, seed)) for seed in range(10)]
    best = [np.array([max(trial, key=lambda epoch: float((epoch == truth).mean()))]) for trial in epochs]
    groups = TrackGroups.independent(300)
    with_epochs = correct_for_choice(epochs, truth, groups, n_classes=N_CLASSES)
    without = correct_for_choice(best, truth, groups, n_classes=N_CLASSES)
    assert with_epochs.epochs
    assert with_epochs.n_trials == without.n_trials == 10
    assert with_epochs.raw == without.raw
    assert with_epochs.corrected == pytest.approx(0.5, abs=0.03)
    assert with_epochs.corrected < without.corrected - 0.02


@pytest.mark.parametrize("metric", METRICS)
def test_the_raw_score_is_that_of_the_best_trial(metric: Metric) -> None:
    rng = np.random.default_rng(1)
    truth = np.sort(rng.integers(0, N_CLASSES, 90))
    models = 0.5 * rng.dirichlet(np.ones(N_CLASSES), (12, 90)) + 0.5 * np.eye(N_CLASSES)[truth]
    models = np.where(rng.random((12, 90, 1)) < 0.3, rng.dirichlet(np.ones(N_CLASSES), (12, 90)), models)
    if metric == "log_loss":
        trials = [track_losses(model, truth)[None] for model in models]
    else:
        trials = [model.argmax(axis=1).astype(np.uint8)[None] for model in models]
    groups = TrackGroups.of(rng.integers(0, 30, 90).astype(str))
    correction = correct_for_choice(trials, truth, groups, n_classes=N_CLASSES, metric=metric)
    values = [score(model, truth).value(metric) for model in models]
    assert correction.raw == pytest.approx(min(values) if metric == "log_loss" else max(values))
    assert 0 < correction.optimism < 0.3
    again = correct_for_choice(trials, truth, groups, n_classes=N_CLASSES, metric=metric)
    assert again == correction


def test_trials_and_two_groups_are_required() -> None:
    truth = np.zeros(3, dtype=np.int64)
    with pytest.raises(ValueError, match="needs at least one trial and two groups"):
        correct_for_choice([], truth, TrackGroups.independent(3), n_classes=2)
    with pytest.raises(ValueError, match="needs at least one trial and two groups"):
        correct_for_choice([truth[None]], truth, TrackGroups.of(["a"] * 3), n_classes=2)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("group_size", [1, 5])
def test_configurations_that_cannot_win_change_nothing(
    metric: Metric, group_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = np.random.default_rng(0).integers(0, N_CLASSES, 200)
    groups = TrackGroups.of([str(track // group_size) for track in range(200)])
    trials = predictions([0.3] * 20 + [0.6, 0.62, 0.65, 0.66], truth, 0)
    if metric == "log_loss":
        trials = [np.where(trial == truth, 0.1, 3.0) for trial in trials]
    common = {"n_classes": N_CLASSES, "metric": metric, "resamples": 200}
    used = []
    merits = choice_correction._merits

    def counted(configurations: np.ndarray, *arguments: Any) -> np.ndarray:
        used.append(len(configurations))
        return merits(configurations, *arguments)

    monkeypatch.setattr(choice_correction, "_merits", counted)
    fast = correct_for_choice(trials, truth, groups, **common)  # type: ignore[arg-type]
    assert (used[-1] < 24) == (metric in ("accuracy", "log_loss"))
    monkeypatch.setattr(choice_correction, "_MAX_ERRORS", 1e9)
    assert correct_for_choice(trials, truth, groups, **common) == fast  # type: ignore[arg-type]
    assert used[-1] == fast.n_configurations == 24
