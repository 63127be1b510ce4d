"""The worker process of trials: its device and its memory."""

from __future__ import annotations

import os
from pathlib import Path

import ray

from spaces.training.family import Family


def set_up_device(family: Family, *, deterministic: bool) -> bool:
    """Set the family up for the cores and GPUs that Ray assigned; return whether it sees the GPUs."""
    process = ray.get_runtime_context()
    # Not from OMP_NUM_THREADS: Ray does not overwrite a value in the user's environment.
    cpus = process.get_assigned_resources().get("CPU", 1.0)
    return family.set_up(
        cpus=cpus, gpus=bool(process.get_accelerator_ids().get("GPU")), deterministic=deterministic
    )


def process_bytes() -> int:
    """Return the resident memory of this process; 0 where the system has no ``/proc``."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
