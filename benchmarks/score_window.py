"""Compare scores of a trial by one epoch with scores by the mean probabilities of several epochs.

A trial's score is that of its best epoch. Chosen among a hundred epochs, it is optimistic, and the epoch may
be lucky instead of good. The mean of the probabilities of the last W epochs varies less. W is a number of
epochs, or, below 1, a share of the configuration's own number of epochs. The program
trains the BASELINE, the portfolio and random configurations on the searchable tracks, with the search's own
folds, and stores the out-of-fold probabilities of every epoch. Then it chooses trial and epoch on one half of
the tracks and scores the choice on the other half, for many random halves and each W. The choice never sees
the tracks of its score, so the columns are comparable:

- ``chosen on``: score on the half that chose, which is optimistic;
- ``held out``: score of the same averaged probabilities on the other half;
- ``held out, last epoch``: score of the network of the chosen epoch alone, as a plain refit gives;
- ``held out, mean weights``: score of one network with the mean of the weights of the window's epochs, only
  with ``--average-weights``;
- ``one trial, chosen on`` and ``one trial, held out``: mean over the configurations if each chooses its own
  epoch; then the same for the BASELINE.

Run it with ``python -m benchmarks.score_window --features-csv features_30_sec.csv``, GTZAN's published table.
``--store FOLDER`` keeps the probabilities, so that another call compares other windows without training.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.portfolio import draw_configurations
from benchmarks.tables import features_task
from benchmarks.uncertainty import markdown

_FOLDS, _TEST_FRACTION = 5, 0.2


Curves = dict[float, np.ndarray]
"""Out-of-fold probabilities after each epoch, by the window over whose epochs the weights are averaged.

Arrays of float16, shape (n_epochs, n_tracks, n_classes). Entry 1 is the networks as trained.
"""


def epochs_of(window: float, horizon: int) -> int:
    """Return the number of epochs in a window, which is a number of epochs or a share of `horizon`."""
    return max(1, math.ceil(window * horizon - 1e-9)) if window < 1 else int(window)


def train(
    config: dict[str, Any], task: Any, *, family: str, seed: int, weight_windows: Sequence[float] = ()
) -> Curves:
    """Train all epochs of a configuration and predict after each."""
    import spaces
    from data.dataset.track_scores import track_probabilities

    learner = spaces.get(family).learner(config, task, seed=seed)
    predict = DensePredictor(spaces.get(family), learner, config, task) if weight_windows else None
    lengths = {window: epochs_of(window, config["epochs"]) for window in weight_windows}
    last_weights: deque[list[np.ndarray]] = deque(maxlen=max(lengths.values(), default=1))
    curves: dict[float, list[np.ndarray]] = {window: [] for window in (1, *weight_windows)}
    for epoch in range(config["epochs"]):
        curves[1].append(track_probabilities(task, learner.run_epoch(epoch).probabilities))
        if predict is not None:
            last_weights.append(predict.weights())
            for window, length in lengths.items():
                recent = zip(*list(last_weights)[-length:], strict=True)
                probabilities = predict([np.mean(values, axis=0) for values in recent])
                curves[window].append(track_probabilities(task, probabilities))
    return {window: np.array(epochs, dtype=np.float16) for window, epochs in curves.items()}


class DensePredictor:
    """Predicts the validation rows of all folds with given weights of dense networks."""

    def __init__(self, family: Any, learner: Any, config: dict[str, Any], task: Any) -> None:
        import tensorflow as tf

        from spaces.training.dense.forward_pass import Form
        from spaces.training.dense.network import Architecture

        units = tuple(config[f"units_{layer}"] for layer in range(1, config["layers"] + 1))
        kind = {name: config[name] for name in ("activation", "normalisation") if name in config}
        self._form = Form.of(Architecture(task.X.shape[1], len(task.classes), units, **kind))
        self._learner = learner
        self._sizes = [len(fold.valid) for fold in task.folds]
        x = np.zeros((len(task.folds), max(self._sizes), task.X.shape[1]), np.float32)
        for number, fold in enumerate(task.folds):
            x[number, : len(fold.valid)] = family.prepare(
                task.X[fold.valid], learner.fitted(number).preparation
            )
        self._x = tf.constant(x)

    def weights(self) -> list[np.ndarray]:
        """Return the current weights of all folds: the last arrays of the learner's state."""
        from spaces.training.dense.weights import MAX_LAYERS

        state = self._learner.state()
        n_arrays, n_weights = len(state) - 1, 3 * MAX_LAYERS + 2
        return [state[str(position)] for position in range(n_arrays - n_weights, n_arrays)]

    def __call__(self, weights: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Return the probabilities of each fold's validation rows."""
        import tensorflow as tf

        from spaces.training.dense.forward_pass import logits

        tensors = [tf.constant(values) for values in weights]
        probabilities = tf.nn.softmax(logits(tensors, self._x, self._form)).numpy()
        return tuple(probabilities[fold, :size] for fold, size in enumerate(self._sizes))


def stored(folder: Path, number: int, config: dict[str, Any], task: Any, **options: Any) -> Curves:
    """Return what `train` returns, from the folder if an earlier call wrote it there."""
    windows = options.get("weight_windows", ())
    suffix = "-weights-" + "-".join(map(str, windows)) if windows else ""
    file = folder / f"{options['family']}-{options['seed']}-{number}{suffix}.npz"
    if not file.exists():
        unfinished = file.with_suffix(".part")
        with unfinished.open("wb") as stream:
            curves = train(config, task, **options)
            np.savez(stream, allow_pickle=False, **{str(window): curve for window, curve in curves.items()})
        unfinished.rename(file)
    with np.load(file) as arrays:
        return {float(window): arrays[window] for window in arrays.files}


def averaged(probabilities: np.ndarray, window: int) -> np.ndarray:
    """Return the mean over each epoch and up to `window` - 1 epochs before it; same shape."""
    total = np.cumsum(probabilities, axis=0, dtype=np.float64)
    total[window:] -= total[:-window].copy()
    counts = np.minimum(np.arange(1, len(probabilities) + 1), window)
    return np.asarray(total / counts[:, None, None])


def compare(
    configurations: list[Curves], truth: np.ndarray, windows: list[float], halves: int, seed: int
) -> pd.DataFrame:
    """Return one row per window: mean accuracies over random halves, in percent.

    Parameters
    ----------
    configurations : list of dict
        The probabilities of each configuration, from `train`.
    truth : ndarray of int, shape (n_tracks,)
        Genre of each track.
    windows : list of float
        Numbers of epochs, or shares of each configuration's epochs.
    halves : int
        Number of random halves.
    seed : int
        Seed of the halves.
    """
    curves = [curves_of_weights[1] for curves_of_weights in configurations]
    rng = np.random.default_rng(seed)
    chosen_by = rng.permuted(np.arange(halves * len(truth)).reshape(halves, -1) % 2 == 0, axis=1)
    weights = np.concatenate([chosen_by, ~chosen_by]).astype(np.float32)
    last = _right(curves, truth)
    rows = []
    for window in windows:
        smooth = [averaged(curve, epochs_of(window, len(curve))) for curve in curves]
        right = _right(smooth, truth)
        loss = np.concatenate(
            [-np.log(np.maximum(curve[:, np.arange(len(truth)), truth], 1e-7)) for curve in smooth]
        ).astype(np.float32)
        # As a trial ranks its epochs: by accuracy, and by the lower loss among equals.
        merit = weights @ right.T.astype(np.float32) - 1e-3 * (weights @ loss.T) / len(truth)
        best = merit.argmax(axis=1)
        other = weights == 0
        row = {
            "window": window,
            "chosen on": _mean_accuracy(right, best, ~other),
            "held out": _mean_accuracy(right, best, other),
            "held out, last epoch": _mean_accuracy(last, best, other),
        }
        if len(configurations[0]) > 1:
            mean_weights = [by_window[window] for by_window in configurations if window in by_window]
            if mean_weights:
                row["held out, mean weights"] = _mean_accuracy(_right(mean_weights, truth), best, other)
        starts = np.cumsum([0, *map(len, curves)])
        own_epochs = [
            first + merit[:, first:end].argmax(axis=1) for first, end in itertools.pairwise(starts.tolist())
        ]
        for name, chosen in (("one trial", own_epochs), ("BASELINE", own_epochs[:1])):
            for part, mask in (("chosen on", ~other), ("held out", other)):
                row[f"{name}, {part}"] = np.mean([_mean_accuracy(right, epochs, mask) for epochs in chosen])
        rows.append(row)
    frame = pd.DataFrame(rows)
    frame.iloc[:, 1:] *= 100
    return frame


def _right(curves: list[np.ndarray], truth: np.ndarray) -> np.ndarray:
    """Return whether each track is predicted correctly, by epochs of all configurations."""
    return np.concatenate([curve.argmax(axis=2) == truth for curve in curves])


def _mean_accuracy(right: np.ndarray, chosen: np.ndarray, masks: np.ndarray) -> float:
    """Return the mean over halves of the accuracy of the chosen row on the masked tracks."""
    return float(np.mean([right[row][mask].mean() for row, mask in zip(chosen, masks, strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--features-csv", help="GTZAN's published table")
    data.add_argument("--cache", help="a cache with the inputs of the family")
    parser.add_argument("--family", default="features_mlp", help="features_mlp or embedding_mlp")
    parser.add_argument("--draws", type=int, default=30, help="random configurations per seed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--max-epochs", type=int, default=100)
    parser.add_argument("--windows", type=float, nargs="+", default=[1, 2, 5, 15, 0.05, 0.1, 0.15, 0.2])
    parser.add_argument("--halves", type=int, default=200, help="random halves of the tracks")
    parser.add_argument(
        "--average-weights", type=float, nargs="+", default=[], help="windows that also average the weights"
    )
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
                stored(
                    store,
                    number,
                    config,
                    task,
                    family=options.family,
                    seed=seed,
                    weight_windows=options.average_weights,
                )
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
