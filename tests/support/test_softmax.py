"""The numpy family behaves like a real one, without TensorFlow."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import spaces
from data.dataset.splits import make_split
from data.dataset.task import Task, search_task
from data.errors import RunError, SettingsError
from search.sampling.search_space import make_space
from tests.support.processes import python
from tests.support.rows import make_rows
from tests.support.softmax import FAMILY, Softmax


@pytest.fixture(scope="module")
def task() -> Task:
    rows = make_rows()
    return search_task(rows, make_split(rows.tracks(), folds=3, test_fraction=0.2, seed=0))


def test_it_is_registered_for_the_fixture_only(softmax: Softmax) -> None:
    assert spaces.get("softmax") is softmax is FAMILY
    process = python("import spaces; spaces.get('softmax')")
    assert f"{SettingsError.__name__}: --family softmax: unknown" in process.stderr


def test_it_learns_and_continues_from_a_checkpoint_with_equal_numbers(task: Task) -> None:
    learner = FAMILY.learner(FAMILY.BASELINE, task, seed=1)
    outcomes = [learner.run_epoch(epoch) for epoch in range(3)]
    state = learner.state()
    outcomes += [learner.run_epoch(epoch) for epoch in range(3, 8)]
    losses = [outcome.train_loss for outcome in outcomes]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 1.5 * losses[-1]
    restored = FAMILY.learner(FAMILY.BASELINE, task, seed=1)
    restored.restore(state)
    again = [restored.run_epoch(epoch) for epoch in range(3, 8)]
    assert [outcome.train_loss for outcome in again] == losses[3:]
    for fold, probabilities in zip(task.folds, again[-1].probabilities, strict=True):
        assert probabilities.shape == (len(fold.valid), 3)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)
        assert (probabilities.argmax(axis=1) == task.y[fold.valid]).mean() > 0.7
    with pytest.raises(RunError, match="another network"):
        FAMILY.learner({**FAMILY.BASELINE, "inputs": 20}, task, seed=1).restore(state)


def test_bad_configurations_fail_as_those_of_a_real_family(task: Task) -> None:
    with pytest.raises(ValueError, match="inputs 0"):
        FAMILY.learner({**FAMILY.BASELINE, "inputs": 0}, task, seed=0)
    learner = FAMILY.learner({**FAMILY.BASELINE, "learning_rate": 1e30}, task, seed=0)
    assert not all(math.isfinite(learner.run_epoch(epoch).train_loss) for epoch in range(2))


def test_an_epoch_waits_for_the_end_of_its_hold_file(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = tmp_path / "hold"
    hold.write_text("1")
    monkeypatch.setattr(FAMILY, "hold_file", hold)
    learner = FAMILY.learner(FAMILY.BASELINE, task, seed=0)
    learner.run_epoch(0)
    with ThreadPoolExecutor(1) as background:
        held = background.submit(learner.run_epoch, 1)
        with pytest.raises(TimeoutError):
            held.result(timeout=0.2)
        hold.unlink()
        assert math.isfinite(held.result(timeout=60).train_loss)


def test_the_baseline_and_the_portfolio_are_points_of_the_space() -> None:
    for config in (FAMILY.BASELINE, *FAMILY.PORTFOLIO):
        space = make_space(FAMILY, 30, fixed={})
        assert set(config) <= set(space.describe())


def test_its_export_predicts_like_the_learner(task: Task) -> None:
    learner = FAMILY.learner({**FAMILY.BASELINE, "inputs": 20}, task, seed=1)
    expected = learner.run_epoch(0).probabilities[2]
    fitted = learner.fitted(2)
    rows = FAMILY.prepare(task.X[task.folds[2].valid], fitted.preparation)
    np.testing.assert_allclose(fitted.model.predict(rows, verbose=0), expected, atol=1e-5)


def test_training_does_not_import_tensorflow() -> None:
    process = python(
        "import sys\n"
        "from data.dataset.splits import make_split\n"
        "from data.dataset.task import search_task\n"
        "from tests.support.rows import make_rows\n"
        "from tests.support.softmax import FAMILY\n"
        "rows = make_rows()\n"
        "task = search_task(rows, make_split(rows.tracks(), folds=2, test_fraction=0.2, seed=0))\n"
        "FAMILY.set_up(cpus=1.0, gpus=False)\n"
        "FAMILY.learner(FAMILY.BASELINE, task, seed=0).run_epoch(0)\n"
        "sys.exit(','.join(sorted({'tensorflow', 'keras', 'torch'} & set(sys.modules))) or 0)\n"
    )
    assert process.returncode == 0, process.stderr
