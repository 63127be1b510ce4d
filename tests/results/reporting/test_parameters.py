from __future__ import annotations

from pathlib import Path

import pytest

from results.reporting.importance import importance_figure, importances
from results.reporting.parameters import ParameterFigures
from results.reporting.run_data import RunData
from search.storage.run_folder import RunFolder
from tests.support.audible import N_TRIALS, audible_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return audible_run(tmp_path_factory.mktemp("run"))


def shortened(run: RunFolder, folder: Path, trials: int) -> RunData:
    """The run after its first trials."""
    copy = RunFolder.at(folder, run.name)
    copy.write_info(run.info())
    copy.write_tables(run.trials().head(trials), run.history())
    return RunData.read(copy)


def test_importance_comes_with_its_uncertainty(run: RunFolder) -> None:
    importance = importances(RunData.read(run))
    # Only the learning rate has an effect on these scores.
    assert next(iter(importance.shares)) == "learning_rate"
    low, high = importance.ranges["learning_rate"]
    assert 0 <= low < importance.shares["learning_rate"] <= 1
    assert low < high <= 1
    (bars,) = importance_figure(importance).data
    assert bars["y"][-1] == "learning_rate"
    assert bars["error_x"]["array"][-1] == pytest.approx(
        100 * max(0, high - importance.shares["learning_rate"]), rel=1e-3
    )
    assert "20 estimates on resampled trials" in importance_figure(importance).caption
    assert f"over {N_TRIALS} trials" in importance.method


@pytest.mark.parametrize(
    ("trials", "kinds"),
    [(4, set()), (6, {"slice"}), (9, {"slice", "parallel"}), (24, {"slice", "parallel", "pair"})],
)
def test_nothing_is_drawn_from_too_few_trials(
    run: RunFolder, tmp_path: Path, trials: int, kinds: set[str]
) -> None:
    run_data = shortened(run, tmp_path, trials)
    importance = importances(run_data)
    assert bool(importance.shares) == (trials >= 10)
    figures = ParameterFigures(run_data, importance).figures()
    assert {figure.name.partition("-")[0] for figure in figures} == kinds


def test_no_point_is_outside_its_plot(run: RunFolder) -> None:
    run_data = RunData.read(run)
    figures = ParameterFigures(run_data, importances(run_data)).figures()
    slices = [figure for figure in figures if figure.name.startswith("slice")]
    assert slices
    for figure in slices:
        low, high = figure.layout["xaxis"]["range"]
        # Half a marker of seven pixels is less than 0.03 of the narrowest plot.
        assert low + 0.03 < min(figure.data[0]["x"]) <= max(figure.data[0]["x"]) < high - 0.03


def test_a_pair_shows_the_measured_trials_over_a_surface(run: RunFolder) -> None:
    run_data = RunData.read(run)
    figures = ParameterFigures(run_data, importances(run_data)).figures()
    pair = next(figure for figure in figures if figure.name == "pair-0")
    assert len(pair.data[0]["x"]) == N_TRIALS
    assert pair.layout["images"][0]["source"].startswith("data:image/png;base64,")
