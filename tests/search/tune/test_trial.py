from __future__ import annotations

import dataclasses
import errno
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import spaces
from data.dataset.scores import COLUMNS, METRICS, Metric, merit, score
from data.dataset.splits import make_split
from data.dataset.task import Task, search_task
from data.dataset.track_scores import track_probabilities
from data.errors import CacheError, InputsChangedError, RunError
from search.storage.columns import EPOCH_METRICS
from search.storage.run_folder import RunFolder
from search.storage.rungs import Rungs
from search.tune import failures
from search.tune import trial as trial_module
from search.tune.trial import GenreTrial, NewWorkerNeededError
from spaces.training.family import EpochOutcome
from tests.support.rows import make_rows
from tests.support.softmax import FAMILY

CONFIG = {**FAMILY.BASELINE, "batch_size": 16, "epochs": 6, "trial_number": 4, "trial_id": "local"}

Maker = Callable[..., GenreTrial]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.at(tmp_path, "run")


@pytest.fixture
def make(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Maker]:
    # Outside Ray, no resources are assigned to the process.
    monkeypatch.setattr(trial_module, "set_up_device", lambda _family, **_options: True)
    rows = make_rows()
    task = search_task(rows, make_split(rows.tracks(), folds=3, test_fraction=0.2, seed=0))
    made = []
    # On any machine, trials report only at the rungs unless a test changes this.
    never = float("inf")
    pace: dict[str, Any] = {"patience": None, "report_seconds": never, "checkpoint_seconds": never}
    pace |= {"deterministic": False, "metric": "accuracy", "max_growth": never, "score_window": 1}
    pace |= {"family": FAMILY}

    class Local(GenreTrial):
        def setup(self, config: dict[str, Any]) -> None:  # type: ignore[override]
            options = {"task": task, "run": run, "rungs": Rungs((2, 4), "epochs")}
            super().setup(config, seed=0, **options, **pace)  # type: ignore[arg-type]

    def maker(**changes: Any) -> GenreTrial:
        pace.update({name: changes.pop(name) for name in list(changes) if name in pace})
        made.append(Local({**CONFIG, **changes}))
        return made[-1]

    yield maker
    for trial in made:
        trial.stop()


def test_a_trial_reports_at_the_rungs_and_the_end(make: Maker) -> None:
    trial = make()
    reports = [trial.train() for _ in range(3)]
    assert [report["epoch"] for report in reports] == [2, 4, 6]
    assert [report["done"] for report in reports] == [False, False, True]
    assert [report["outcome"] for report in reports] == ["RUNNING", "RUNNING", "COMPLETE"]
    curve = [row for report in reports for row in report["curve"]]
    assert [row["epoch"] for row in curve] == [1, 2, 3, 4, 5, 6]
    best = max(curve, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    for name in ("val_accuracy", "val_loss", "val_macro_f1", "train_accuracy"):
        assert reports[-1][name] == best[name]
    assert reports[-1]["best_epoch"] == best["epoch"]


def test_a_deterministic_trial_sets_up_its_process(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, bool] = {}
    monkeypatch.setattr(
        trial_module, "set_up_device", lambda _family, **requested: options.update(requested) or True
    )
    make(deterministic=True)
    assert options == {"deterministic": True}


def test_a_long_trial_reports_between_rungs(make: Maker) -> None:
    assert make(report_seconds=0.0).train()["epoch"] == 1


def test_the_first_report_comes_earlier_than_the_next_ones(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(trial_module, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    trial = make(report_seconds=2.0)
    # The rungs are at 2 and 4. Each epoch takes one second.
    assert [trial.train()["epoch"] for _ in range(4)] == [1, 2, 4, 6]


def test_predictions_are_those_of_the_best_epoch(make: Maker, run: RunFolder) -> None:
    trial = make()
    for _ in range(3):
        report = trial.train()
    saved = run.predictions("local")
    chosen = saved.filter(like="p.").to_numpy().argmax(axis=1)
    genres = np.array(["blues", "disco", "metal"])
    assert (genres[chosen] == saved["label"]).mean() == pytest.approx(report["val_accuracy"])
    assert run.predictions("local", report["best_epoch"]).equals(saved)
    with pytest.raises(RunError, match=f"belongs to epoch {report['best_epoch']}, but the score to epoch 99"):
        run.predictions("local", 99)
    assert [name.split("/")[0] for name in saved["track_id"]] == saved["label"].tolist()


CHECKPOINT_ALWAYS = {"checkpoint_seconds": 0.0}
"""Options with which a trial writes a checkpoint at every report."""


def test_a_trial_resumed_after_its_process_died_has_the_same_scores(make: Maker) -> None:
    uninterrupted = make(trial_number=5)
    for _ in range(3):
        expected = uninterrupted.train()
    make(**CHECKPOINT_ALWAYS).train()
    resumed = make()
    # Epochs that the dead process had reported are repeated, for a driver that died with it. It may not have
    # recorded its decision about this rung, so the trial does not train before it has reported.
    reports = [resumed.train() for _ in range(3)]
    assert [[row["epoch"] for row in report["curve"]] for report in reports] == [[1, 2], [3, 4], [5, 6]]
    report = reports[-1]
    for name in ("epoch", "best_epoch", "val_accuracy", "val_loss", "train_loss"):
        assert report[name] == expected[name]


def test_a_truncated_checkpoint_is_not_used(make: Maker, run: RunFolder) -> None:
    expected = make(**CHECKPOINT_ALWAYS).train()
    path = run.folder.local / "checkpoints" / "4.npz"
    path.write_bytes(path.read_bytes()[:-200])
    report = make().train()
    assert report["epoch"] == 2
    assert report["val_loss"] == expected["val_loss"]


def test_checkpoints_of_a_large_network_are_written_less_often(
    make: Maker, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    write, written = trial_module.write_checkpoint, []

    def write_slowly(*arguments: Any) -> None:
        nonlocal now
        write(*arguments)
        written.append(arguments)
        # Pretend that it took one second, after which a trial trains for fifty seconds.
        now += 1.0

    monkeypatch.setattr(trial_module, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(trial_module, "write_checkpoint", write_slowly)
    trial = make(report_seconds=-1.0, **CHECKPOINT_ALWAYS)
    for moment, count in ((0.0, 1), (1.0, 1), (50.9, 1), (51.0, 2)):
        now = moment
        trial.train()
        assert len(written) == count


def test_a_short_trial_writes_no_checkpoint(make: Maker, run: RunFolder) -> None:
    make().train()
    assert not (run.folder.local / "checkpoints").exists()


def test_patience_ends_a_trial_but_not_the_baseline(make: Maker) -> None:
    hopeless = {"learning_rate": 0.0, "epochs": 9}
    trial = make(patience=3, **hopeless)
    while not (report := trial.train())["done"]:
        pass
    assert (report["epoch"], report["best_epoch"], report["outcome"]) == (4, 1, "COMPLETE")
    trial = make(patience=3, trial_number=0, **hopeless)
    while not (report := trial.train())["done"]:
        pass
    assert report["epoch"] == 9


def test_a_full_disk_is_not_a_failed_configuration(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = make()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(trial, "_save_predictions", full)
    assert trial.train()["outcome"] == "DISK_FULL"


def raise_network_error(*_: Any, **__: Any) -> None:
    raise OSError("When writing: AWS Error NETWORK_CONNECTION")


def test_a_briefly_unreachable_bucket_loses_nothing(
    make: Maker, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = make(**CHECKPOINT_ALWAYS)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_predictions", raise_network_error)
        assert trial.train()["outcome"] == "RUNNING"
    assert not (run.folder.local / "checkpoints").exists()
    assert trial.train()["epoch"] == 4
    assert len(run.predictions("local")) > 0
    # At the end of a trial the write is retried at once.
    write, attempts = RunFolder.write_predictions, []

    def fail_twice(*arguments: Any, **options: Any) -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise_network_error()
        write(*arguments, **options)

    monkeypatch.setattr(failures, "RETRY_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(RunFolder, "write_predictions", fail_twice)
    report = trial.train()
    assert report["outcome"] == "COMPLETE"
    assert report["best_epoch"] > 4
    assert len(attempts) == 3
    assert run.predictions("local", report["best_epoch"])["label"].notna().all()


@pytest.mark.parametrize("operation", ["read_checkpoint", "write_predictions"])
def test_an_unreachable_bucket_is_not_a_failed_configuration(
    make: Maker, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    trial = make(epochs=2)
    monkeypatch.setattr(failures, "RETRY_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(
        RunFolder if operation == "write_predictions" else trial_module, operation, raise_network_error
    )
    report = trial.train()
    assert (report["outcome"], report["done"]) == ("UNREACHABLE", True)
    assert "cannot be reached (When writing: AWS Error NETWORK_CONNECTION)" in report["error"]


def test_a_checkpoint_of_another_network_is_not_used(make: Maker, run: RunFolder) -> None:
    make(**CHECKPOINT_ALWAYS, inputs=20).train()
    expected = make(trial_number=5).train()
    report = make().train()
    assert [row["epoch"] for row in report["curve"]] == [1, 2]
    assert report["val_loss"] == expected["val_loss"]


def test_an_actor_is_reused_for_the_next_configuration(make: Maker) -> None:
    trial = make()
    trial.train()
    expected = make(inputs=20).train()
    assert trial.reset_config({**CONFIG, "inputs": 20})
    report = trial.train()
    for name in ("epoch", "val_accuracy", "val_loss", "params"):
        assert report[name] == expected[name]


def test_an_exception_becomes_the_outcome_of_the_trial(make: Maker) -> None:
    report = make(inputs=-3).train()
    assert (report["outcome"], report["done"], report["val_accuracy"]) == ("FAIL", True, 0.0)
    assert "inputs -3" in report["error"]
    assert "Traceback" in report["error"]


def test_a_loss_that_is_not_finite_fails_the_trial(make: Maker) -> None:
    report = make(learning_rate=1e30).train()
    assert (report["outcome"], report["done"]) == ("FAIL", True)
    assert "the loss was not finite in epoch" in report["error"]


def exhausted(*_: Any, **__: Any) -> None:
    raise MemoryError("no more")


@pytest.mark.parametrize("checkpoint_seconds", [0.0, float("inf")])
def test_a_lack_of_memory_is_retried_once_in_a_new_worker(
    make: Maker, monkeypatch: pytest.MonkeyPatch, checkpoint_seconds: float
) -> None:
    uninterrupted = make(trial_number=5)
    for _ in range(3):
        expected = uninterrupted.train()
    trial = make(checkpoint_seconds=checkpoint_seconds)
    trial.train()
    monkeypatch.setattr(trial._learner, "run_epoch", exhausted)
    with pytest.raises(NewWorkerNeededError, match="out of memory; the trial is repeated once"):
        trial.train()
    retried = make(checkpoint_seconds=checkpoint_seconds)
    while not (report := retried.train())["done"]:
        pass
    for name in ("outcome", "epoch", "best_epoch", "val_loss"):
        assert report[name] == expected[name]


def test_a_second_lack_of_memory_has_its_own_outcome(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = make()
    with monkeypatch.context() as patch:
        patch.setattr(type(trial._family), "learner", exhausted)
        with pytest.raises(NewWorkerNeededError):
            trial.train()
    retried = make()
    retried._ready()
    monkeypatch.setattr(retried._learner, "run_epoch", exhausted)
    report = retried.train()
    assert (report["outcome"], report["done"]) == ("OOM", True)
    # The next trial of the process has its own retry.
    retried.reset_config({**CONFIG, "trial_number": 7, "trial_id": "next"})
    monkeypatch.setattr(type(trial._family), "learner", exhausted)
    with pytest.raises(NewWorkerNeededError):
        retried.train()


def test_a_process_that_has_grown_is_replaced(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter((100, 149, 151))
    monkeypatch.setattr(trial_module, "process_bytes", lambda: next(sizes))
    trial = make(max_growth=50)
    for number in (5, 6):
        assert trial.reset_config({**CONFIG, "trial_number": number})
        assert trial.train()["epoch"] == 2
    assert trial.reset_config({**CONFIG, "trial_number": 7})
    with pytest.raises(NewWorkerNeededError, match="grown"):
        trial.train()


def test_inputs_that_changed_suspend_the_search(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(*_: Any, **__: Any) -> None:
        raise InputsChangedError("cache: its data changed after the search started")

    trial = make()
    monkeypatch.setattr(type(trial._family), "learner", changed)
    report = trial.train()
    assert (report["outcome"], report["done"]) == ("INPUTS_CHANGED", True)


@pytest.mark.parametrize(
    ("code", "outcome"), [(errno.ENOSPC, "DISK_FULL"), (errno.EDQUOT, "DISK_FULL"), (errno.EACCES, "FAIL")]
)
def test_a_full_scratch_folder_is_not_a_failed_configuration(
    make: Maker, monkeypatch: pytest.MonkeyPatch, code: int, outcome: str
) -> None:
    trial = make()

    def refused(*_: Any, **__: Any) -> None:
        raise CacheError("/tmp/x: cannot be written") from OSError(code, "refused")

    monkeypatch.setattr(type(trial._family), "learner", refused)
    report = trial.train()
    assert (report["outcome"], report["done"]) == (outcome, True)


def test_predictions_of_an_unreported_epoch_are_replaced_by_the_previous_ones(
    make: Maker, run: RunFolder
) -> None:
    trial = make(report_seconds=0.0, epochs=60)
    reports = [trial.train()]
    saved = [run.predictions("local")]
    while len({report["best_epoch"] for report in reports}) < 3:
        reports.append(trial.train())
        if reports[-1]["best_epoch"] != reports[-2]["best_epoch"]:
            saved.append(run.predictions("local"))
    # The driver ended the search after the second improvement was reported.
    run.settle_predictions({"local": reports[-2]["best_epoch"]})
    assert run.predictions("local", reports[-2]["best_epoch"]).equals(saved[1])
    assert (run.folder / "predictions").names() == ["local.epochs.parquet", "local.parquet"]
    run.settle_predictions({"local": reports[-2]["best_epoch"]})
    assert run.predictions("local").equals(saved[1])


def test_predictions_of_a_reported_epoch_are_kept(make: Maker, run: RunFolder) -> None:
    trial = make()
    for _ in range(3):
        report = trial.train()
    kept = run.predictions("local", report["best_epoch"])
    run.settle_predictions({"local": report["best_epoch"]})
    assert run.predictions("local").equals(kept)
    assert (run.folder / "predictions").names() == ["local.epochs.parquet", "local.parquet"]


@pytest.mark.parametrize("metric", METRICS)
def test_the_metric_chooses_the_best_epoch(make: Maker, run: RunFolder, metric: Metric) -> None:
    trial = make(metric=metric, epochs=30, learning_rate=0.03)
    reports = [trial.train() for _ in range(3)]
    curve = [row for report in reports for row in report["curve"]]
    scores = [(merit(row[COLUMNS[metric]], metric), -row["val_loss"]) for row in curve]
    assert [row["score"] for row in curve] == [score for score, _ in scores]
    best = max(range(len(curve)), key=scores.__getitem__)
    assert (reports[-1]["best_epoch"], reports[-1]["score"]) == (best + 1, scores[best][0])
    for name in EPOCH_METRICS:
        assert reports[-1][name] == curve[best][name]
    saved = run.predictions("local", best + 1)
    chosen = saved.filter(like="p.").to_numpy().argmax(axis=1)
    epochs = run.epoch_predictions("local", len(saved), 30)
    assert (epochs.array()[best] == chosen).all()


def trained(trial: GenreTrial) -> tuple[dict[str, Any], list[dict[str, float]]]:
    """Train a trial to its end; return its last report and all epochs."""
    curve: list[dict[str, float]] = []
    while True:
        report = trial.train()
        curve += report["curve"]
        if report["done"]:
            return report, curve


WINDOW = {"score_window": 5, "epochs": 30, "learning_rate": 0.03}
"""A window of five epochs."""


def test_a_trial_is_scored_by_its_window(make: Maker, run: RunFolder) -> None:
    trial = make(**WINDOW)
    report, curve = trained(trial)
    task = trial._task
    learner = FAMILY.learner(trial._config, task, seed=0)
    epochs = [track_probabilities(task, learner.run_epoch(epoch).probabilities) for epoch in range(30)]
    means = np.array([np.mean(epochs[max(0, end - 5) : end], axis=0) for end in range(1, 31)])
    truth = task.track_label[task.validated]
    for row, mean in zip(curve, means, strict=True):
        expected = score(mean, truth).columns()
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    best = report["best_epoch"] - 1
    assert report["val_accuracy"] == max(row["val_accuracy"] for row in curve) == curve[best]["val_accuracy"]
    # Exactly the scored probabilities are stored, for ensembles, tests and the correction.
    stored = run.predictions("local", best + 1).filter(like="p.").to_numpy()
    np.testing.assert_allclose(stored, means[best], atol=1e-6)
    assert score(stored, truth).accuracy == report["val_accuracy"]
    predicted = run.epoch_predictions("local", len(stored), 30).array()
    assert (predicted == means.argmax(axis=2)).all()


@pytest.mark.parametrize("family", ["softmax", "features_mlp"])
def test_a_resumed_trial_has_the_same_window(make: Maker, run: RunFolder, family: str) -> None:
    options: dict[str, Any] = dict(WINDOW)
    if family != "softmax":
        options = {
            "family": spaces.get(family),
            "score_window": 5,
            **spaces.get(family).BASELINE,
            "epochs": 12,
        }
    expected, curve = trained(make(trial_number=5, **options))
    predictions = run.predictions("local")
    resumed = make(**options, **CHECKPOINT_ALWAYS)
    resumed.train()
    resumed.train()
    report, continued = trained(make(**options))
    assert [row["val_loss"] for row in continued] == [row["val_loss"] for row in curve]
    for name in ("best_epoch", "val_accuracy", "val_loss", "val_macro_f1"):
        assert report[name] == expected[name]
    assert run.predictions("local").equals(predictions)


def test_a_checkpoint_without_the_window_is_not_used(make: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    make(**{**WINDOW, "score_window": 1}, **CHECKPOINT_ALWAYS).train()
    assert make(**WINDOW, report_seconds=0.0).train()["epoch"] == 1
    assert "restarts from its first epoch: the checkpoint lacks the probabilities" in capsys.readouterr().err


def test_a_failed_trial_has_the_worst_score(make: Maker) -> None:
    assert make(metric="log_loss", inputs=-3).train()["score"] < -16
    assert make(metric="accuracy", inputs=-3).train()["score"] == 0.0


def test_a_resumed_trial_stores_the_predictions_of_all_epochs(make: Maker, run: RunFolder) -> None:
    uninterrupted = make(epochs=5)
    while not uninterrupted.train()["done"]:
        pass
    n_tracks = len(run.predictions("local"))
    expected = run.epoch_predictions("local", n_tracks, 5).array()
    make(epochs=5, **CHECKPOINT_ALWAYS).train()
    resumed = make(epochs=5)
    while not resumed.train()["done"]:
        pass
    assert (run.epoch_predictions("local", n_tracks, 5).array() == expected).all()


def test_incomplete_predictions_of_epochs_are_removed(make: Maker, run: RunFolder) -> None:
    make(**CHECKPOINT_ALWAYS).train()
    (run.folder / "predictions").remove("local.epochs.parquet")
    resumed = make(**CHECKPOINT_ALWAYS)
    while not resumed.train()["done"]:
        pass
    names = (run.folder / "predictions").names()
    assert "local.parquet" in names
    assert "local.epochs.parquet" not in names


def test_a_resumed_trial_keeps_the_predictions_of_its_best_epoch(make: Maker, run: RunFolder) -> None:
    make(checkpoint_seconds=0.0).train()
    best = run.predictions("local")
    run.folder.remove_tree("predictions")
    resumed = make(checkpoint_seconds=0.0)
    # This training never reaches the score again, as on a GPU that rounds differently.
    resumed._ready().run_epoch = lambda _epoch: worthless_epoch(resumed._task)  # type: ignore[method-assign]
    while not resumed.train()["done"]:
        pass
    assert run.predictions("local").equals(best)


def worthless_epoch(task: Task) -> EpochOutcome:
    """Return an epoch whose probabilities are all zero."""
    zeros = tuple(np.zeros((len(fold.valid), len(task.classes)), np.float32) for fold in task.folds)
    return EpochOutcome(9.0, 0.0, zeros)


def test_a_loss_that_is_not_finite_in_half_precision_is_retried_in_float32(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = make()
    half = trial._ready()
    single = FAMILY.learner(trial._config, trial._task, seed=0)
    half.precision = "mixed_float16"
    half.in_full_precision = lambda: single  # type: ignore[method-assign]
    run_epoch = half.run_epoch

    def overflows(epoch: int) -> EpochOutcome:
        outcome = run_epoch(epoch)
        return dataclasses.replace(outcome, train_loss=math.nan) if epoch == 1 else outcome

    half.run_epoch = overflows  # type: ignore[method-assign]
    report = trial.train()
    assert (report["outcome"], report["precision"]) == ("RUNNING", "float32")
    assert [row["epoch"] for row in report["curve"]] == [1, 2]
