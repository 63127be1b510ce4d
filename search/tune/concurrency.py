"""As many trials at a time as fit on the nodes that are there."""

from __future__ import annotations

import time
from typing import Any

from ray.tune import Callback
from ray.tune.search import ConcurrencyLimiter

from data.console import err
from data.errors import SettingsError
from search.tune.resources import concurrent_trials, nodes

_COUNT_SECONDS = 2.0
"""Nodes are counted at most this often."""


class Capacity(Callback):
    """Lets as many trials run at a time as fit, while nodes come and go.

    Parameters
    ----------
    limiter : ConcurrencyLimiter
        What holds the searcher back.
    cpus, gpus, wanted
        As in `concurrent_trials`.
    """

    def __init__(self, limiter: ConcurrencyLimiter, *, cpus: float, gpus: float, wanted: int | None) -> None:
        self._limiter = limiter
        self._each = {"cpus": cpus, "gpus": gpus}
        self._wanted = wanted
        self._next = 0.0
        self._told = False

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Count the nodes again, once in a while; with none left, places stay as they are, and it is told."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _COUNT_SECONDS
        try:
            self._limiter.max_concurrent = concurrent_trials(
                nodes(growing=True), **self._each, wanted=self._wanted
            )
        except SettingsError as error:
            if not self._told:
                err().print(f"Waiting for a node: {error}", highlight=False)
            self._told = True
        else:
            self._told = False
