"""How far randomly split rows deceive: segments of a track, or tracks of an artist, on both sides.

Usage::

    python -m data.prepare --audio DIR --labels tracks.csv --segment-seconds 3 --cache cache/segments
    python -m benchmarks.random_rows --cache cache/segments

Prints the accuracy of two plain classifiers on the 57 features, by five-fold cross-validation that deals
rows, whole tracks, or whole groups (artists, copies of a recording) into folds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data.cache.cache import Cache
from data.cache.rows import Rows

_FOLDS = 5


def main() -> None:
    """Run the benchmark and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cache", required=True, help="cache of segments of a few seconds")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    rows = Cache.open(options.cache).features
    print(f"{len(rows.X)} segments, {len(set(rows.track_id))} tracks, {len(set(rows.group))} groups")
    print("| classifier | folds of | accuracy of segments | accuracy of tracks |\n|---|---|---|---|")
    for line in table(rows, seeds=options.seeds):
        print(line)


def table(rows: Rows, *, seeds: int) -> Iterator[str]:
    """Yield a line per classifier and way to deal folds, with means over seeds."""
    for name, model in (
        ("nearest neighbour", make_pipeline(StandardScaler(), KNeighborsClassifier(1))),
        ("extremely randomised trees", ExtraTreesClassifier(300, n_jobs=-1, random_state=0)),
    ):
        for unit, together in (
            ("rows", np.arange(len(rows.X))),
            ("tracks", rows.track_id),
            ("groups", rows.group),
        ):
            scores = np.array([accuracies(rows, model, together, seed) for seed in range(seeds)]).mean(axis=0)
            yield f"| {name} | {unit} | {scores[0]:.1%} | {scores[1]:.1%} |"


def accuracies(rows: Rows, model: Any, together: np.ndarray, seed: int) -> tuple[float, float]:
    """Accuracy of segments, and of tracks by the vote of their segments."""
    label = rows.label.astype(str)
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    units = together.astype(str)
    predicted = cross_val_predict(
        model, np.asarray(rows.X), label, groups=units, cv=folds, method="predict_proba"
    )
    classes, tracks = np.unique(label), np.unique(rows.track_id.astype(str), return_inverse=True)[1]
    votes = np.zeros((tracks.max() + 1, len(classes)))
    np.add.at(votes, tracks, predicted)
    true = np.empty(len(votes), dtype=label.dtype)
    true[tracks] = label
    by_segment = float((classes[predicted.argmax(axis=1)] == label).mean())
    return by_segment, float((classes[votes.argmax(axis=1)] == true).mean())


if __name__ == "__main__":
    main()
