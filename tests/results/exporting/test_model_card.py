from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from data.dataset.metrics import judge
from results.evaluation.trials import named_trial
from results.exporting.ensemble_card import ensemble_card
from results.exporting.model_card import model_card
from results.model.files import BundleConfig, read_config
from tests.support.runs import make_info

GTZAN = ["blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock"]


def test_synthetic_numbers_are_marked(exported: Path) -> None:
    card = (exported / "README.md").read_text()
    assert "Trained on SYNTHETIC music" in card
    assert "## Numbers on synthetic data" in card


def test_the_card_has_all_sections(exported: Path) -> None:
    card = (exported / "README.md").read_text()
    for part in (
        "## Data and split",
        "## Search",
        "## Known limits",
        "## Use",
        "95 % interval",
        "results.load",
    ):
        assert part in card


def test_the_card_names_the_faults_of_gtzan(exported: Path, made_runs: Path) -> None:
    import numpy as np

    info = make_info("real", classes=GTZAN, test_fraction=None)
    trial = dataclasses.replace(named_trial("first:first_00002", str(made_runs)), info=info)
    metrics = {"validation": judge(np.eye(10), np.arange(10), GTZAN)}
    card = model_card(
        trial, read_config(exported, BundleConfig), metrics, n_trained=10, among=1, earlier_scorings=[]
    )
    assert "Sturm" in card
    assert "SYNTHETIC" not in card
    assert "a given partition" in card
    assert "stopped before its last epoch" in card
    assert "selected this trial" not in card  # a single trial


def test_the_card_says_which_epochs_were_averaged(exported: Path, made_runs: Path) -> None:
    trial = named_trial("first", str(made_runs))
    metrics = json.loads((exported / "metrics.json").read_text())
    for window, sentence in (
        (1, "The best validation epoch was 3; the exported network was trained for as many epochs."),
        (5, "its weights are the mean of the last 2."),
    ):
        info = trial.info.model_copy(update={"score_window": window})
        card = model_card(
            dataclasses.replace(trial, info=info, config={**trial.config, "epochs": 12}),
            read_config(exported, BundleConfig),
            metrics,
            n_trained=10,
            among=1,
            earlier_scorings=[],
        )
        assert sentence in card


def test_the_card_of_an_image_model_mentions_no_audio(exported: Path, made_runs: Path) -> None:
    trial = named_trial("first", str(made_runs))
    data = trial.info.cache.model_copy(update={"source": "images", "parameters": {"from_pictures": True}})
    trial = dataclasses.replace(trial, info=trial.info.model_copy(update={"cache": data}))
    metrics = json.loads((exported / "metrics.json").read_text())
    numbers: dict[str, Any] = {"n_trained": 10, "among": 4, "earlier_scorings": []}
    for card in (
        model_card(trial, read_config(exported, BundleConfig), metrics, **numbers),
        ensemble_card([trial, trial], metrics, weights=[0.5, 0.5], **numbers),
    ):
        assert "usic genres from spectrogram images" in card
        assert "Data: spectrogram images; " in card
        assert 'predict("spectrogram.png")' in card
        for word in ("audio", "song", "hear"):
            assert word not in card


def test_the_card_warns_of_a_test_set_used_by_an_earlier_search(exported: Path, made_runs: Path) -> None:
    trial = named_trial("first", str(made_runs))
    metrics = json.loads((exported / "metrics.json").read_text())
    numbers: dict[str, Any] = {"n_trained": 10, "among": 4, "earlier_scorings": []}
    for seen, warned in ((7, True), (0, False)):
        start = {"run": "earlier", "trials": [], "configurations": [], "test_tracks_seen": seen}
        warm = dataclasses.replace(trial, info=trial.info.model_copy(update={"warm_start": start}))
        for card in (
            model_card(warm, read_config(exported, BundleConfig), metrics, **numbers),
            ensemble_card([trial, warm], metrics, weights=[0.5, 0.5], **numbers),
        ):
            note = "7 test tracks were used by run `earlier`, which warm-started"
            assert (note in card) is warned
