"""Searches of the families that read spectrograms or images, with real workers."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from click.testing import CliRunner
from optuna.trial import TrialState

from results.evaluation.trials import find_trial
from results.exporting.writer import export_trial
from results.model.classifier import Classifier
from search import SearchSettings, run_search
from search.run import main
from search.storage.run_folder import RunFolder
from search.storage.study import open_study
from spaces.melspec_cnn import MelspecCNN
from spaces.training.family import Family
from tests.support.collection import clip
from tests.support.error_lines import error_line
from tests.support.tensors import write_tensor_cache

pytestmark = pytest.mark.slow

EXHAUSTING = 10**13
"""Units of a layer whose weights fit into no machine's memory."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tensor_cache(tmp_path_factory.mktemp("tensors") / "cache")


@pytest.fixture(scope="module")
def run(ray_cluster: None, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Run a search with two folds in which some configurations exhaust the memory."""
    folder = tmp_path_factory.mktemp("run")
    settings = SearchSettings.checked(
        family="melspec_cnn",
        cache=str(cache),
        runs=str(folder / "runs"),
        name="tensors",
        trials=5,
        max_epochs=2,
        folds=2,
        seed=3,
        searcher="random",
        portfolio=False,
        max_concurrent=1,
    )
    # Only the driver suggests these configurations; the workers run unchanged code.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MelspecCNN, "space", exhausting_space)
        return run_search(settings)


def exhausting_space(family: Family, trial: optuna.Trial, max_epochs: int) -> None:
    for name, value in {**family.BASELINE, "filters": 8}.items():
        if name == "epochs":
            continue
        choices = (EXHAUSTING, 8, 64) if name == "dense" else (value, family.BASELINE[name])
        trial.suggest_categorical(name, tuple(dict.fromkeys(choices)))
    trial.suggest_int("epochs", max_epochs, max_epochs)


def test_a_trial_that_exhausts_the_memory_fails_and_the_search_continues(run: RunFolder) -> None:
    trials = run.trials()
    exhausted = trials["config.dense"] == EXHAUSTING
    assert 0 < exhausted.sum() < len(trials) == 5
    assert (trials["status"] == "OOM").tolist() == exhausted.tolist()
    assert trials["val_accuracy"].isna().tolist() == exhausted.tolist()
    assert trials[exhausted]["error"].str.contains("ResourceExhausted|MemoryError").all()
    assert run.info().status == "finished"
    for trial in open_study(run).trials:
        failed = trial.params["dense"] == EXHAUSTING
        assert (trial.state == TrialState.FAIL) == failed


def test_every_track_is_predicted_once_across_the_folds(run: RunFolder) -> None:
    info = run.info()
    assert (info.folds, info.n_validated, info.n_test) == (2, 29, 7)
    predictions = run.predictions(str(run.trials()["trial_id"].iloc[0]))
    assert len(predictions) == predictions["track_id"].nunique() == 29


def test_the_best_trial_is_exported_and_predicts_audio(run: RunFolder, tmp_path: Path) -> None:
    import soundfile

    metrics = export_trial(find_trial(run), tmp_path / "export", runs=run.folder.uri.rpartition("/")[0])
    assert metrics["test"]["n"] == 7
    path = tmp_path / "clip.wav"
    soundfile.write(path, clip(1, 2.0), 22050)
    prediction = Classifier.load(tmp_path / "export").predict(path)
    assert sum(prediction.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
    assert prediction.start_s == pytest.approx([0.0, 0.5, 1.0, 1.5], abs=0.05)


@pytest.mark.parametrize("family", ["melspec_cnn", "image_cnn"])
def test_a_cache_without_tensors_is_reported_in_one_line(
    family: str, small_cache: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    options = ["--family", family, "--cache", str(small_cache), "--runs", str(runs)]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 2
    assert error_line(result.stderr).startswith("Error: ")
    kind = family.removesuffix("_cnn")
    assert f"has no {kind} tensors; make them with 'python -m data.prepare" in result.stderr
    assert f"--{kind}'" in result.stderr
    assert not runs.exists()


def test_too_few_groups_for_the_folds_are_reported(cache: Path, tmp_path: Path) -> None:
    options = ["--family", "melspec_cnn", "--cache", str(cache), "--runs", str(tmp_path), "--folds", "20"]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 2
    assert (
        "genre 'blues' has 9 independent groups of tracks, fewer than the 20 requested parts" in result.stderr
    )
