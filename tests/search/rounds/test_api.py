"""A search over two numpy families on one Ray: a good one, and one that is surely worse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.cache.cache import Cache
from data.dataset.task import Task, search_task
from data.errors import CacheError, RunError, SettingsError
from search import driver, extend_families, resume_families, search_families
from search.judgement import best_trial, family_winner
from search.rounds.finals import missing_final, train_final
from search.settings import SearchSettings
from search.storage.predictions import all_folds_name
from search.storage.run_folder import RunFolder
from search.storage.search_record import is_search, run_of
from search.summary import search_lines
from tests.support.softmax import Softmax
from tests.support.weak_softmax import WeakSoftmax

BOTH = "weak_softmax,softmax"


def options(cache: Path, runs: Path, **changes: Any) -> dict[str, Any]:
    common = {"cache": str(cache), "runs": str(runs), "max_epochs": 5, "max_concurrent": 2, "folds": 2}
    return {**common, **changes}


def search_task_of(run: RunFolder, cache: Path) -> Task:
    return search_task(Cache.open(str(cache)).rows("features"), run.split())


def counts(runs: Path, name: str) -> list[int]:
    return [len(run_of(runs, name, family).trials()) for family in BOTH.split(",")]


def test_a_losing_family_gets_no_more_and_the_search_is_extended(
    ray_cluster: None, softmax: Softmax, small_cache: Path, tmp_path: Path
) -> None:
    search = search_families(BOTH, name="pair", trials=12, **options(small_cache, tmp_path))
    record = search.record()
    assert (record.status, record.families, record.left_out) == ("finished", BOTH.split(","), {})
    # Each BASELINE, then a round of ten; a last trial of the loser, if it starts before the winner is known.
    weak, strong = counts(tmp_path, "pair")
    assert weak in (11, 12)
    assert strong == 12
    assert list(record.stopped) == ["weak_softmax"]
    assert record.stopped["weak_softmax"].startswith("its best is surely below pair-softmax:")
    runs = search.runs()
    assert [run.info().status for run in runs] == ["finished", "finished"]
    assert runs[0].info().deal == runs[1].info().deal
    assert is_search(tmp_path, "pair")
    assert not is_search(tmp_path, "pair-softmax")
    # Lists of runs do not show the folder of the search.
    assert [run.name for run in RunFolder.all(tmp_path)] == ["pair-softmax", "pair-weak_softmax"]

    lines = search_lines(search)
    assert lines[1].startswith("  softmax: ")
    assert lines[2].startswith("  weak_softmax: ")
    assert "stopped: its best is surely below" in lines[2]
    text = "\n".join(lines)
    assert "Best: pair-softmax:" in text
    assert f"after correction for choosing among {weak + strong} trials" in text
    assert "Against pair-weak_softmax:" in text
    assert f"results.export pair-softmax --runs {tmp_path} --out exports/pair-softmax" in text

    # The budget is added to what is used; a family that was stopped stays so.
    extended = extend_families("pair", time_budget=8.0, runs=str(tmp_path)).record()
    assert counts(tmp_path, "pair")[0] == weak
    assert counts(tmp_path, "pair")[1] > strong
    assert extended.time_budget == pytest.approx(record.seconds + 8.0)
    assert (extended.status, extended.trials) == ("finished", None)
    for arguments, message in (
        ({}, "--extend pair: give --time-budget SECONDS, or --trials N per family"),
        ({"trials": 0}, "--trials 0: input should be greater than or equal to 1"),
    ):
        with pytest.raises(SettingsError, match=message):
            extend_families("pair", runs=str(tmp_path), **arguments)
    with pytest.raises(RunError, match="--resume pair: the search is finished"):
        resume_families("pair", runs=str(tmp_path))
    with pytest.raises(RunError, match=r"--name pair: .* exists already"):
        search_families(BOTH, name="pair", trials=2, **options(small_cache, tmp_path))


def test_the_best_of_a_hold_out_family_is_trained_on_all_folds(
    ray_cluster: None, softmax: Softmax, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Softmax, "default_folds", 5)
    monkeypatch.setattr(WeakSoftmax, "default_folds", 1)
    common = options(small_cache, tmp_path, folds=None)
    search = search_families(BOTH, name="finals", trials=2, **common)
    held_out, whole = search.runs()
    assert [run.info().folds for run in (held_out, whole)] == [1, 5]
    best, winner = best_trial(held_out), family_winner(held_out)
    assert best is not None
    assert winner is not None
    assert set(best.track_id) < set(winner.track_id)
    reference = best_trial(whole)
    assert reference is not None
    np.testing.assert_array_equal(winner.track_id, reference.track_id)
    np.testing.assert_array_equal(winner.truth, reference.truth)
    # The tracks of the hold-out keep the predictions that chose the trial.
    rows = np.isin(winner.track_id, best.track_id)
    np.testing.assert_array_equal(winner.probabilities[rows], best.probabilities)
    np.testing.assert_allclose(winner.probabilities.sum(axis=1), 1, rtol=1e-6)
    text = "\n".join(search_lines(search))
    assert f"; trained on all folds: {100 * winner.score:.1f} % [" in text
    assert f"on the {len(reference.track_id)} tracks that both validated" in text

    # Nothing is missing, until another trial is the best or the file is gone.
    entrant = {"task": search_task_of(held_out, small_cache), "others": search.runs(), "concurrent": 2}
    settings = SearchSettings.checked(family="weak_softmax", **common)
    assert missing_final(held_out, settings, **entrant) is None
    (held_out.folder / "predictions").remove(f"{all_folds_name(best.trial_id)}.parquet")
    final = missing_final(held_out, settings, **entrant)
    assert final is not None
    assert len(final.folds) == 4
    assert final.seconds > 0
    with pytest.raises(RunError, match="on all folds took longer than the time left"):
        list(train_final(final, seconds=0.0))
    assert missing_final(held_out, settings, **entrant) is not None
    assert list(train_final(final)) == [1, 2, 3, 4]
    again = family_winner(held_out)
    assert again is not None
    np.testing.assert_allclose(again.probabilities, winner.probabilities)


@pytest.mark.slow
def test_an_interrupted_search_is_resumed_within_its_budget(
    ray_cluster: None, softmax: Softmax, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played: list[str] = []

    def interrupted(run: RunFolder, *args: Any, **kwargs: Any) -> RunFolder:
        played.append(run.name)
        if len(played) == 2:
            raise KeyboardInterrupt
        return driver.search(run, *args, **kwargs)

    monkeypatch.setattr("search.rounds.entrant.search", interrupted)
    # With one trial at a time, the families take turns.
    one_by_one = options(small_cache, tmp_path, max_concurrent=1)
    held = search_families(BOTH, name="held", time_budget=600, trials=2, **one_by_one)
    assert held.record().status == "interrupted"
    assert [run.info().status for run in held.runs()] == ["finished", "interrupted"]
    text = "\n".join(search_lines(held))
    assert "softmax: no trial has ended" in text
    assert f"--resume held --runs {tmp_path}" in text
    with pytest.raises(RunError, match="--extend held: the search is not finished"):
        extend_families("held", trials=1, runs=str(tmp_path))
    before = held.record().seconds
    resumed = resume_families("held", runs=str(tmp_path)).record()
    # The BASELINE that was missing comes before any further round.
    assert played[2] == "held-softmax"
    assert (resumed.status, resumed.trials) == ("finished", 2)
    assert before < resumed.seconds < 600
    assert counts(tmp_path, "held") == [2, 2]


def test_families_that_the_data_does_not_allow(softmax: Softmax, small_cache: Path, tmp_path: Path) -> None:
    common = options(small_cache, tmp_path)
    with pytest.raises(CacheError, match="has no embeddings; make them with"):
        search_families("softmax,embedding_mlp", name="x", **common)
    with pytest.raises(SettingsError, match="--warm-start cannot be used with several families"):
        search_families(BOTH, warm_start="earlier", **common)
    with pytest.raises(SettingsError, match="--searcher grid cannot be used with several families"):
        search_families(BOTH, searcher="grid", **common)
    with pytest.raises(SettingsError, match="--name a:b: the name of a run must be"):
        search_families(BOTH, name="a:b", **common)
    # A parameter that no family has.
    with pytest.raises(SettingsError, match="nothing"):
        search_families("all", set={"nothing": 1}, **common)
    assert list(tmp_path.iterdir()) == []
