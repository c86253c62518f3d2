"""Metrics of a tracker for Prometheus; collected only when they are scraped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import accumulate
from typing import Protocol

from tracker.core.status import CANCELLING, IN_PROGRESS, QUEUED, REQUIRES_ACTION
from tracker.delivery.handlers import DeliveryProgress
from tracker.errors import SettingsError
from tracker.polling.metrics import DELAY_BOUNDS, Delays, SourceCounts

try:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from prometheus_client.registry import Collector
except ImportError as error:  # pragma: no cover - only without the extra
    raise SettingsError("Prometheus needs the extra: pip install 'runfold[prometheus]'") from error

_STATUSES = frozenset({QUEUED, IN_PROGRESS, REQUIRES_ACTION, CANCELLING})


class TrackerWithCounts(Protocol):
    """The part of a `Tracker` or `BackgroundTracker` that the metrics need."""

    def counts(self) -> dict[str, SourceCounts]: ...

    def deliveries(self) -> list[DeliveryProgress]: ...


class PrometheusMetrics(Collector):
    """The metrics of one tracker, once they are registered; without samples while it is closed.

    `lag` returns the number of events that each projection is behind, by its name.
    """

    def __init__(
        self, tracker: TrackerWithCounts, *, lag: Callable[[], Mapping[str, int]] | None = None
    ) -> None:
        self._tracker = tracker
        self._lag = lag

    def register(self, registry: CollectorRegistry) -> None:
        """Adds the metrics to a registry, such as `prometheus_client.REGISTRY`."""
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """Yields the metrics without their samples; reads nothing."""
        yield from _build_source_metrics({})
        yield from _build_delivery_metrics([])
        if self._lag is not None:
            yield _build_lag_metric({})

    def collect(self) -> Iterator[Metric]:
        """Yields the current metrics. Raises the errors of `lag`."""
        counts = self._tracker.counts()
        yield from _build_source_metrics(counts)
        progress: list[DeliveryProgress] = []
        if counts:
            # The tracker may be closed between the two calls.
            with suppress(SettingsError):
                progress = self._tracker.deliveries()
        yield from _build_delivery_metrics(progress)
        if self._lag is not None:
            yield _build_lag_metric(self._lag())


def _build_source_metrics(counts: Mapping[str, SourceCounts]) -> Iterator[Metric]:
    active = GaugeMetricFamily(
        "runfold_active_runs", "Runs that are being watched.", labels=["source", "status"]
    )
    polls = CounterMetricFamily("runfold_polls", "Requests about runs.", labels=["source"])
    refusals = CounterMetricFamily(
        "runfold_refusals", "Polls that the service refused with 429.", labels=["source"]
    )
    failures = CounterMetricFamily(
        "runfold_poll_failures", "Polls that failed for any other reason.", labels=["source"]
    )
    delays = HistogramMetricFamily(
        "runfold_detection_delay_seconds",
        "Time from the service's stamp of a change to its observation.",
        labels=["source"],
    )
    for source, counted in counts.items():
        by_status: dict[str, int] = dict.fromkeys(_STATUSES, 0)
        for status, number in counted.active.items():
            # A service may send any text, and each would become a series of its own.
            label = status if status in _STATUSES else "other" if status else "unseen"
            by_status[label] = by_status.get(label, 0) + number
        for status, number in sorted(by_status.items()):
            active.add_metric([source, status], number)
        polls.add_metric([source], counted.polls)
        refusals.add_metric([source], counted.refusals)
        failures.add_metric([source], counted.failures)
        delays.add_metric([source], _cumulate_buckets(counted.delays), counted.delays.total)
    yield from (active, polls, refusals, failures, delays)


def _cumulate_buckets(delays: Delays) -> list[tuple[str, float]]:
    bounds = [*map(str, DELAY_BOUNDS), "+Inf"]
    return list(zip(bounds, map(float, accumulate(delays.counts)), strict=True))


def _build_delivery_metrics(progress: list[DeliveryProgress]) -> Iterator[Metric]:
    position = GaugeMetricFamily(
        "runfold_delivery_position", "Position up to which the handlers are done.", labels=["name"]
    )
    attempts = GaugeMetricFamily(
        "runfold_delivery_failing_attempts",
        "Failed attempts at the event that holds the handlers up; 0 if none does.",
        labels=["name"],
    )
    for handlers in progress:
        position.add_metric([handlers.name], handlers.position)
        attempts.add_metric([handlers.name], handlers.attempts)
    yield from (position, attempts)


def _build_lag_metric(lag: Mapping[str, int]) -> Metric:
    behind = GaugeMetricFamily(
        "runfold_projection_lag_events",
        "Events that are not in the tables yet.",
        labels=["projection"],
    )
    for projection, events in lag.items():
        behind.add_metric([projection], events)
    return behind
