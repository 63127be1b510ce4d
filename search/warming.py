"""Prepare for the first trial while Ray starts: import what the driver needs, and read the data.

Ray's start mostly waits for other processes. Nothing here changes the search or reports an error: the steps
that follow do the same again, at once, and report what is wrong.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

from data.analysis.kinds import Kind
from data.cache.cache import Cache

_MODULES = ("pandas", "sklearn.model_selection", "optuna")
_DRIVER = "search.driver"
"""Imports Ray too, which must be imported where Ray is started, because it reads its settings then."""
_POLL_SECONDS = 0.02


@contextlib.contextmanager
def warming(cache: Cache, kinds: Sequence[Kind]) -> Iterator[Callable[[], None]]:
    """Read inputs of a cache and import modules in a thread.

    Parameters
    ----------
    cache : Cache
        The cache, whose inputs are kept in it.
    kinds : sequence of str
        Kinds of input to read.

    Yields
    ------
    callable
        Waits until all is read.
    """
    ray_failed = threading.Event()
    thread = threading.Thread(target=_warm, args=(cache, kinds, ray_failed), name="warming", daemon=True)
    thread.start()
    try:
        yield thread.join
    finally:
        ray_failed.set()
        thread.join()


def _warm(cache: Cache, kinds: Sequence[Kind], ray_failed: threading.Event) -> None:
    with contextlib.suppress(Exception):
        for kind in kinds:
            cache.rows(kind)
        for module in _MODULES:
            importlib.import_module(module)
        while not hasattr(sys.modules.get("ray"), "is_initialized"):
            if ray_failed.wait(_POLL_SECONDS):
                return
        importlib.import_module(_DRIVER)
