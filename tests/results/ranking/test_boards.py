from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.dataset.epoch_predictions import SUFFIX, EpochPredictions
from data.dataset.splits import TEST, TRAIN, Split
from data.errors import HarnessError, RunError
from data.io.folder import Folder
from results.ranking.boards import boards
from results.ranking.entries import FamilyOrder
from results.ranking.selection import select
from results.ranking.table import default_columns, notes
from search.storage.predictions import all_folds_name
from search.storage.run_folder import RunFolder
from search.storage.run_info import CacheRef
from tests.support.runs import make_info, write_judgement, write_scores


def cache_ref(digit: str) -> CacheRef:
    return CacheRef(uri="c", fingerprint=digit * 64, source="audio", synthetic=False, parameters={})


def test_trials_of_all_runs_are_ranked_with_the_lift_over_their_own_baseline(tmp_path: Path) -> None:
    write_scores(tmp_path, "a", [0.50, 0.70])
    write_scores(tmp_path, "b", [0.60, 0.80])
    ((board,), unscored_runs) = boards(str(tmp_path))
    assert unscored_runs == []
    assert [(entry.rank, entry.run, entry.trial_id) for entry in board.entries] == [
        (1, "b", "t1"),
        (2, "a", "t1"),
        (3, "b", "t0"),
        (4, "a", "t0"),
    ]
    assert [entry.lift for entry in board.entries] == pytest.approx([20, 20, 0, 0])
    best = board.entries[0]
    assert best.low < 0.8 < best.high
    assert best.n == 100


def test_the_baseline_is_always_shown(tmp_path: Path) -> None:
    write_scores(tmp_path, "a", [0.10, 0.70, 0.90, 0.80])
    ((board,), _) = boards(str(tmp_path), top=1)
    assert [(entry.rank, entry.trial_id, entry.baseline) for entry in board.entries] == [
        (1, "t2", False),
        (4, "t0", True),
    ]
    assert board.ranked == 4


def test_other_data_and_other_splits_get_tables_with_a_reason(tmp_path: Path) -> None:
    write_scores(tmp_path, "a", [0.5], cache=cache_ref("1"), created="2026-01-03T00:00:00+00:00")
    write_scores(
        tmp_path,
        "b",
        [0.6],
        cache=cache_ref("1"),
        split_fingerprint="6" * 64,
        created="2026-01-02T00:00:00+00:00",
    )
    write_scores(tmp_path, "c", [0.7], cache=cache_ref("2"))
    separate_boards, _ = boards(str(tmp_path))
    assert [[entry.run for entry in board.entries] for board in separate_boards] == [["a"], ["b"], ["c"]]
    assert separate_boards[0].why == ""
    assert "same data as table 1, but another split" in separate_boards[1].why
    assert "other data" in separate_boards[2].why


def test_stopped_trials_are_ranked_and_failed_ones_counted(tmp_path: Path) -> None:
    write_scores(tmp_path, "a", [0.5, None, 0.6], status="PRUNED")
    ((board,), _) = boards(str(tmp_path))
    assert [entry.status for entry in board.entries] == ["PRUNED", "PRUNED"]
    assert (board.ranked, board.unranked) == (2, 1)


def test_without_a_scored_baseline_there_is_no_lift(tmp_path: Path) -> None:
    write_scores(tmp_path, "a", [None, 0.6])
    ((board,), _) = boards(str(tmp_path))
    assert [entry.lift for entry in board.entries] == [None]


def test_runs_without_a_score_are_named(tmp_path: Path) -> None:
    write_scores(tmp_path, "a", [0.5])
    write_scores(tmp_path, "b", [None], split_fingerprint="6" * 64)
    write_scores(tmp_path, "empty", [])
    RunFolder.at(tmp_path, "c").write_info(make_info("c"))
    (board,), unscored_runs = boards(str(tmp_path))
    assert [(entry.run, entry.baseline) for entry in board.entries] == [("a", True)]
    assert sorted(unscored_runs) == ["b", "c", "empty"]


def test_runs_can_be_filtered_by_family(tmp_path: Path) -> None:
    write_scores(tmp_path, "a", [0.5])
    write_scores(tmp_path, "b", [0.6], family="other")
    ((board,), _) = boards(str(tmp_path), family="other")
    assert [entry.run for entry in board.entries] == ["b"]
    with pytest.raises(RunError, match="no run of this family"):
        boards(str(tmp_path), family="nobody")


def test_the_name_of_a_run_is_that_of_its_folder(tmp_path: Path) -> None:
    write_scores(tmp_path, "a", [0.5, 0.6])
    write_scores(tmp_path, "b", [None])
    for name in ("a", "b"):
        (tmp_path / name).rename(tmp_path / f"old-{name}")
    write_scores(tmp_path, "a", [0.4])
    (board,), unscored_runs = boards(str(tmp_path))
    assert [(entry.run, entry.trial_id) for entry in board.entries] == [
        ("old-a", "t1"),
        ("old-a", "t0"),
        ("a", "t0"),
    ]
    assert unscored_runs == ["old-b"]


def test_nothing_to_rank_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no runs found"):
        boards(str(tmp_path))
    write_scores(tmp_path, "a", [None])
    with pytest.raises(RunError, match="no trial has ended with a score"):
        boards(str(tmp_path))


def test_ten_thousand_trials(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(5):
        write_scores(tmp_path, f"r{number}", rng.random(2000).tolist())
    ((board,), _) = boards(str(tmp_path), top=20)
    assert board.ranked == 10_000
    assert 20 <= len(board.entries) <= 25
    assert [entry.rank for entry in board.entries[:20]] == list(range(1, 21))


def test_a_run_with_unreadable_tables_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "cut"):
        write_scores(tmp_path, name, [0.5, 0.7])
    table = tmp_path / "cut" / "trials.parquet"
    table.write_bytes(table.read_bytes()[:200])
    ((board,), _) = boards(str(tmp_path))
    assert {entry.run for entry in board.entries} == {"a"}
    assert "Skipped: run 'cut'" in capsys.readouterr().err


def test_a_run_without_read_permission_is_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "closed"):
        write_scores(tmp_path, name, [0.5, 0.7])
    exists, read_json = Folder.exists, Folder.read_json

    def refuse_exists(*arguments: Any) -> Any:
        if arguments[0].uri.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return exists(*arguments)

    def refuse_read_json(folder: Folder, name: str) -> Any:
        if folder.uri.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return read_json(folder, name)

    monkeypatch.setattr(Folder, "exists", refuse_exists)
    monkeypatch.setattr(Folder, "read_json", refuse_read_json)
    ((board,), _) = boards(str(tmp_path))
    assert {entry.run for entry in board.entries} == {"a"}
    assert "closed/run.json: cannot be read (Permission denied)" in capsys.readouterr().err


def test_a_file_in_place_of_the_folder_of_runs(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("x")
    with pytest.raises(RunError, match=r"--runs .*README\.md: not a folder"):
        boards(str(tmp_path / "README.md"))


@pytest.mark.parametrize("broken", ["{", '{"format": 7}', '{"format": 1, "surprise": 2}'])
def test_a_run_with_an_unreadable_record_is_skipped(
    broken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scores(tmp_path, "a", [0.5, 0.7])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run.json").write_text(broken)
    ((board,), unscored_runs) = boards(str(tmp_path))
    assert ([entry.run for entry in board.entries], unscored_runs) == (["a", "a"], [])
    message = capsys.readouterr().err
    assert message.startswith("Skipped: ")
    assert "other/run.json" in message
    assert message.count("\n") == 1
    with pytest.raises(HarnessError, match=r"other/run\.json"):
        boards(str(tmp_path), names=["other"])
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(HarnessError, match=r"other/run\.json"):
        boards(str(tmp_path))


def grouped_run(runs: Path) -> RunFolder:
    """Three trials on 100 tracks in 20 groups; the predictions of a group are all right or all wrong."""
    run = write_scores(runs, "a", [0.6, 0.8, 0.75])
    for number, right in enumerate((60, 80, 75)):
        write_judgement(run, f"t{number}", right)
    tracks = np.array([f"blues/{number:03d}" for number in range(100)], dtype=object)
    artists = np.array([f"artist {number // 5}" for number in range(100)], dtype=object)
    run.write_split(Split(tracks, np.arange(100) % 2, np.full(100, "blues", dtype=object), artists))
    return run


def test_intervals_and_marks_account_for_groups(tmp_path: Path) -> None:
    grouped_run(tmp_path / "grouped")
    write_scores(tmp_path / "plain", "a", [0.6, 0.8, 0.75])
    for number, right in enumerate((60, 80, 75)):
        write_judgement(RunFolder.at(tmp_path / "plain", "a"), f"t{number}", right)
    ((grouped,), _), ((plain,), _) = (boards(str(tmp_path / name)) for name in ("grouped", "plain"))
    assert (grouped.n_groups, plain.n_groups) == (20, None)
    for clustered, independent in zip(grouped.entries, plain.entries, strict=True):
        assert clustered.high - clustered.low > 1.8 * (independent.high - independent.low)
    # The 20 additional correct tracks form only four groups, which is not significant.
    assert [entry.tied for entry in plain.entries] == [None, True, False]
    assert [entry.tied for entry in grouped.entries] == [None, True, True]
    assert any("20 groups" in note for note in notes(grouped))
    assert any(note.startswith("No groups of tracks") for note in notes(plain))


def test_the_best_score_is_corrected_for_the_selection_of_trial_and_epoch(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    run = write_scores(tmp_path, "a", [0.5] * 12)
    tracks = np.array([f"blues/{number:03d}" for number in range(100)], dtype=object)
    best = []
    for number in range(12):
        # Random predictions in ten epochs.
        epochs = EpochPredictions(100)
        probabilities = np.zeros((10, 100, 3))
        probabilities[..., :2] = rng.dirichlet([1, 1], (10, 100))
        for epoch in probabilities:
            epochs.add(epoch)
        best_epoch = int((epochs.array() == 0).mean(axis=1).argmax())
        best.append(float((epochs.array()[best_epoch] == 0).mean()))
        labels = np.full(100, "blues", dtype=object)
        run.write_predictions(
            f"t{number}", tracks, labels, ("blues", "disco", "metal"), probabilities[best_epoch], 3
        )
        (run.folder / "predictions").write_table(f"t{number}{SUFFIX}", epochs.table())
    run.write_tables(run.trials().assign(val_accuracy=best), run.history())
    ((board,), _) = boards(str(tmp_path))
    assert board.correction is not None
    assert board.correction.corrected.epochs
    assert board.correction.corrected.raw == max(best) > 0.6
    assert abs(board.correction.corrected.corrected - 0.5) < 0.04
    assert "after correction for choosing among 12 trials and their epochs" in board.correction.sentence()
    (run.folder / "predictions").remove(f"t0{SUFFIX}")
    ((board,), _) = boards(str(tmp_path))
    assert board.correction is not None
    assert not board.correction.corrected.epochs


def two_families(runs: Path, *, same_test_set: bool = True) -> None:
    """Write one family validated on 100 tracks, and one on the first 50 of these (a hold-out)."""
    tracks = np.array([f"blues/{number:03d}" for number in range(120)], dtype=object)
    test = np.arange(120) >= 100
    folds = write_scores(runs, "folds", [0.5, 0.6])
    for number, right in enumerate((50, 60)):
        write_judgement(folds, f"t{number}", right)
    folds.write_split(Split(tracks, np.where(test, TEST, np.arange(120) % 2)))
    other = {"family": "melspec_cnn", "split_fingerprint": "6" * 64, "n_validated": 50, "folds": 1}
    hold_out = write_scores(runs, "hold-out", [0.7, 0.8], **other)
    for number, right in enumerate((35, 40)):
        write_judgement(hold_out, f"t{number}", right, 50)
    side = np.where(np.arange(120) < 50, 0, TRAIN)
    side[test if same_test_set else test & (np.arange(120) > 110)] = TEST
    hold_out.write_split(Split(tracks, side))


def test_families_on_different_tracks_are_ordered_by_their_winners_on_the_common_ones(tmp_path: Path) -> None:
    two_families(tmp_path)
    ((board,), _) = boards(str(tmp_path))
    # The winner with 60 % of 100 tracks is right on all 50 common ones, the one with 80 % on 40.
    assert [(entry.name, entry.rank, entry.n) for entry in board.entries] == [
        ("folds:1", 1, 100),
        ("folds:0", 2, 100),
        ("hold-out:1", 1, 50),
        ("hold-out:0", 2, 50),
    ]
    assert board.family_order == FamilyOrder(
        {"features_mlp": 1.0, "melspec_cnn": 0.8}, 50, {"features_mlp": 100, "melspec_cnn": 50}
    )
    assert board.entries[2].tied is False
    assert any(
        "Families are ordered by their best trials on the 50 tracks that all of them validated" in note
        and "features_mlp on 100, melspec_cnn on 50" in note
        for note in notes(board)
    )
    assert board.candidates[0].name == "folds:1"
    assert select(board.candidates).n_tracks == 50


def test_families_are_ordered_on_all_tracks_where_the_winner_was_trained_on_all_folds(tmp_path: Path) -> None:
    two_families(tmp_path)
    hold_out = RunFolder.at(tmp_path, "hold-out")
    write_judgement(hold_out, all_folds_name("t1"), 70)
    ((board,), _) = boards(str(tmp_path))
    assert board.family_order == FamilyOrder(
        {"melspec_cnn": 0.7, "features_mlp": 0.6},
        100,
        {"melspec_cnn": 50, "features_mlp": 100},
        of_all_folds={"melspec_cnn": (0.7, 100)},
    )
    assert board.entries[0].name == "hold-out:1"
    assert board.entries[0].n == 50
    assert any(
        "After their choice, these winners were trained on all folds: melspec_cnn 70.0 % of 100." in note
        for note in notes(board)
    )
    # The trial is no longer the best.
    (hold_out.folder / "predictions").remove(f"{all_folds_name('t1')}.parquet")
    write_judgement(hold_out, all_folds_name("t0"), 70)
    ((board,), _) = boards(str(tmp_path))
    assert board.family_order is not None
    assert board.family_order.n_common == 50


def test_families_are_ordered_by_the_metric_of_their_runs(tmp_path: Path) -> None:
    two_families(tmp_path)
    for name in ("folds", "hold-out"):
        run = RunFolder.at(tmp_path, name)
        info = run.info()
        run.write_info(info.model_copy(update={"settings": {**info.settings, "metric": "log_loss"}}))
    # One family is right on all tracks, but unsure; the other is wrong on all, but nearly right.
    for name, n, row in (("folds", 100, [0.34, 0.33, 0.33]), ("hold-out", 50, [0.45, 0.55, 0.0])):
        tracks = np.array([f"blues/{number:03d}" for number in range(n)], dtype=object)
        labels = np.full(n, "blues", dtype=object)
        for number in range(2):
            RunFolder.at(tmp_path, name).write_predictions(
                f"t{number}", tracks, labels, ("blues", "disco", "metal"), np.tile(row, (n, 1))
            )
    ((board,), _) = boards(str(tmp_path))
    order = board.family_order
    assert order is not None
    assert (board.metric, order.metric, list(order.scores)) == (
        "log_loss",
        "log_loss",
        ["melspec_cnn", "features_mlp"],
    )
    assert order.scores == pytest.approx({"melspec_cnn": -np.log(0.45), "features_mlp": -np.log(0.34)})
    assert board.entries[0].family == "melspec_cnn"
    columns = [column.name for column in default_columns(board.metric)]
    assert columns[:4] == ["rank", "trial", "log_loss", "family"]
    assert any(note.startswith("Trials rank by log loss; the tests") for note in notes(board))


def test_families_with_other_test_sets_are_not_ordered_together(tmp_path: Path) -> None:
    two_families(tmp_path, same_test_set=False)
    assert len(boards(str(tmp_path))[0]) == 2


def test_the_correction_says_how_many_trials_it_uses(tmp_path: Path) -> None:
    written = write_scores(tmp_path, "a", [0.5] * 250)
    for number in range(3):
        write_judgement(written, f"t{number}", 50 + number)
    ((board,), _) = boards(str(tmp_path))
    assert board.correction is not None
    assert "among 250 trials; only the 3 best are used" in board.correction.sentence()


def test_runs_are_ranked_by_their_metric(tmp_path: Path) -> None:
    run = write_scores(tmp_path, "a", [0.5, 0.7, 0.6], settings={"metric": "log_loss"})
    trials = run.trials()
    trials["val_loss"] = [0.9, 0.8, 0.7]
    run.write_tables(trials, run.history())
    ((board,), _) = boards(str(tmp_path))
    assert [entry.val_accuracy for entry in board.entries] == [0.6, 0.7, 0.5]
    write_scores(tmp_path, "b", [0.5])
    ((board,), _) = boards(str(tmp_path))
    # Runs by other metrics are ranked by accuracy together.
    assert board.entries[0].val_accuracy == 0.7


def test_runs_that_score_single_epochs_are_named_beside_newer_ones(tmp_path: Path) -> None:
    write_scores(tmp_path, "old", [0.6])
    write_scores(tmp_path, "older", [0.6])
    ((board,), _) = boards(str(tmp_path))
    assert not any("single epochs" in note for note in notes(board))
    write_scores(tmp_path, "new", [0.6], score_window=5)
    ((board,), _) = boards(str(tmp_path))
    assert sorted(board.single_epoch_runs) == ["old", "older"]
    (note,) = [note for note in notes(board) if "single epochs" in note]
    assert "old" in note
    assert "new" not in note.rpartition(":")[2]
