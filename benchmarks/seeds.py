"""Compare the best validation score of the default search with the locked test, over several seeds.

For each seed, the program runs ``search.run`` on GTZAN's published table, exports the best trial, and reads
its validation score, that score after correction for choosing, and its score on the locked test. The
difference of the first and the last is the optimism of the search; a better search raises the last.

Run it with ``python -m benchmarks.seeds --features-csv features_30_sec.csv`` (100 s per seed on two idle
cores). ``--tree DIR``, which may be repeated, runs the program of another checkout, so that two versions are
compared on the same seeds and machine. ``--runs DIR`` keeps the runs: another call resumes an interrupted
search and adds the missing seeds.
Options after ``--`` are passed to ``search.run``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from benchmarks.uncertainty import markdown


def command(tree: Path, module: str, *arguments: str) -> None:
    """Run a module of a checkout with its own virtual environment, if it has one.

    The virtual environment may belong to another checkout, whose packages Ray's workers would import.
    """
    python = tree / ".venv" / "bin" / "python"
    program = str(python) if python.exists() else sys.executable
    subprocess.run(
        [program, "-m", module, *arguments],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def measure(tree: Path, cache: str, runs: Path, seed: int, options: list[str]) -> dict[str, float]:
    """Search, export and score with one seed; return accuracies in percent, NaN for a missing correction."""
    name, exported = f"seed-{seed}", runs / f"export-{seed}"
    if not (exported / "metrics.json").exists():
        if (runs / name).exists():
            resume = ["--resume", name, "--runs", str(runs)]
            if json.loads((runs / name / "run.json").read_text(encoding="utf-8"))["status"] != "finished":
                command(tree, "search.run", *resume)
        else:
            data = ["--family", "features_mlp", "--cache", cache, "--runs", str(runs), "--name", name]
            command(tree, "search.run", *data, "--seed", str(seed), *options)
        command(tree, "results.export", name, "--runs", str(runs), "--out", str(exported))
    metrics = json.loads((exported / "metrics.json").read_text(encoding="utf-8"))
    validation, test = metrics["validation"]["accuracy"], metrics["test"]["accuracy"]
    card = (exported / "README.md").read_text(encoding="utf-8")
    corrected = re.search(r"([\d.]+) % after correction for choosing", card)
    return {
        "validation": 100 * validation,
        "corrected": float(corrected[1]) if corrected else float("nan"),
        "locked test": 100 * test,
        "difference": 100 * (validation - test),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--features-csv", required=True, help="GTZAN's published table")
    parser.add_argument("--tree", action="append", help="checkout to run; by default the current folder")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--runs", help="folder that keeps cache, runs and exports")
    parser.add_argument("options", nargs="*", help="further options of search.run, after --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(options.runs or folder).resolve()
        means = []
        for number, tree in enumerate(Path(path).resolve() for path in options.tree or ["."]):
            runs = kept / f"tree-{number}"
            cache = runs / "cache"
            if not cache.exists():
                table = str(Path(options.features_csv).resolve())
                command(tree, "data.prepare", "--features-csv", table, "--cache", str(cache))
            rows = []
            for seed in range(options.seeds):
                rows.append(measure(tree, str(cache), runs, seed, options.options))
                print(f"{tree.name}, seed {seed}: {rows[-1]}", file=sys.stderr, flush=True)
            frame = pd.DataFrame(rows)
            means.append(pd.Series({"checkout": tree.name, "seeds": len(frame), **frame.mean().round(2)}))
            error = frame.sem().round(2)
            means.append(pd.Series({"checkout": "standard error", "seeds": len(frame), **error}))
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        print(f"{datetime.now(UTC):%Y-%m-%d}, load {load}, in percent:")
        print(markdown(pd.DataFrame(means)))


if __name__ == "__main__":
    main()
