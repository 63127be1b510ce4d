"""Keep freed memory in a process that repeatedly allocates large arrays."""

from __future__ import annotations

import ctypes
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Numbers of parameters in glibc's ``malloc.h``."""
_ARRAY_BYTES, _HEAP_BYTES = 1 << 30, (1 << 31) - 1


@cache
def keep_freed_memory() -> bool:
    """Let glibc reuse the memory of freed arrays in place of returning it to the system.

    The system clears each page that it hands out. For arrays of some megabytes that live for milliseconds,
    this takes about a tenth of the time of an analysis. The process keeps its peak memory until it ends.

    Returns
    -------
    bool
        Whether the settings were accepted; False with another C library.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _ARRAY_BYTES) and mallopt(_M_TRIM_THRESHOLD, _HEAP_BYTES))
