from __future__ import annotations

import platform
import subprocess
import sys

SCRIPT = """
import resource
import numpy as np
from data.io.heap import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        np.ones(5 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

accepted = keep_freed_memory()
faults()
print(accepted, faults())
"""


def test_freed_arrays_are_reused_without_new_pages() -> None:
    command = [sys.executable, "-c", SCRIPT]
    accepted, faults = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    if platform.libc_ver()[0] == "glibc":
        assert accepted == "True"
        # Each of the 8 arrays has 20 pages of 2 MiB, or 10,240 of 4 KiB.
        assert int(faults) < 20
    else:
        assert accepted == "False"
