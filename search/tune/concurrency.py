"""Adjust the number of concurrent trials to the nodes of the cluster."""

from __future__ import annotations

import time
from typing import Any

from ray.tune import Callback
from ray.tune.search import ConcurrencyLimiter

from data.console import err
from data.errors import SettingsError
from search.tune.resources import concurrent_trials, nodes

_COUNT_SECONDS = 2.0
"""Minimum time between two counts of the nodes."""


class Capacity(Callback):
    """Run as many trials at a time as fit, while nodes join and leave.

    Parameters
    ----------
    limiter : ConcurrencyLimiter
        Wrapper of the searcher that limits the number of concurrent trials.
    cpus, gpus, wanted
        As in `concurrent_trials`.
    """

    def __init__(self, limiter: ConcurrencyLimiter, *, cpus: float, gpus: float, wanted: int | None) -> None:
        self._limiter = limiter
        self._each = {"cpus": cpus, "gpus": gpus}
        self._wanted = wanted
        self._next = 0.0
        self._warned = False

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Count the nodes now and then. If no node is left, keep the limit and warn once."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _COUNT_SECONDS
        try:
            self._limiter.max_concurrent = concurrent_trials(
                nodes(growing=True), **self._each, wanted=self._wanted
            )
        except SettingsError as error:
            if not self._warned:
                err().print(f"Waiting for a node: {error}", highlight=False)
            self._warned = True
        else:
            self._warned = False
