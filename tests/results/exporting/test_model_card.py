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


def test_the_card_says_what_it_must(exported: Path) -> None:
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


def test_the_faults_of_gtzan_are_said(exported: Path, made_runs: Path) -> None:
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
    assert "compared" not in card  # one trial alone


def test_a_model_of_pictures_says_that_it_takes_pictures(exported: Path, made_runs: Path) -> None:
    trial = named_trial("first", str(made_runs))
    data = trial.info.cache.model_copy(update={"source": "images", "parameters": {"from_pictures": True}})
    trial = dataclasses.replace(trial, info=trial.info.model_copy(update={"cache": data}))
    metrics = json.loads((exported / "metrics.json").read_text())
    numbers: dict[str, Any] = {"n_trained": 10, "among": 4, "earlier_scorings": []}
    for card in (
        model_card(trial, read_config(exported, BundleConfig), metrics, **numbers),
        ensemble_card([trial, trial], metrics, weights=[0.5, 0.5], **numbers),
    ):
        assert "usic genres from pictures of spectrograms" in card
        assert "Data: pictures of spectrograms; " in card
        assert 'predict("spectrogram.png")' in card
        for word in ("audio", "song", "hear"):
            assert word not in card


def test_a_test_that_an_earlier_search_had_seen_is_said_to_be_too_high(
    exported: Path, made_runs: Path
) -> None:
    trial = named_trial("first", str(made_runs))
    metrics = json.loads((exported / "metrics.json").read_text())
    numbers: dict[str, Any] = {"n_trained": 10, "among": 4, "earlier_scorings": []}
    for seen, told in ((7, True), (0, False)):
        start = {"run": "earlier", "trials": [], "configurations": [], "test_tracks_seen": seen}
        warm = dataclasses.replace(trial, info=trial.info.model_copy(update={"warm_start": start}))
        for card in (
            model_card(warm, read_config(exported, BundleConfig), metrics, **numbers),
            ensemble_card([trial, warm], metrics, weights=[0.5, 0.5], **numbers),
        ):
            note = "began with the best of run `earlier`, which had searched on 7 of them"
            assert (note in card) is told
