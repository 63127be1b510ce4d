"""Check the statistics by simulation with known truth.

The program prints three tables: how often a 95 % interval covers the true accuracy; how often a paired test
calls two equally good models different (5 % is correct); and how far the correction for choosing is from the
true accuracy of the chosen configuration.

Run it with ``python -m benchmarks.uncertainty`` (two minutes). ``--features-csv FILE`` adds a fourth table:
the correction on the published table against the locked test, over ten seeds.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

import numpy as np
import pandas as pd

from data.dataset.choice_correction import correct_for_choice
from data.dataset.intervals import accuracy_interval, mean_interval, wilson
from data.dataset.paired_tests import mcnemar, paired
from data.dataset.track_groups import TrackGroups

_CLASSES = 10


def draw_groups(rng: np.random.Generator, n_groups: int, mean_size: int) -> TrackGroups:
    """Draw groups; the size of a group is 1 plus a Poisson-distributed number of tracks."""
    size = 1 + rng.poisson(mean_size - 1, n_groups)
    return TrackGroups.of(np.repeat(np.arange(n_groups), size).astype(str))


def draw_right(
    rng: np.random.Generator, groups: TrackGroups, accuracy: float, correlation: float, models: int = 1
) -> np.ndarray:
    """Draw which predictions are correct; each group has its own probability, from a beta distribution.

    Returns
    -------
    ndarray of bool, shape (n_tracks, models)
    """
    shape = (groups.n_groups, models)
    if correlation == 0:
        probability = np.full(shape, accuracy)
    else:
        total = (1 - correlation) / correlation
        probability = rng.beta(accuracy * total, (1 - accuracy) * total, shape)
    return rng.random((groups.n_tracks, models)) < probability[groups.number]


def coverage(simulations: int) -> pd.DataFrame:
    """Tabulate the coverage of 95 % intervals."""
    rows = []
    for n_groups, size, correlation in [
        (200, 1, 0.0),
        (200, 5, 0.3),
        (50, 5, 0.3),
        (20, 5, 0.3),
        (20, 15, 0.3),
        (10, 5, 0.3),
    ]:
        for accuracy in (0.6, 0.9):
            rng = np.random.default_rng(0)
            hits: dict[str, int] = defaultdict(int)
            for _ in range(simulations):
                groups = draw_groups(rng, n_groups, size)
                right = draw_right(rng, groups, accuracy, correlation)[:, 0]
                bounds = {
                    "tracks taken as independent (Wilson)": wilson(right.sum(), len(right)),
                    "bootstrap over groups": mean_interval(right, groups),
                    "Wilson on the effective number of tracks": accuracy_interval(right, groups),
                }
                for name, (low, high) in bounds.items():
                    hits[name] += bool(low <= accuracy <= high)
            shares = {name: f"{100 * count / simulations:.1f}" for name, count in hits.items()}
            rows.append({"groups": n_groups, "tracks per group": size, "accuracy": accuracy, **shares})
    return pd.DataFrame(rows)


def test_size(simulations: int) -> pd.DataFrame:
    """Tabulate the fraction of pairs of equally good models that a test calls different at p < 0.05."""
    rows = []
    for n_groups, size, correlation in [
        (1000, 1, 0.0),
        (200, 5, 0.1),
        (200, 5, 0.3),
        (50, 5, 0.3),
        (20, 15, 0.3),
    ]:
        rng = np.random.default_rng(0)
        by_track = by_group = covered = 0
        for _ in range(simulations):
            groups = draw_groups(rng, n_groups, size)
            a, b = draw_right(rng, groups, 0.7, correlation, models=2).T
            test = paired(a, b, groups)
            by_track += mcnemar(test.only_a, test.only_b) < 0.05
            by_group += test.distinct
            covered += test.low <= 0 <= test.high
        rows.append(
            {
                "groups": n_groups,
                "tracks per group": size,
                "correlation": correlation,
                "McNemar by track": f"{100 * by_track / simulations:.1f}",
                "sign flips by group": f"{100 * by_group / simulations:.1f}",
                "coverage of the difference": f"{100 * covered / simulations:.1f}",
            }
        )
    return pd.DataFrame(rows)


def choice(simulations: int) -> pd.DataFrame:
    """Tabulate the raw and corrected score of the best trial minus its true accuracy, in points."""
    rows = []
    for n_groups, size, correlation, n_trials, spread in [
        (800, 1, 0.0, 40, 0.0),
        (800, 1, 0.0, 40, 0.02),
        (800, 1, 0.0, 400, 0.02),
        (240, 1, 0.0, 40, 0.02),
        (240, 1, 0.0, 40, 0.05),
        (60, 4, 0.3, 40, 0.02),
    ]:
        rng = np.random.default_rng(0)
        gaps: dict[str, list[float]] = defaultdict(list)
        for number in range(simulations):
            groups = draw_groups(rng, n_groups, size)
            truth = rng.integers(0, _CLASSES, groups.n_tracks)
            true = np.clip(0.7 + spread * rng.normal(size=n_trials), 0.05, 0.95)
            right = np.column_stack(
                [draw_right(rng, groups, accuracy, correlation)[:, 0] for accuracy in true.tolist()]
            )
            predicted = np.where(right.T, truth, (truth + 1) % _CLASSES).astype(np.uint8)
            trials = list(predicted[:, None])
            chosen = float(true[right.mean(axis=0).argmax()])
            by_group = correct_for_choice(trials, truth, groups, n_classes=_CLASSES, seed=number)
            independent = TrackGroups.independent(groups.n_tracks)
            by_track = correct_for_choice(trials, truth, independent, n_classes=_CLASSES, seed=number)
            gaps["raw"].append(by_group.raw - chosen)
            gaps["corrected by track"].append(by_track.corrected - chosen)
            gaps["corrected by group"].append(by_group.corrected - chosen)
        rows.append(
            {
                "groups": n_groups,
                "tracks per group": size,
                "trials": n_trials,
                "spread of true accuracies": spread,
                **{name: f"{100 * np.mean(gap):+.1f}" for name, gap in gaps.items()},
            }
        )
    return pd.DataFrame(rows)


def published(features_csv: str, seeds: int, trials: int) -> pd.DataFrame:
    """Correct the score of the best random classifier on the published table and score it on the locked test.

    Support vector machines replace networks here, because they train in a tenth of a second.
    """
    import tempfile

    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer, StandardScaler
    from sklearn.svm import SVC

    from data.cache.cache import Cache
    from data.collection import gtzan_table
    from data.dataset.splits import make_split

    with tempfile.TemporaryDirectory() as folder:
        gtzan_table.prepare(features_csv, f"{folder}/cache")
        features = Cache.open(f"{folder}/cache").features
    order = np.argsort(features.track_id.astype(str))
    X, label, group = features.X[order], features.label[order].astype(str), features.group[order]
    genres, truth = np.unique(label, return_inverse=True)
    rows = []
    for seed in range(seeds):
        split = make_split(features.tracks(), folds=5, test_fraction=0.2, seed=seed)
        rng = np.random.default_rng(seed)
        searched = split.fold >= 0
        predicted, models = [], []
        for _ in range(trials):
            scaler = (
                StandardScaler()
                if rng.random() < 0.5
                else QuantileTransformer(n_quantiles=100, output_distribution="normal", random_state=0)
            )
            model = make_pipeline(scaler, SVC(C=10 ** rng.uniform(-1, 2), gamma=10 ** rng.uniform(-3, -0.5)))
            out_of_fold = np.zeros(len(truth), dtype=np.uint8)
            for train, valid in split.folds():
                out_of_fold[valid] = model.fit(X[train], truth[train]).predict(X[valid])
            predicted.append(out_of_fold[searched][None])
            models.append(model)
        estimate = correct_for_choice(
            predicted, truth[searched], TrackGroups.of(group[searched]), n_classes=len(genres), seed=seed
        )
        best = int(np.argmax([(labels == truth[searched]).mean() for labels in predicted]))
        test = models[best].fit(X[searched], truth[searched]).score(X[split.test], truth[split.test])
        rows.append({"seed": seed, "raw": estimate.raw, "corrected": estimate.corrected, "locked test": test})
    frame = (100 * pd.DataFrame(rows).drop(columns="seed")).assign(seed=range(seeds))
    mean = frame.drop(columns="seed").mean()
    return pd.concat([frame, pd.DataFrame([{"seed": "mean", **mean}])])[["seed", *mean.index]].round(1)


def markdown(frame: pd.DataFrame) -> str:
    """Format a table in Markdown, for the README."""
    lines = [f"| {' | '.join(map(str, frame.columns))} |", "|" + " ---: |" * len(frame.columns)]
    lines += [f"| {' | '.join(map(str, row))} |" for row in frame.itertuples(index=False)]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=600, help="simulations per row")
    parser.add_argument("--features-csv", help="GTZAN's published table")
    parser.add_argument("--seeds", type=int, default=10, help="seeds on the published table")
    parser.add_argument("--trials", type=int, default=40, help="classifiers per seed on the published table")
    options = parser.parse_args()
    started = time.perf_counter()
    print("Coverage of 95 % intervals, in percent:\n", markdown(coverage(options.simulations)), "", sep="\n")
    print(
        "Equal models called different, in percent:\n", markdown(test_size(options.simulations)), "", sep="\n"
    )
    print(
        "Estimate minus truth, in percentage points:\n",
        markdown(choice(max(20, options.simulations // 10))),
        "",
        sep="\n",
    )
    if options.features_csv:
        table = published(options.features_csv, options.seeds, options.trials)
        print("Published table, in percent:\n", markdown(table), "", sep="\n")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
