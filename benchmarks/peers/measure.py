"""Run a peer with a time limit, in its own process group, and measure it from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import Any

from benchmarks.peers.job import STARTED, Job
from benchmarks.peers.marks import MARKS, best_so_far, count_trials_epochs, read_scores, time_to
from benchmarks.processes import ROOT, ProcessTree

MODULES = {
    "harness": "with_harness",
    "harness-bare": "with_bare_harness",
    "grid": "with_grid",
    "keras-tuner": "with_keras_tuner",
    "optuna": "with_optuna",
    "syne-tune": "with_syne_tune",
    "ray-tune": "with_ray_tune",
}

PACKAGE = "benchmarks.peers."

_SAMPLE_SECONDS = 0.5
_ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}


def run_peer(peer: str, job: Job, budget: float, *, clock: str = "wall") -> dict[str, Any]:
    """Let a peer search for `budget` seconds and return the record of the run.

    Parameters
    ----------
    peer : str
        One of `MODULES`.
    job : Job
        The search. Each run needs a job of its own.
    budget : float
        Seconds of `clock`.
    clock : str
        ``wall``, or ``processor`` for the processor time of the peer's whole process tree. The latter is
        meaningful on a busy machine too, but waiting then costs a peer nothing.

    Returns
    -------
    dict
        The record of the run, as stored in ``peers.json``.
    """
    home = job.folder / "home"
    home.mkdir()
    load_before = os.getloadavg()[0]
    with (job.folder / "output.txt").open("wb") as output:
        started = time.time()
        process = subprocess.Popen(
            [sys.executable, "-m", PACKAGE + MODULES[peer], str(job.folder), str(job.seed)],
            cwd=ROOT,
            # Syne Tune writes to the home folder by default; redirect it to the run's folder.
            env={**os.environ, **_ENVIRONMENT, STARTED: str(started), "SYNETUNE_FOLDER": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        tree = ProcessTree(process.pid)
        try:
            while process.poll() is None:
                remaining = budget - tree.on_clock(clock, time.time() - started)
                if remaining <= 0:
                    break
                time.sleep(min(_SAMPLE_SECONDS, remaining))
                tree.sample()
            exit_status = process.poll()
        finally:
            # Also runs if the measurement is stopped, so that no peer outlives it.
            tree.sample()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            tree.end()
    lines = job.log.read_text().splitlines() if job.log.exists() else []
    scores = [
        {**score, "seconds": round(tree.on_clock(clock, score["seconds"]), 2)} for score in read_scores(lines)
    ]
    scores = [score for score in scores if score["seconds"] <= budget]
    curve = best_so_far(scores, budget=budget)
    trials, epochs = count_trials_epochs(scores)
    return {
        "peer": peer,
        "seed": job.seed,
        "budget": budget,
        "clock": clock,
        "wall_seconds": round(tree.samples[-1][0], 1),
        "curve": curve,
        "best": curve[-1][1] if curve else None,
        "seconds_to": {str(mark): _finite(time_to(curve, mark)) for mark in MARKS},
        "trials": trials,
        "epochs": epochs,
        "peak_mib": round(tree.peak_bytes / 2**20),
        "cpu_seconds": round(tree.cpu_seconds, 1),
        "load": [load_before, os.getloadavg()[0]],
        "ended_by_itself": exit_status,
    }


def _finite(seconds: float) -> float | None:
    return seconds if seconds < float("inf") else None
