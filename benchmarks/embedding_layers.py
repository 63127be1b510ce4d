"""Choose the layers of MusiCNN and the pooling over its patches on real recordings.

For each choice of layers and pooling, two untuned heads (logistic regression and a support vector machine)
are trained on the standardised vectors, in grouped five-fold cross-validation with several seeds. Choose by
the scores of one half of the recordings; the scores of the other half show how well the choice holds. Run it
with ``python -m benchmarks.embedding_layers --audio DIR --tracks tracks.csv --halves halves.csv``. The
weights must be installed (``make embeddings``).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from data.io.keras_import import import_keras

CANDIDATES = (
    ("dense",),
    ("tags",),
    ("dense", "tags"),
    ("mean",),
    ("maximum",),
    ("maximum", "mean"),
)
"""Outputs of the network that are joined; see `data.analysis.encoders.musicnn_network.build`."""
POOLINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda vectors: vectors.mean(axis=0),
    "mean, std": lambda vectors: np.concatenate([vectors.mean(axis=0), vectors.std(axis=0)]),
    "mean, max": lambda vectors: np.concatenate([vectors.mean(axis=0), vectors.max(axis=0)]),
}
HALVES = ("development", "shown")


def encoded(audio: Path, files: list[str]) -> list[dict[str, np.ndarray]]:
    """Return all outputs of the network for each file, each of shape (n_patches, width)."""
    import_keras()
    from data.analysis.encoders.musicnn import SAMPLE_RATE, Musicnn
    from data.analysis.encoders.musicnn_weights import find_weights
    from data.audio.decode import load

    encoder = Musicnn(find_weights())
    return [encoder.outputs(load(audio / file, sample_rate=SAMPLE_RATE).y) for file in files]


def share_right(X: np.ndarray, y: np.ndarray, groups: np.ndarray, seeds: int) -> np.ndarray:
    """Return the fraction of correct held-out predictions per recording, over heads and seeds, shape (n,)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    right = np.zeros(len(y))
    for seed in range(seeds):
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        for train, valid in folds.split(X, y, groups):
            for head in (LogisticRegression(C=0.01, max_iter=300), SVC()):
                model = make_pipeline(StandardScaler(), head).fit(X[train], y[train])
                right[valid] += model.predict(X[valid]) == y[valid]
    return right / (2 * seeds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True, help="folder that contains the genre folders")
    parser.add_argument(
        "--tracks", type=Path, required=True, help="CSV file with the columns file, label and group"
    )
    parser.add_argument("--halves", type=Path, required=True, help="CSV file with the columns file and half")
    parser.add_argument("--seeds", type=int, default=8, help="seeds of the cross-validation")
    options = parser.parse_args()
    table = pd.read_csv(options.tracks).merge(pd.read_csv(options.halves), on="file")
    outputs = encoded(options.audio, table["file"].tolist())
    print(f"{'layer':14} {'pooling':10} {'width':>5}  " + "  ".join(f"{half:>12}" for half in HALVES))
    for layers in CANDIDATES:
        for name, pooled in POOLINGS.items():
            X = np.stack(
                [pooled(np.concatenate([output[layer] for layer in layers], axis=1)) for output in outputs]
            )
            shares = []
            for half in HALVES:
                rows = (table["half"] == half).to_numpy()
                y, groups = (table.loc[rows, column].to_numpy() for column in ("label", "group"))
                right = share_right(X[rows], y, groups, options.seeds)
                shares.append(f"{right.mean():6.1%} +-{right.std() / np.sqrt(len(right)):4.1%}")
            print(f"{'+'.join(layers):14} {name:10} {X.shape[1]:5}  " + "  ".join(shares), flush=True)


if __name__ == "__main__":
    main()
