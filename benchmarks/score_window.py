"""Compare scores of a trial by one epoch with scores by the mean probabilities of several epochs.

A trial's score is that of its best epoch. Chosen among a hundred epochs, it is optimistic, and the epoch may
be lucky instead of good. The mean of the probabilities of the last W epochs varies less. The program
trains the BASELINE, the portfolio and random configurations on the searchable tracks, with the search's own
folds, and stores the out-of-fold probabilities of every epoch. Then it chooses trial and epoch on one half of
the tracks and scores the choice on the other half, for many random halves and each W. The choice never sees
the tracks of its score, so the columns are comparable:

- ``chosen on``: score on the half that chose, which is optimistic;
- ``held out``: score of the same averaged probabilities on the other half;
- ``held out, last epoch``: score of the network of the chosen epoch alone, as a plain refit gives.

Run it with ``python -m benchmarks.score_window --features-csv features_30_sec.csv``, GTZAN's published table.
``--store FOLDER`` keeps the probabilities, so that another call compares other windows without training.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.portfolio import draw_configurations
from benchmarks.tables import features_task
from benchmarks.uncertainty import markdown

_FOLDS, _TEST_FRACTION = 5, 0.2


def train(config: dict[str, Any], task: Any, *, family: str, seed: int) -> np.ndarray:
    """Return the out-of-fold probabilities of all epochs of a configuration.

    Returns
    -------
    ndarray of float16, shape (n_epochs, n_tracks, n_classes)
    """
    import spaces
    from data.dataset.track_scores import track_probabilities

    learner = spaces.get(family).learner(config, task, seed=seed)
    epochs = [
        track_probabilities(task, learner.run_epoch(epoch).probabilities) for epoch in range(config["epochs"])
    ]
    return np.array(epochs, dtype=np.float16)


def stored(folder: Path, number: int, config: dict[str, Any], task: Any, **options: Any) -> np.ndarray:
    """Return what `train` returns, from the folder if an earlier call wrote it there."""
    file = folder / f"{options['family']}-{options['seed']}-{number}.npy"
    if not file.exists():
        unfinished = file.with_suffix(".part")
        with unfinished.open("wb") as stream:
            np.save(stream, train(config, task, **options))
        unfinished.rename(file)
    return np.asarray(np.load(file))


def averaged(probabilities: np.ndarray, window: int) -> np.ndarray:
    """Return the mean over each epoch and up to `window` - 1 epochs before it; same shape."""
    total = np.cumsum(probabilities, axis=0, dtype=np.float64)
    total[window:] -= total[:-window].copy()
    counts = np.minimum(np.arange(1, len(probabilities) + 1), window)
    return np.asarray(total / counts[:, None, None])


def compare(
    curves: list[np.ndarray], truth: np.ndarray, windows: list[int], halves: int, seed: int
) -> pd.DataFrame:
    """Return one row per window: mean accuracies over random halves, in percent."""
    rng = np.random.default_rng(seed)
    chosen_by = rng.permuted(np.arange(halves * len(truth)).reshape(halves, -1) % 2 == 0, axis=1)
    weights = np.concatenate([chosen_by, ~chosen_by]).astype(np.float32)
    last = np.concatenate([curve.argmax(axis=2) == truth for curve in curves])
    rows = []
    for window in windows:
        smooth = [averaged(curve, window) for curve in curves]
        right = np.concatenate([curve.argmax(axis=2) == truth for curve in smooth])
        loss = np.concatenate(
            [-np.log(np.maximum(curve[:, np.arange(len(truth)), truth], 1e-7)) for curve in smooth]
        ).astype(np.float32)
        # As a trial ranks its epochs: by accuracy, and by the lower loss among equals.
        merit = weights @ right.T.astype(np.float32) - 1e-3 * (weights @ loss.T) / len(truth)
        best = merit.argmax(axis=1)
        other = weights == 0
        rows.append(
            {
                "window": window,
                "chosen on": np.mean(
                    [right[row][~mask].mean() for row, mask in zip(best, other, strict=True)]
                ),
                "held out": np.mean([right[row][mask].mean() for row, mask in zip(best, other, strict=True)]),
                "held out, last epoch": np.mean(
                    [last[row][mask].mean() for row, mask in zip(best, other, strict=True)]
                ),
            }
        )
    frame = pd.DataFrame(rows)
    frame.iloc[:, 1:] *= 100
    return frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--features-csv", help="GTZAN's published table")
    data.add_argument("--cache", help="a cache with the inputs of the family")
    parser.add_argument("--family", default="features_mlp", help="features_mlp or embedding_mlp")
    parser.add_argument("--draws", type=int, default=30, help="random configurations per seed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--max-epochs", type=int, default=100)
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 2, 3, 5, 9, 15])
    parser.add_argument("--halves", type=int, default=200, help="random halves of the tracks")
    parser.add_argument("--store", help="folder for the probabilities of all epochs")
    options = parser.parse_args()
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTRAOP_THREADS": "1"}
    import spaces
    from data.collection import gtzan_table

    family = spaces.get(options.family)
    configs = [family.baseline(options.max_epochs), *map(dict, family.PORTFOLIO)]
    configs += draw_configurations(family, options.draws, options.max_epochs)
    frames = []
    with tempfile.TemporaryDirectory() as folder:
        cache, store = options.cache, Path(options.store or folder)
        if cache is None:
            cache = f"{folder}/cache"
            gtzan_table.prepare(options.features_csv, cache)
        store.mkdir(parents=True, exist_ok=True)
        for seed in range(options.seeds):
            task = features_task(cache, folds=_FOLDS, test_fraction=_TEST_FRACTION, seed=seed)
            started = time.process_time()
            curves = [
                stored(store, number, config, task, family=options.family, seed=seed)
                for number, config in enumerate(configs)
            ]
            frame = compare(curves, task.track_label[task.validated], options.windows, options.halves, seed)
            frames.append(frame)
            print(f"seed {seed}: {time.process_time() - started:.0f} s of CPU", flush=True)
            print(markdown(frame.round(2)), flush=True)
    print(f"mean over {options.seeds} seeds of {len(configs)} configurations, in percent:")
    print(markdown(pd.concat(frames).groupby("window").mean().reset_index().round(2)))
    gains = [frame.drop(columns="window") - frame.drop(columns="window").iloc[0] for frame in frames]
    error = pd.concat(gains).groupby(level=0).sem().round(2)
    print("standard error over seeds of the change from the first window:")
    print(markdown(error.assign(window=options.windows)[["window", *error.columns]]))


if __name__ == "__main__":
    main()
