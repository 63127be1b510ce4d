"""Run a command and measure it from outside: time, processor time and memory of all its processes."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
"""Folder of the project."""
_SAMPLE_SECONDS = 0.5


class ProcessTree:
    """All processes of a command that lived long enough to be sampled, which is every half second."""

    def __init__(self, root: int) -> None:
        self._root = psutil.Process(root)
        self._seen: dict[psutil.Process, float] = {}
        self._started = time.time()
        self.peak_bytes = 0
        self.samples = [(0.0, 0.0)]

    def sample(self) -> None:
        """Record the memory and processor time of the tree; shared memory counts once (PSS)."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [self._root, *self._root.children(recursive=True)]:
                self._seen.setdefault(process, 0.0)
        total_bytes = 0
        for process in self._seen:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total_bytes += process.memory_full_info().pss
                times = process.cpu_times()
                self._seen[process] = times.user + times.system
        self.peak_bytes = max(self.peak_bytes, total_bytes)
        self.samples.append((time.time() - self._started, self.cpu_seconds))

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the tree in seconds."""
        return sum(self._seen.values())

    def on_clock(self, clock: str, seconds: float) -> float:
        """Convert a time from seconds of wall clock since the start to the seconds of `clock`."""
        if clock == "wall":
            return seconds
        wall, processor = zip(*self.samples, strict=True)
        return float(np.interp(seconds, wall, processor))

    def end(self) -> None:
        """Kill the rest of the tree; psutil skips process ids that were reused."""
        self.sample()
        for process in self._seen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(list(self._seen), timeout=20)


@dataclass(frozen=True)
class Measured:
    """A command that has ended.

    Attributes
    ----------
    seconds, cpu_seconds : float
        Its duration, and the processor time of all its processes.
    peak_bytes : int
        Peak of the memory of all its processes; shared memory counts once (PSS).
    lines : list of (float, str)
        What it printed, to both outputs, with the seconds since its start.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    lines: list[tuple[float, str]] = field(repr=False)

    def first(self, pattern: str) -> float:
        """Return when a line that contains a pattern was printed first, in seconds since the start."""
        return next(seconds for seconds, line in self.lines if re.search(pattern, line))


def measured(*arguments: object, cwd: str | Path | None = None) -> Measured:
    """Run ``python -m`` with arguments and measure it.

    Raises
    ------
    RuntimeError
        If it fails; the message is what it printed last.
    """
    lines: list[tuple[float, str]] = []
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def read() -> None:
        output = process.stdout or ()
        lines.extend((time.perf_counter() - began, line.rstrip("\n")) for line in output)

    reader = threading.Thread(target=read)
    reader.start()
    tree = ProcessTree(process.pid)
    try:
        while process.poll() is None:
            tree.sample()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_SAMPLE_SECONDS)
        seconds = time.perf_counter() - began
    finally:
        # Also if the measurement is stopped.
        process.kill()
        tree.end()
        reader.join()
    if process.returncode:
        raise RuntimeError("\n".join(line for _, line in lines[-20:]))
    return Measured(seconds, tree.cpu_seconds, tree.peak_bytes, lines)


def machine() -> str:
    """Describe the machine: cores, and the load averages of now."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, load {load}"
