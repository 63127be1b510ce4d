"""Run the peers, print the table, save the figures and the chart."""

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
from benchmarks.peers.chart import draw, draw_times
from benchmarks.peers.marks import MARKS, median
from benchmarks.peers.names import PEERS

_LIBRARIES = ("keras", "keras-tuner", "optuna", "ray", "syne-tune", "tensorflow")

_CLOCK = "clock of the time limit; processor time (of the whole process tree) also suits a busy machine"


def parse() -> argparse.Namespace:
    """Read the options from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=benchmarks.peers.__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--features-csv", help="GTZAN's published table")
    parser.add_argument("--budget", type=float, default=120.0, help="seconds per run")
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall", help=_CLOCK)
    parser.add_argument("--seeds", type=int, default=3, help="runs per peer")
    parser.add_argument("--only", action="append", metavar="PEER", help="run only this peer; may be repeated")
    parser.add_argument("--out", type=Path, default=Path("peers"), help="folder for peers.json and peers.png")
    parser.add_argument(
        "--draw", action="store_true", help="run nothing; print and draw the results in --out"
    )
    parser.add_argument(
        "--draw-medians",
        action="store_true",
        help="run nothing; draw peers.png in --out from the published medians (medians.csv)",
    )
    options = parser.parse_args()
    if not (options.draw or options.draw_medians) and options.features_csv is None:
        parser.error("--features-csv FILE is required, except with --draw and --draw-medians")
    return options


def show(runs: list[dict[str, Any]]) -> None:
    """Print the table: medians over seeds."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="medians over seeds; -: not reached; n/m: n of m runs reached it")
    marks = [f"to {mark:.0%}, s" for mark in MARKS]
    for column in ("peer", "best", *marks, "trials", "epochs", "peak MiB", "CPU s"):
        table.add_column(column, justify="left" if column == "peer" else "right")
    for peer in dict.fromkeys(run["peer"] for run in runs):
        peer_runs = [run for run in runs if run["peer"] == peer]
        cells = [
            PEERS.get(peer, peer) + failed_runs(peer_runs),
            f"{median([run['best'] or 0.0 for run in peer_runs]):.1%}",
        ]
        for mark in MARKS:
            times = [run["seconds_to"][str(mark)] for run in peer_runs]
            median_seconds = median([math.inf if seconds is None else seconds for seconds in times])
            reached = sum(seconds is not None for seconds in times)
            time_to_mark = "-" if math.isinf(median_seconds) else f"{median_seconds:.0f}"
            cells.append(f"{time_to_mark} ({reached}/{len(peer_runs)})")
        cells += [
            f"{median([run[key] for run in peer_runs]):.0f}" for key in ("trials", "epochs", "peak_mib")
        ]
        table.add_row(*cells, f"{median([run['cpu_seconds'] for run in peer_runs]):.0f}")
    Console(width=120).print(table)


def failed_runs(runs: list[dict[str, Any]]) -> str:
    """Report how many runs of a peer failed before their time limit."""
    count = sum(bool(run["ended_by_itself"]) for run in runs)
    return f" ({count} failed)" if count else ""


def main() -> None:
    options = parse()
    # Exit by an exception on SIGTERM too, so that the running peer is ended as after Ctrl+C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.out.mkdir(parents=True, exist_ok=True)
    if options.draw_medians:
        draw_times(Path(__file__).parent / "medians.csv", options.out / "peers.png", budget=options.budget)
        return
    target = options.out / "peers.json"
    record = json.loads(target.read_text()) if options.draw else measure(options, target)
    runs = record["runs"]
    show(runs)
    loads = [load for run in runs for load in run["load"]]
    first_run, seeds = runs[0], len({run["seed"] for run in runs})
    note = (
        f"GTZAN's published features, {record['cores']} cores, {seeds} seeds,"
        f" {first_run['budget']:.0f} s of {first_run['clock']} time;"
        f" load {min(loads):.0f} to {max(loads):.0f}"
    )
    draw(runs, options.out / "peers.png", note, clock=first_run["clock"])
    print(f"wrote {target} and {options.out / 'peers.png'}")


def measure(options: argparse.Namespace, target: Path) -> dict[str, Any]:
    """Run the requested peers seed by seed; an interruption then leaves about as many runs of each."""
    from benchmarks.peers.job import make_job
    from benchmarks.peers.measure import MODULES, run_peer

    peers = options.only or list(MODULES)
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
        command = [sys.executable, "-m", "data.prepare", "--features-csv", options.features_csv]
        subprocess.run([*command, "--cache", cache], check=True, stdout=subprocess.DEVNULL)
        for seed in range(options.seeds):
            for peer in peers:
                folder = Path(scratch) / f"{peer}-{seed}"
                run = run_peer(peer, make_job(folder, cache, seed), options.budget, clock=options.clock)
                (options.out / f"{peer}-{seed}.txt").write_bytes((folder / "output.txt").read_bytes())
                record["runs"].append(run)
                unfinished = target.with_suffix(".tmp")
                unfinished.write_text(json.dumps(record, indent=1))
                unfinished.replace(target)
                print(
                    f"{peer} seed {seed}: best {run['best'] or 0:.1%}, {run['trials']} trials,"
                    f" {run['epochs']} epochs, {run['cpu_seconds']:.0f} s of processor time"
                    f"{failed_runs([run])}",
                    flush=True,
                )
    return record


if __name__ == "__main__":
    main()
