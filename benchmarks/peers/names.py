"""Names of the peers and of the marks for tables and charts."""

from __future__ import annotations

PEERS = {
    "harness": "this harness",
    "harness-bare": "this harness, bare",
    "keras-tuner": "KerasTuner, Hyperband",
    "optuna": "Optuna, Hyperband pruner",
    "ray-tune": "Ray Tune, ASHA and Optuna",
    "syne-tune": "Syne Tune, ASHA",
    "grid": "grid search, Model.fit",
}

MARK_MEANINGS = {
    0.73: "73 %: the study's own result",
    0.76: "76 %: reached by searching",
    0.79: "79 %: the highest goal",
}
"""What the horizontal lines of the chart mean, by `benchmarks.peers.marks.MARKS`."""
