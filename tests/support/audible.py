"""A run on real audio files, written without a search: 24 trials, a failed one, predictions, and a cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from data.cache.format import FORMAT, CacheInfo
from data.io.folder import Folder
from search.storage.columns import HISTORY_COLUMNS
from search.storage.run_folder import RunFolder
from search.storage.run_info import CacheRef
from tests.support.collection import make_collection
from tests.support.runs import write_scores

N_TRIALS = 24
GENRES = ("genre0", "genre1", "genre2")
_TRACKS = 8
_CLIP_SECONDS = 1.5
_SPACE = {
    "learning_rate": {
        "name": "FloatDistribution",
        "attributes": {"low": 1e-4, "high": 0.1, "log": True, "step": None},
    },
    "units_1": {"name": "IntDistribution", "attributes": {"low": 8, "high": 512, "log": True, "step": 1}},
    "dropout": {
        "name": "FloatDistribution",
        "attributes": {"low": 0.0, "high": 0.5, "log": False, "step": None},
    },
    "scaler": {"name": "CategoricalDistribution", "attributes": {"choices": ["standard", "robust"]}},
}


def audible_run(root: Path, name: str = "heard") -> RunFolder:
    """Write a collection, its cache, and a run; its files are stored in `root`, the run in ``root/runs``."""
    tracks = _write_collection(root)
    rng = np.random.default_rng(0)
    rate = 10 ** rng.uniform(-4, -1, N_TRIALS)
    accuracy = 0.9 - 0.1 * np.abs(np.log10(rate) + 2.5) + rng.normal(scale=0.02, size=N_TRIALS)
    run = write_scores(
        root / "runs",
        name,
        [*accuracy.clip(0, 1).round(3).tolist(), None],
        cache=CacheRef(
            uri=str(root / "cache"), fingerprint="0" * 64, source="audio", synthetic=False, parameters={}
        ),
        classes=list(GENRES),
        n_validated=len(tracks),
        n_test=6,
        folds=5,
        test_fraction=0.2,
        space=_SPACE,
        trials=N_TRIALS + 1,
        git_revision="a" * 40,
    )
    trials = run.trials()
    trials["config.learning_rate"] = [*rate, 0.01]
    trials["config.units_1"] = rng.integers(8, 512, N_TRIALS + 1).astype(float)
    trials["config.dropout"] = rng.uniform(0, 0.5, N_TRIALS + 1)
    trials["config.scaler"] = [["standard", "robust"][number % 2] for number in range(N_TRIALS + 1)]
    trials.loc[5:8, "status"] = "PRUNED"
    trials.loc[N_TRIALS, "error"] = "Traceback (most recent call last):\n  ...\nValueError: <too wide>\n"
    history = [
        {"trial_id": f"t{number}", "epoch": epoch, "val_accuracy": accuracy[number] * (0.6 + 0.4 * epoch / 3)}
        for number in range(N_TRIALS)
        for epoch in (1, 2, 3)
    ]
    run.write_tables(trials, pd.DataFrame(history, columns=list(HISTORY_COLUMNS)))
    labels = np.array([track.split("/")[0] for track in tracks], dtype=object)
    truth = np.array([GENRES.index(label) for label in labels])
    for number in range(N_TRIALS):
        probabilities = rng.dirichlet(np.full(3, 0.4), len(tracks))
        right = rng.random(len(tracks)) < accuracy[number] - 0.5
        probabilities[right] = 0.1
        probabilities[right, truth[right]] = 0.8
        run.write_predictions(f"t{number}", np.array(tracks, dtype=object), labels, GENRES, probabilities)
    return run


def _write_collection(root: Path) -> list[str]:
    """Write audio files and the parts of their cache that a report reads; return the tracks."""
    audio = make_collection(root / "audio", genres=len(GENRES), tracks=_TRACKS, seconds=_CLIP_SECONDS)
    tracks = sorted(path.relative_to(audio).as_posix() for path in audio.glob("*/*.wav"))
    folder = Folder.at(root / "cache")
    manifest = {
        "track_id": tracks,
        "path": [str(audio / track) for track in tracks],
        "label": [track.split("/")[0] for track in tracks],
        "duration_s": [_CLIP_SECONDS] * len(tracks),
        "status": ["ok"] * len(tracks),
    }
    folder.write_table("manifest.parquet", pa.table(manifest))
    info = CacheInfo(
        format=FORMAT,
        source="audio",
        synthetic=False,
        parameters={"sample_rate": 22050, "segment_seconds": 30.0},
        fingerprint="0" * 64,
        versions={},
    )
    folder.write_json("cache.json", info.model_dump(mode="json"))
    return tracks
