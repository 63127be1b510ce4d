from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spaces
from data.splits import make_split
from data.task import search_task
from search import trial as module
from search.trial import GenreTrial
from spaces.training.run_folder import RunFolder
from tests.conftest import make_rows

FAMILY = spaces.get("features_mlp")
CONFIG = {**FAMILY.BASELINE, "batch_size": 16, "epochs": 6, "trial_number": 4}

Maker = Callable[..., GenreTrial]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.at(tmp_path, "run")


@pytest.fixture
def make(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Maker]:
    # TensorFlow takes its threads before its first operation only, and this process has had many.
    monkeypatch.setattr(module, "_limit_threads", lambda: None)
    # However slow the machine, reports come at the rungs only.
    monkeypatch.setattr(module, "_REPORT_SECONDS", float("inf"))
    rows = make_rows()
    task = search_task(rows, make_split(rows.tracks(), folds=3, test_fraction=0.2, seed=0))
    made = []

    class Local(GenreTrial):
        def setup(self, config: dict[str, Any]) -> None:  # type: ignore[override]
            super().setup(config, task=task, family="features_mlp", run=run, seed=0, milestones=(2, 4))

        @property
        def trial_id(self) -> str:
            return "local"

    def maker(**changes: Any) -> GenreTrial:
        made.append(Local({**CONFIG, **changes}))
        return made[-1]

    yield maker
    for trial in made:
        trial.stop()


def test_reports_come_at_the_rungs_and_the_end(make: Maker) -> None:
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


def test_a_long_trial_reports_between_rungs(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REPORT_SECONDS", 0.0)
    assert make().train()["epoch"] == 1


def test_predictions_are_those_of_the_best_epoch(make: Maker, run: RunFolder) -> None:
    trial = make()
    for _ in range(3):
        report = trial.train()
    saved = run.predictions("local")
    chosen = saved.filter(like="p.").to_numpy().argmax(axis=1)
    genres = np.array(["blues", "disco", "metal"])
    assert (genres[chosen] == saved["label"]).mean() == pytest.approx(report["val_accuracy"])
    assert [name.split("/")[0] for name in saved["track_id"]] == saved["label"].tolist()


def test_a_restored_trial_ends_with_the_same_numbers(make: Maker, tmp_path: Path) -> None:
    whole = make()
    for _ in range(3):
        expected = whole.train()
    begun = make()
    begun.train()
    begun.save_checkpoint(str(tmp_path))
    restored = make()
    restored.load_checkpoint(str(tmp_path))
    for _ in range(2):
        report = restored.train()
    for name in ("epoch", "best_epoch", "val_accuracy", "val_loss", "train_loss"):
        assert report[name] == expected[name]


@pytest.mark.parametrize("name", ["state.npz", "progress.json"])
def test_a_checkpoint_cut_short_is_said(make: Maker, tmp_path: Path, name: str) -> None:
    trial = make()
    trial.train()
    trial.save_checkpoint(str(tmp_path))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(module.RunError, match="the checkpoint is not whole"):
        make().load_checkpoint(str(tmp_path))


def test_an_actor_takes_the_next_configuration(make: Maker) -> None:
    trial = make()
    trial.train()
    fresh = make(units_1=20).train()
    assert trial.reset_config({**CONFIG, "units_1": 20})
    again = trial.train()
    for name in ("epoch", "val_accuracy", "val_loss", "params"):
        assert again[name] == fresh[name]


def test_an_exception_is_the_trials_outcome(make: Maker) -> None:
    report = make(activation="nonsense").train()
    assert (report["outcome"], report["done"], report["val_accuracy"]) == ("FAIL", True, 0.0)
    assert "nonsense" in report["error"]
    assert "Traceback" in report["error"]


def test_a_loss_that_is_not_finite_ends_the_trial(make: Maker) -> None:
    report = make(learning_rate=1e30, optimizer="adam").train()
    assert (report["outcome"], report["done"]) == ("FAIL", True)
    assert "the loss was not finite in epoch" in report["error"]


def test_memory_that_runs_out_is_told_apart(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = make()

    def exhausted(*_: Any, **__: Any) -> None:
        raise MemoryError("no more")

    monkeypatch.setattr(type(trial._family), "learner", exhausted)
    report = trial.train()
    assert (report["outcome"], report["done"]) == ("OOM", True)
