from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest

import spaces
from data.cache.rows import Rows, joined
from data.dataset.splits import make_split
from data.dataset.task import Task, search_task
from data.errors import CacheError, SettingsError
from spaces.embedding_mlp import EmbeddingMLP
from tests.support.rows import make_rows

TWO = {"musicnn": "a" * 64, "clap": "b" * 64}
FAMILY = EmbeddingMLP(TWO)


def embedded(width: int, *, seed: int, kind: str) -> Rows:
    """Rows of the genres of `make_rows`, with other columns that tell them apart."""
    rows = make_rows(tracks=20)
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(3, width))
    number = np.unique(rows.label.astype(str), return_inverse=True)[1]
    X = (centres[number] + 0.7 * rng.normal(size=(len(number), width))).astype(np.float32)
    return replace(rows, X=X, blocks=((kind, width),))


def all_rows() -> Rows:
    features = replace(make_rows(tracks=20), blocks=(("features", 57),))
    return joined(
        [
            features,
            embedded(12, seed=1, kind="embedding-clap"),
            embedded(30, seed=2, kind="embedding-musicnn"),
        ],
        "cache",
    )


def task_of(rows: Rows) -> Task:
    return search_task(rows, make_split(rows.tracks(), folds=3, test_fraction=0.0, seed=0))


def suggested(family: EmbeddingMLP, seed: int) -> dict[str, Any]:
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    family.space(trial, 40)
    return trial.params


def test_baseline_is_a_linear_probe_of_the_first_encoder_and_a_point_of_the_space() -> None:
    study = optuna.create_study()
    baseline = FAMILY.baseline(100)
    assert (baseline["inputs"], baseline["layers"]) == ("musicnn", 0)
    study.enqueue_trial(baseline)
    trial = study.ask()
    FAMILY.space(trial, 100)
    assert trial.params == baseline
    learner = FAMILY.learner(baseline, task_of(all_rows()), seed=0)
    assert learner.n_parameters == 30 * 3 + 3


def test_inputs_are_each_encoder_all_of_them_and_the_features() -> None:
    assert FAMILY.inputs == (
        "musicnn",
        "clap",
        "musicnn+clap",
        "musicnn+features",
        "clap+features",
        "musicnn+clap+features",
        "features",
    )
    assert EmbeddingMLP({"clap": "b" * 64}).inputs == ("clap", "clap+features", "features")


def test_the_encoders_come_from_the_cache_and_are_recorded() -> None:
    family = spaces.get("embedding_mlp").for_search((99,), weights=None, embeddings=TWO)
    assert family.weights == TWO
    recorded = family.as_recorded(family.baseline(10), family.weights)
    assert isinstance(recorded, EmbeddingMLP)
    assert recorded.inputs == FAMILY.inputs
    with pytest.raises(SettingsError, match="begins with no pretrained weights"):
        spaces.get("embedding_mlp").for_search((99,), weights="imagenet", embeddings=TWO)


@pytest.mark.parametrize(
    ("inputs", "kind", "width"),
    [
        ("musicnn", "embedding-musicnn", 30),
        ("features", "features", 57),
        ("clap+features", "features+embedding-clap", 69),
        ("musicnn+clap+features", "features+embedding-clap+embedding-musicnn", 99),
    ],
)
def test_a_network_sees_the_columns_that_its_configuration_names(inputs: str, kind: str, width: int) -> None:
    rows = all_rows()
    everything = "features+embedding-clap+embedding-musicnn"
    config = FAMILY.baseline(30) | {"inputs": inputs}
    assert FAMILY.kind_for(config, everything) == kind
    assert FAMILY.accepts(kind)
    task = task_of(rows)
    fitted = FAMILY.learner(config, task, seed=0).fitted()
    assert fitted.model.input_shape == (None, width)
    chosen = task.with_blocks(kind.split("+"))
    assert chosen.X.shape[1] == width
    assert [name for name, _ in chosen.blocks] == kind.split("+")
    # An export prepares rows of these kinds only.
    prepared = FAMILY.prepare(np.asarray(chosen.X), fitted.preparation)
    train = prepared[task.folds[0].train]
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(train.std(axis=0), 1, atol=1e-3)


def test_spectrograms_are_not_accepted() -> None:
    assert not FAMILY.accepts("melspec")
    assert not FAMILY.accepts("features+melspec")


def test_more_inputs_tell_the_genres_apart_better() -> None:
    task = task_of(all_rows())
    accuracy = {}
    for inputs in ("features", "musicnn+clap+features"):
        config = FAMILY.baseline(30) | {"inputs": inputs, "learning_rate": 1e-2}
        learner = FAMILY.learner(config, task, seed=0)
        for epoch in range(30):
            outcome = learner.run_epoch(epoch)
        right = [
            probabilities.argmax(axis=1) == task.y[fold.valid]
            for probabilities, fold in zip(outcome.probabilities, task.folds, strict=True)
        ]
        accuracy[inputs] = np.concatenate(right).mean()
    assert accuracy["musicnn+clap+features"] > 0.9
    assert accuracy["musicnn+clap+features"] >= accuracy["features"]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_suggested_can_be_trained(seed: int) -> None:
    learner = FAMILY.learner(suggested(FAMILY, seed), task_of(all_rows()), seed=seed)
    assert np.isfinite(learner.run_epoch(0).train_loss)


def test_rows_of_different_segments_are_not_joined() -> None:
    rows = make_rows(tracks=20)
    other = replace(rows, track_id=rows.track_id[::-1])
    with pytest.raises(CacheError, match="its inputs have different segments"):
        joined([rows, other], "cache")
