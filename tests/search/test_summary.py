"""The last lines of a search, from the files of a run that are written without a search."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.dataset.choice_correction import correct_for_choice
from data.dataset.epoch_predictions import SUFFIX, EpochPredictions
from data.dataset.intervals import accuracy_interval
from data.dataset.splits import Split
from data.dataset.track_groups import TrackGroups
from data.errors import RunError
from search.judgement import JudgedTrial, baseline_trial, best_trial, corrected_best, in_order
from search.rounds.api import FamilySearch
from search.searched_run import SearchedRun
from search.storage.columns import HISTORY_COLUMNS, TRIAL_COLUMNS
from search.storage.run_folder import RunFolder
from search.storage.search_record import SearchRecord, write_record
from search.summary import has_score, run_lines, search_lines
from tests.support.runs import make_info

GENRES = ["blues", "disco", "metal"]
N = 150
TRUTH = np.arange(N) % len(GENRES)
GROUPS = np.arange(N) // 3


def right_on(n_right: int, seed: int) -> np.ndarray:
    """Return predicted genres; `n_right` of them, at random places, are right."""
    order = np.random.default_rng(seed).permutation(N)
    predicted = TRUTH.copy()
    predicted[order[n_right:]] = (TRUTH[order[n_right:]] + 1) % len(GENRES)
    return predicted


def write_run(folder: Path, name: str, n_right: list[int], **info: object) -> RunFolder:
    """Write a run with one trial per number of tracks that it classifies correctly; 0 is a failed trial."""
    run = RunFolder.at(folder, name)
    run.write_info(make_info(name, n_validated=N, n_test=30, **info))
    tracks = np.array([f"t{number:03d}" for number in range(N)], dtype=object)
    labels = np.array(GENRES, dtype=object)[TRUTH]
    groups = np.array([f"artist {number}" for number in GROUPS], dtype=object)
    run.write_split(Split(tracks, np.arange(N) % 5, labels, groups))
    rows = []
    for number, right in enumerate(n_right):
        row = dict.fromkeys(TRIAL_COLUMNS) | {"trial_id": f"id{number}", "status": "FAIL", "epochs": 0}
        row |= {"error": "Traceback\nValueError: no", "config.units": 16 + number, "config.decay": None}
        if right:
            probabilities = 0.1 + 0.7 * np.eye(len(GENRES))[right_on(right, number)]
            run.write_predictions(f"id{number}", tracks, labels, tuple(GENRES), probabilities, 3)
            row |= {"status": "COMPLETE", "best_epoch": 3, "val_accuracy": right / N, "val_loss": 1.0}
            row["error"] = None
        rows.append(row)
    run.write_tables(pd.DataFrame(rows), pd.DataFrame(columns=list(HISTORY_COLUMNS)))
    return run


def existing(trial: JudgedTrial | None) -> JudgedTrial:
    assert trial is not None
    return trial


def test_the_best_trial_with_interval_and_paired_difference(tmp_path: Path) -> None:
    run = write_run(tmp_path, "night run", [75, 120, 0, 117])
    best, baseline = existing(best_trial(run)), existing(baseline_trial(run))
    assert (best.name, best.score, best.config) == ("night run:1", 0.8, {"units": 17})
    groups = TrackGroups.of([str(number) for number in GROUPS])
    low, high = (float(bound) for bound in accuracy_interval(right_on(120, 1) == TRUTH, groups))
    assert best.interval() == pytest.approx((low, high))
    test = best.against(baseline)
    assert test is not None
    assert (test.n, test.n_groups, test.distinct) == (N, 50, True)
    expected = correct_for_choice(
        [right_on(n_right, number)[None] for number, n_right in ((1, 120), (3, 117), (0, 75))],
        TRUTH,
        groups,
        n_classes=3,
    )
    choice = corrected_best(run)
    assert choice is not None
    assert choice.corrected.corrected == pytest.approx(expected.corrected)
    assert choice.corrected.corrected < 0.8

    lines = run_lines(run)
    assert lines[0] == "Run night run: 4 trials (3 COMPLETE, 1 FAIL)."
    assert lines[1].startswith(
        f"Best: night run:1, validation accuracy 80.0 % [{100 * low:.1f}, {100 * high:.1f}]; "
    )
    assert lines[1].endswith("% after correction for choosing among 3 trials.")
    assert lines[2].startswith("BASELINE 50.0 %; difference in accuracy +30.0 points [+")
    assert lines[2].endswith("; 150 tracks validated, 30 in the locked test set.")
    assert lines[3] == "Settings: units=17"
    # The commands can be pasted.
    command = shlex.split(lines[4].removeprefix("Next: "))
    assert command[2:] == [
        "results.export",
        "night run",
        "--runs",
        str(tmp_path),
        "--out",
        "exports/night run",
    ]


def test_too_few_tracks_are_reported(tmp_path: Path) -> None:
    line = run_lines(write_run(tmp_path, "close", [110, 112]))[2]
    assert line.startswith("BASELINE 73.3 %; difference in accuracy +1.3 points [-")
    assert "150 tracks are too few to tell the two apart (p = " in line
    baseline = run_lines(write_run(tmp_path, "none", [112, 110]))
    assert baseline[2].startswith("No trial is better than the BASELINE, none:0;")
    failed = write_run(tmp_path, "failed", [0, 0])
    assert not has_score(failed)
    assert run_lines(failed)[-1] == "No trial has a score; the first failed by: ValueError: no"
    half = run_lines(write_run(tmp_path, "half", [110, 0], status="interrupted"))
    assert half[-1] == f"Interrupted. Resume with: python -m search.run --resume half --runs {tmp_path}"


def test_the_choice_of_the_epoch_is_corrected_where_epochs_are_stored(tmp_path: Path) -> None:
    run = write_run(tmp_path, "epochs", [110, 120])
    for number, n_right in enumerate((110, 120)):
        epochs = EpochPredictions(N)
        for epoch in range(3):
            epochs.add(np.eye(3)[right_on(n_right - epoch, number)])
        (run.folder / "predictions").write_table(f"id{number}{SUFFIX}", epochs.table())
    choice = corrected_best(run)
    assert choice is not None
    corrected = choice.corrected
    assert (corrected.epochs, corrected.n_trials, corrected.n_configurations) == (True, 2, 8)
    assert "choosing among 2 trials and their epochs" in run_lines(run)[1]


def test_the_score_of_another_metric(tmp_path: Path) -> None:
    run = write_run(tmp_path, "loss", [110, 120], settings={"metric": "log_loss"})
    best = existing(best_trial(run))
    low, high = best.interval()
    assert low < high
    lines = run_lines(run)
    assert lines[1].startswith("Best: loss:0, validation log loss 1.000 [")
    assert lines[2].startswith("No trial is better than the BASELINE")


def test_differences_are_by_the_metric_of_the_run(tmp_path: Path) -> None:
    run = write_run(tmp_path, "loss", [60, 120], settings={"metric": "log_loss"})
    trials = run.trials()
    trials["val_loss"] = [1.4, 0.9]
    run.write_tables(trials, run.history())
    lines = run_lines(run)
    assert lines[1].startswith("Best: loss:1, validation log loss 0.900 [")
    assert lines[2].startswith("BASELINE 1.400; difference in log loss -0.")
    macro = write_run(tmp_path, "macro", [60, 120], settings={"metric": "macro_f1"})
    trials = macro.trials()
    trials["val_macro_f1"] = [0.4, 0.8]
    macro.write_tables(trials, macro.history())
    lines = run_lines(macro)
    assert lines[1].startswith("Best: macro:1, validation macro F1 80.0 % [")
    assert lines[2].startswith("BASELINE 40.0 %; difference in macro F1 +40.")
    (macro.folder / "predictions").remove("id1.parquet")
    assert run_lines(macro)[1].startswith("Best validation macro F1 80.0 %, without stored predictions")


def test_trials_on_different_tracks_are_ordered_on_those_of_all(tmp_path: Path) -> None:
    whole = existing(best_trial(write_run(tmp_path, "whole", [75, 110])))
    other = existing(best_trial(write_run(tmp_path, "other", [120, 75])))
    assert [each.run for each in in_order([whole, other])] == ["other", "whole"]
    # On the tracks of a hold-out, the one that is better on all tracks can be worse.
    rows = np.flatnonzero(whole.right & ~other.right)[:5]
    held_out = replace(
        other,
        track_id=other.track_id[rows],
        group=other.group[rows],
        truth=other.truth[rows],
        probabilities=other.probabilities[rows],
    )
    assert [each.run for each in in_order([held_out, whole])] == ["whole", "other"]


def test_a_run_of_one_trial_is_in_the_singular(tmp_path: Path) -> None:
    assert run_lines(write_run(tmp_path, "short", [75]))[0] == "Run short: 1 trial (1 COMPLETE)."


def test_the_last_lines_of_several_families_compare_them_on_common_tracks(tmp_path: Path) -> None:
    whole = write_run(tmp_path, "night-features_mlp", [75, 110, 100], family="features_mlp")
    other = write_run(tmp_path, "night-melspec_cnn", [100, 120], family="melspec_cnn")
    # The hold-out of the second family: tracks on which its score is higher than the other's on all tracks.
    predicted = [right_on(100, 7), right_on(120, 8)]
    right, other_right = right_on(110, 1) == TRUTH, predicted[1] == TRUTH
    rows = np.sort([*np.flatnonzero(right & other_right)[:29], np.flatnonzero(right & ~other_right)[0]])
    trials, best = other.trials(), existing(best_trial(whole))
    tracks, labels = best.track_id[rows], np.array(GENRES, dtype=object)[TRUTH[rows]]
    for number, trial_id in enumerate(trials["trial_id"]):
        probabilities = 0.1 + 0.7 * np.eye(len(GENRES))[predicted[number][rows]]
        other.write_predictions(str(trial_id), tracks, labels, tuple(GENRES), probabilities, 3)
        trials.loc[number, "val_accuracy"] = (predicted[number] == TRUTH)[rows].mean()
    other.write_tables(trials, other.history())
    record = SearchRecord(
        name="night",
        families=["features_mlp", "melspec_cnn"],
        left_out={},
        status="finished",
        trials=3,
        time_budget=None,
        created="2026-11-28T12:00:00+00:00",
    )
    write_record(tmp_path, record)
    lines = search_lines(FamilySearch("night", str(tmp_path)))
    assert lines[1].startswith("  features_mlp: 73.3 % [")
    assert lines[2].startswith("  melspec_cnn: 96.7 % [")
    assert lines[3] == (
        "Families are ordered by their best trials on the 30 tracks that all validated:"
        " night-features_mlp 100.0 %, night-melspec_cnn 96.7 %."
    )
    assert lines[4].startswith("Best: night-features_mlp:1, validation accuracy 73.3 % [")
    assert "on the 30 tracks that all trials validated, " in lines[4]
    assert lines[4].endswith("% after correction for choosing among 5 trials.")
    assert "Against night-melspec_cnn:1: +3.3 points [" in lines[7]
    assert "results.export night-features_mlp" in lines[8]


def test_the_best_trial_of_a_searched_run(tmp_path: Path) -> None:
    run = SearchedRun.at(tmp_path, write_run(tmp_path, "night run", [75, 120]).name)
    assert run.best.name == "night run:1"
    assert run.best_config == {"units": 17}
    failed = SearchedRun.at(tmp_path, write_run(tmp_path, "failed", [0, 0]).name)
    with pytest.raises(RunError, match="run 'failed': no trial has a score"):
        _ = failed.best
    with pytest.raises(RunError, match="run 'waiting': no trial has a score"):
        _ = SearchedRun.at(tmp_path, "waiting").best
