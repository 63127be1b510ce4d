"""The rounds with trials that are trained in this process, in place of Ray's workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

import spaces
from data.dataset.scores import COLUMNS, merit, score
from data.dataset.task import Task
from data.dataset.track_scores import track_probabilities
from data.errors import RunError
from search.plan import make_plan, now
from search.rounds.api import FamilySearch
from search.rounds.engine import play
from search.rounds.entrant import Entrant, trials_beside
from search.rounds.finals import Final
from search.settings import SearchSettings
from search.storage.run_folder import RunFolder
from search.storage.run_info import RunInfo
from search.storage.search_record import SearchRecord, read_record
from search.storage.study import create_study
from search.storage.tables import write_tables
from search.summary import search_lines
from tests.support.softmax import Softmax

EPOCHS = 3


class Driver:
    """Train the trials that a round asks for; note the rounds, and interrupt one of them."""

    def __init__(self, interrupt: int | None = None) -> None:
        self.rounds: list[tuple[str, int]] = []
        self._interrupt = interrupt

    def __call__(
        self, run: RunFolder, info: RunInfo, settings: SearchSettings, task: Task, *_: Any, **__: Any
    ) -> RunFolder:
        study = create_study(run, optuna.samplers.RandomSampler(seed=0))
        known = len(study.get_trials(deepcopy=False))
        self.rounds.append((info.family, info.trials - known))
        if len(self.rounds) == self._interrupt:
            raise KeyboardInterrupt
        for number in range(known, info.trials):
            if number == 0:
                study.enqueue_trial(info.baseline)
            train(run, study, spaces.get(info.family), task)
        write_tables(run, study)
        ended = {
            "status": "finished",
            "reason": "all trials",
            "seconds": info.seconds + 100.0,
            "ended": now(),
        }
        run.write_info(info.model_copy(update=ended))
        return run


def train(run: RunFolder, study: optuna.Study, family: Any, task: Task) -> None:
    trial = study.ask()
    family.space(trial, EPOCHS)
    learner = family.learner(trial.params, task, seed=0)
    outcome = [learner.run_epoch(epoch) for epoch in range(EPOCHS)][-1]
    probabilities = track_probabilities(task, outcome.probabilities)
    validated = task.validated
    truth = task.track_label[validated]
    attributes = {
        "trial_id": f"id{trial.number}",
        "best_epoch": EPOCHS,
        "epochs": EPOCHS,
        "seconds": 100.0,
        **score(probabilities, truth).columns(),
    }
    for name, value in attributes.items():
        trial.set_user_attr(name, value)
    labels = [task.classes[genre] for genre in truth]
    run.write_predictions(
        f"id{trial.number}", task.track_id[validated], labels, task.classes, probabilities, EPOCHS
    )
    metric = run.info().metric
    study.tell(trial, merit(attributes[COLUMNS[metric]], metric))


def start(
    cache: Path, runs: Path, *, metric: str = "accuracy", weak_folds: int = 5, **limits: Any
) -> tuple[SearchRecord, list[Entrant]]:
    entrants = []
    for family in ("weak_softmax", "softmax"):
        settings = SearchSettings.checked(
            family=family,
            cache=str(cache),
            runs=str(runs),
            name=f"pair-{family}",
            max_epochs=EPOCHS,
            folds=weak_folds if family == "weak_softmax" else 5,
            metric=metric,
        )
        plan = make_plan(settings)
        plan.run.write_split(plan.split)
        plan.run.write_info(plan.info)
        entrants.append(Entrant(plan.run, settings, plan.task, concurrent=2))
    families = [entrant.family for entrant in entrants]
    record = SearchRecord(
        name="pair",
        families=families,
        status="running",
        created=now(),
        **{"trials": None, "time_budget": None, **limits},
    )
    return record, entrants


def test_baselines_first_and_no_more_for_the_loser(
    softmax: Softmax, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver()
    monkeypatch.setattr("search.rounds.entrant.search", driver)
    record, entrants = start(small_cache, tmp_path, trials=16)
    ended = play(tmp_path, record, entrants)
    assert driver.rounds[:2] == [("weak_softmax", 2), ("softmax", 2)]
    assert driver.rounds[2:] == [("weak_softmax", 10), ("softmax", 10), ("softmax", 4)]
    assert ended == read_record(tmp_path, "pair")
    assert (ended.status, list(ended.stopped)) == ("finished", ["weak_softmax"])
    assert ended.stopped["weak_softmax"].startswith("its best is surely below pair-softmax:")
    lines = search_lines(FamilySearch("pair", str(tmp_path)))
    assert lines[1].startswith("  softmax: ")
    assert lines[2].startswith("  weak_softmax: ")
    assert "; stopped: its best is surely below" in lines[2]
    assert any(line.startswith("Against pair-weak_softmax:") for line in lines)
    assert f"--extend pair --runs {tmp_path} --time-budget 3600" in lines[-1]


def test_families_are_judged_and_ordered_by_the_metric_of_the_search(
    softmax: Softmax, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.rounds.entrant.search", Driver())
    record, entrants = start(small_cache, tmp_path, trials=16, metric="log_loss")
    ended = play(tmp_path, record, entrants)
    assert list(ended.stopped) == ["weak_softmax"]
    assert ended.stopped["weak_softmax"].startswith("its best is surely above pair-softmax:")
    lines = search_lines(FamilySearch("pair", str(tmp_path)))
    assert lines[1].startswith("  softmax: 0.")
    assert lines[2].startswith("  weak_softmax: ")
    assert any(line.startswith("Against pair-weak_softmax:") and " -0." in line for line in lines)


def test_an_interruption_between_rounds_is_recorded_and_resumed(
    softmax: Softmax, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(interrupt=2)
    monkeypatch.setattr("search.rounds.entrant.search", driver)
    record, entrants = start(small_cache, tmp_path, trials=3)
    interrupted = play(tmp_path, record, entrants)
    assert interrupted.status == "interrupted"
    assert [entrant.run.info().status for entrant in entrants] == ["finished", "interrupted"]
    resumed = play(tmp_path, interrupted, entrants)
    # The BASELINE that is missing comes before any further round.
    assert driver.rounds[2:] == [("softmax", 2), ("weak_softmax", 1), ("softmax", 1)]
    assert resumed.status == "finished"
    assert resumed.seconds > interrupted.seconds


def test_a_budget_of_seconds_ends_the_rounds(
    softmax: Softmax, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver()
    monkeypatch.setattr("search.rounds.entrant.search", driver)
    record, entrants = start(small_cache, tmp_path, time_budget=120.0)
    # All but a few seconds were used in earlier sessions.
    ended = play(tmp_path, record.model_copy(update={"seconds": 114.0}), entrants)
    # At 50 seconds per trial, a slice of 20 holds what runs at the same time.
    assert {trials for _, trials in driver.rounds} == {2}
    assert driver.rounds[:2] == [("weak_softmax", 2), ("softmax", 2)]
    assert ended.status == "finished"
    assert ended.seconds >= 115.0


def test_the_best_of_a_hold_out_is_trained_on_all_folds_where_time_allows(
    softmax: Softmax,
    small_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trained: list[Final] = []

    def interrupted_once(final: Final, *, seconds: float | None) -> Iterator[int]:
        assert seconds is not None
        assert seconds > final.seconds
        trained.append(final)
        if len(trained) == 1:
            raise KeyboardInterrupt
        yield len(final.folds)

    monkeypatch.setattr("search.rounds.entrant.search", Driver())
    monkeypatch.setattr("search.rounds.engine.train_final", interrupted_once)
    record, entrants = start(small_cache, tmp_path, weak_folds=1, trials=2, time_budget=600)
    ended = play(tmp_path, record, entrants)
    assert ended.status == "interrupted"
    ended = play(tmp_path, ended, entrants)
    assert ended.status == "finished"
    assert [final.run.name for final in trained] == ["pair-weak_softmax"] * 2
    # Four further folds of 100 s, two at a time, and a margin.
    assert trained[1].seconds == pytest.approx(1.2 * 2 * 100)
    fold = trained[1].folds[0]
    assert not set(fold.train) & set(fold.valid)
    assert sum(len(fold.valid) for fold in trained[1].folds) < len(trained[1].task.y)
    assert "weak_softmax: 4 of 4 further folds trained" in capsys.readouterr().err

    play(tmp_path, ended.model_copy(update={"time_budget": ended.seconds + 100}), entrants)
    assert len(trained) == 2
    line = next(line for line in capsys.readouterr().err.splitlines() if "is compared on" in line)
    assert "training its best trial on all folds would take 4:00, and 1:" in line


def test_families_without_common_folds_are_not_trained_again(
    softmax: Softmax, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.rounds.entrant.search", Driver())
    monkeypatch.setattr("search.rounds.engine.train_final", lambda final, **_: pytest.fail(final.run.name))
    record, entrants = start(small_cache, tmp_path, trials=2)
    assert play(tmp_path, record, entrants).status == "finished"


def with_gpus(entrants: list[Entrant]) -> list[Entrant]:
    """Let the trials of the first family reserve GPUs, on a cluster with room for one trial of each kind."""
    entrants[0].settings = entrants[0].settings.model_copy(update={"gpus_per_trial": 0.5})
    for entrant in entrants:
        entrant.beside = 1
    return entrants


class Meeting(Driver):
    """A driver whose first rounds, one per family, only end together."""

    def __init__(self, fail: str | None = None) -> None:
        super().__init__()
        self.shares: list[tuple[str, int]] = []
        self._barrier = threading.Barrier(2, timeout=60)
        self._fail = fail

    def __call__(
        self,
        run: RunFolder,
        info: RunInfo,
        settings: SearchSettings,
        task: Task,
        concurrent: int,
        *args: Any,
        **options: Any,
    ) -> RunFolder:
        first = info.family not in {family for family, _ in self.shares}
        self.shares.append((info.family, concurrent))
        if first:
            self._barrier.wait()
        elif info.family == self._fail:
            raise RunError("the disk is full")
        return super().__call__(run, info, settings, task)


def test_families_with_and_without_gpus_train_at_the_same_time(
    softmax: Softmax, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Meeting()
    monkeypatch.setattr("search.rounds.entrant.search", driver)
    record, entrants = start(small_cache, tmp_path, trials=6)
    ended = play(tmp_path, record, with_gpus(entrants))
    assert ended.status == "finished"
    assert [len(entrant.run.trials()) for entrant in entrants] == [6, 6]
    # Each kind has its share.
    assert {*driver.shares[:2]} == {("weak_softmax", 1), ("softmax", 1)}


def test_a_kind_that_is_left_alone_gets_the_whole_cluster(
    softmax: Softmax, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Meeting()
    monkeypatch.setattr("search.rounds.entrant.search", driver)
    record, entrants = start(small_cache, tmp_path, trials=14)
    # The first family has no time left for more than its BASELINE.
    play(tmp_path, record.model_copy(update={"stopped": {"weak_softmax": "lost"}}), with_gpus(entrants))
    assert ("softmax", 2) in driver.shares
    assert [len(entrant.run.trials()) for entrant in entrants] == [1, 14]


def test_the_error_of_one_kind_ends_the_search(
    softmax: Softmax, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.rounds.entrant.search", Meeting(fail="weak_softmax"))
    record, entrants = start(small_cache, tmp_path, time_budget=600.0)
    with pytest.raises(RunError, match="the disk is full"):
        play(tmp_path, record, with_gpus(entrants))


def test_a_cluster_is_divided_between_trials_with_and_without_gpus(tmp_path: Path) -> None:
    common = {"cache": "c", "runs": str(tmp_path)}
    gpu = SearchSettings.checked(family="melspec_cnn", gpus_per_trial=0.25, **common)
    cpu = SearchSettings.checked(family="features_mlp", **common)
    nodes = [{"CPU": 8.0, "GPU": 1.0}]
    assert [trials_beside(nodes, own, [gpu, cpu], concurrent=8) for own in (gpu, cpu)] == [4, 4]


def test_two_families_without_gpus_share_a_cluster_of_fixed_size(tmp_path: Path) -> None:
    common = {"cache": "c", "runs": str(tmp_path)}
    first = SearchSettings.checked(family="features_mlp", **common)
    second = SearchSettings.checked(family="melspec_cnn", **common)
    nodes = [{"CPU": 5.0}]
    assert trials_beside(nodes, first, [first, second], concurrent=5) == 2
    assert trials_beside(nodes, first, [first, second], concurrent=1) == 0
    assert trials_beside(nodes, first, [first], concurrent=5) == 0
    growing = first.model_copy(update={"address": "auto"})
    assert trials_beside(nodes, growing, [growing, second], concurrent=5) == 0


def test_two_families_train_at_the_same_time_and_the_last_one_alone(
    softmax: Softmax, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Meeting()
    monkeypatch.setattr("search.rounds.entrant.search", driver)
    record, entrants = start(small_cache, tmp_path, trials=30)
    for entrant in entrants:
        entrant.beside = 1
    assert play(tmp_path, record, entrants).status == "finished"
    assert {*driver.shares[:2]} == {("weak_softmax", 1), ("softmax", 1)}
    # The loser is stopped; then the winner has the whole cluster.
    assert driver.shares[-1] == ("softmax", 2)
    assert len(entrants[1].run.trials()) == 30
    assert len(entrants[0].run.trials()) < 30


def test_the_family_that_has_had_the_least_time_is_next(
    softmax: Softmax, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver()
    monkeypatch.setattr("search.rounds.entrant.search", driver)
    record, entrants = start(small_cache, tmp_path, trials=9)
    play(tmp_path, record.model_copy(update={"trials": 2}), entrants)
    info = entrants[0].run.info()
    entrants[0].run.write_info(info.model_copy(update={"seconds": 5000.0}))
    driver.rounds.clear()
    play(tmp_path, record, entrants)
    assert [family for family, _ in driver.rounds] == ["softmax", "weak_softmax"]
