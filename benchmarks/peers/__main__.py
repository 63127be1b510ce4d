"""Run the peers, print the table, save figures and picture."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import platform
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import benchmarks.peers
from benchmarks.peers.marks import MARKS, median

_LIBRARIES = ("keras", "keras-tuner", "optuna", "ray", "syne-tune", "tensorflow")

_CLOCK = "whose seconds; processor time of the whole process tree says something on a busy machine too"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=benchmarks.peers.__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--features-csv", help="the published table of GTZAN's features")
    parser.add_argument("--budget", type=float, default=180.0, help="seconds of a run")
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall", help=_CLOCK)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each peer")
    parser.add_argument("--only", action="append", metavar="PEER", help="this peer alone; may be repeated")
    parser.add_argument("--out", type=Path, default=Path("peers"), help="folder for peers.json and peers.png")
    parser.add_argument(
        "--draw", action="store_true", help="print and draw what is in --out, and run nothing"
    )
    given = parser.parse_args()
    if not given.draw and given.features_csv is None:
        parser.error("--features-csv: needed to run anything")
    return given


def show(runs: list[dict[str, Any]]) -> None:
    """Print the table: medians over seeds."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="medians over seeds; - is never, n/m how many runs got there")
    marks = [f"to {mark:.0%}, s" for mark in MARKS]
    for column in ("peer", "best", *marks, "trials", "epochs", "peak MiB", "CPU s"):
        table.add_column(column, justify="left" if column == "peer" else "right")
    for peer in dict.fromkeys(run["peer"] for run in runs):
        mine = [run for run in runs if run["peer"] == peer]
        cells = [peer + died(mine), f"{median([run['best'] or 0.0 for run in mine]):.1%}"]
        for mark in MARKS:
            times = [run["seconds_to"][str(mark)] for run in mine]
            middle = median([math.inf if seconds is None else seconds for seconds in times])
            reached = sum(seconds is not None for seconds in times)
            cells.append(f"{'-' if math.isinf(middle) else f'{middle:.0f}'} ({reached}/{len(mine)})")
        cells += [f"{median([run[key] for run in mine]):.0f}" for key in ("trials", "epochs", "peak_mib")]
        table.add_row(*cells, f"{median([run['cpu_seconds'] for run in mine]):.0f}")
    Console(width=120).print(table)


def died(runs: list[dict[str, Any]]) -> str:
    """Report how many runs of a peer failed before their time limit."""
    count = sum(bool(run["ended_by_itself"]) for run in runs)
    return f" ({count} died)" if count else ""


def main() -> None:
    given = parse()
    # A peer ends in the same way if this process is stopped by hand or by another process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given.out.mkdir(parents=True, exist_ok=True)
    target = given.out / "peers.json"
    record = json.loads(target.read_text()) if given.draw else measure(given, target)
    from benchmarks.peers.chart import draw

    runs = record["runs"]
    show(runs)
    loads = [load for run in runs for load in run["load"]]
    first, seeds = runs[0], len({run["seed"] for run in runs})
    note = (
        f"GTZAN's published features, {record['cores']} cores, {seeds} seeds,"
        f" {first['budget']:.0f} s of {first['clock']} time; load {min(loads):.0f} to {max(loads):.0f}"
    )
    draw(runs, given.out / "peers.png", note, clock=first["clock"])
    print(f"wrote {target} and {given.out / 'peers.png'}")


def measure(given: argparse.Namespace, target: Path) -> dict[str, Any]:
    """Run the requested peers seed by seed, so that all have equally many runs if interrupted."""
    from benchmarks.peers.job import make_job
    from benchmarks.peers.measure import MODULES, run_peer

    peers = given.only or list(MODULES)
    unknown = sorted(set(peers) - set(MODULES))
    if unknown:
        sys.exit(f"--only {unknown[0]}: unknown; choose one of {', '.join(MODULES)}")
    record: dict[str, Any] = {
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in _LIBRARIES},
        "runs": [],
    }
    with tempfile.TemporaryDirectory(prefix="peers-") as scratch:
        cache = f"{scratch}/cache"
        command = [sys.executable, "-m", "data.prepare", "--features-csv", given.features_csv]
        subprocess.run([*command, "--cache", cache], check=True, stdout=subprocess.DEVNULL)
        for seed in range(given.seeds):
            for peer in peers:
                folder = Path(scratch) / f"{peer}-{seed}"
                run = run_peer(peer, make_job(folder, cache, seed), given.budget, clock=given.clock)
                (given.out / f"{peer}-{seed}.txt").write_bytes((folder / "output.txt").read_bytes())
                record["runs"].append(run)
                unfinished = target.with_suffix(".tmp")
                unfinished.write_text(json.dumps(record, indent=1))
                unfinished.replace(target)
                print(
                    f"{peer} seed {seed}: best {run['best'] or 0:.1%}, {run['trials']} trials,"
                    f" {run['epochs']} epochs, {run['cpu_seconds']:.0f} s of processor{died([run])}",
                    flush=True,
                )
    return record


if __name__ == "__main__":
    main()
