from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from data.dataset.choice_correction import Corrected
from data.dataset.scores import Metric
from results.evaluation.correction import ChoiceCorrection
from results.ranking.boards import boards
from results.reporting.answer import answer, round_ticks
from tests.support.runs import write_scores


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (66.1, 77.4, [66, 68, 70, 72, 74, 76, 78]),
        (24.9, 78.0, [20, 30, 40, 50, 60, 70, 80]),
        (50.0, 50.0, [50, 51]),
        (0.0, 100.0, [0, 20, 40, 60, 80, 100]),
    ],
)
def test_ticks_are_round_and_span_the_values(low: float, high: float, ticks: list[int]) -> None:
    assert round_ticks(low, high) == ticks


def test_a_baseline_that_wins_is_named(tmp_path: Path) -> None:
    write_scores(tmp_path, "a", [0.7, 0.6])
    (board,) = boards(str(tmp_path))[0]
    answered = answer(board)
    assert (
        answered.sentence
        == "No trial beats the BASELINE: a:0 (features_mlp) recognises 70.0 % of 100 tracks."
    )
    assert [mark.kind for mark in answered.marks] == ["winner"]


def test_the_winner_is_placed_between_the_ends_of_its_interval(tmp_path: Path) -> None:
    write_scores(tmp_path, "a", [0.5, 0.6])
    (board,) = boards(str(tmp_path))[0]
    answered = answer(board)
    winner, baseline = answered.marks
    assert (winner.kind, baseline.kind) == ("winner", "baseline")
    assert winner.low is not None
    assert winner.high is not None
    assert 0 <= answered.place(winner.low) < answered.place(winner.value) < answered.place(winner.high) <= 100
    assert "a:1: 60.0 %, interval 50.2 to 69.1 %" in answered.description()
    assert (
        "a:1 (features_mlp) is the best: it recognises 60.0 % of 100 tracks; the BASELINE"
        in answered.sentence
    )


@pytest.mark.parametrize(
    ("metric", "n_tracks", "said"),
    [
        ("accuracy", None, "of 100 tracks; expect 55.0 % on new tracks; the BASELINE"),
        (
            "accuracy",
            40,
            "of 100 tracks, and 65.0 % of the 40 that all trials validated; expect 55.0 % on new tracks",
        ),
        ("log_loss", None, "of 100 tracks; the BASELINE"),
    ],
)
def test_raw_and_corrected_scores_are_of_the_same_tracks(
    tmp_path: Path, metric: Metric, n_tracks: int | None, said: str
) -> None:
    write_scores(tmp_path, "a", [0.5, 0.6])
    (board,) = boards(str(tmp_path))[0]
    scores = Corrected(metric, 0.65, 0.55, n_trials=2, n_configurations=2, epochs=False)
    correction = ChoiceCorrection(corrected=scores, n_ranked=2, n_unread=0, n_tracks=n_tracks)
    answered = answer(replace(board, correction=correction, metric=metric))
    assert said in answered.sentence
    kinds = [mark.kind for mark in answered.marks]
    assert ("corrected" in kinds) == (metric == "accuracy")
