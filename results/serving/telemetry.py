"""Counters of the server in Prometheus's format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

__all__ = ["CONTENT_TYPE_LATEST", "Telemetry"]

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets of durations."""


class Telemetry:
    """Counters of one application.

    Attributes
    ----------
    requests : Counter
        Answered predictions by HTTP status.
    predictions : Counter
        Predicted genres.
    running : Gauge
        Predictions that are running or waiting.
    seconds : Histogram
        Duration of successful predictions, from the end of the upload to the answer.
    """

    def __init__(self) -> None:
        # Not the registry of the process, because tests and programs create several applications.
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "genre_requests", "Answered prediction requests.", ["status"], registry=self._registry
        )
        self.predictions = Counter(
            "genre_predictions", "Predicted genres.", ["genre"], registry=self._registry
        )
        self.running = Gauge(
            "genre_predictions_running", "Predictions that are running or waiting.", registry=self._registry
        )
        self.seconds = Histogram(
            "genre_prediction_seconds",
            "Duration of successful predictions after the upload.",
            buckets=_SECONDS,
            registry=self._registry,
        )

    def text(self) -> bytes:
        """Return all counters in Prometheus's text format."""
        return bytes(generate_latest(self._registry))
