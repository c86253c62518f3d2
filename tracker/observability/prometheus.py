"""What a tracker counts, for Prometheus: read when it is scraped, and not before."""

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


class Counting(Protocol):
    """What is needed of a `Tracker` or a `BackgroundTracker`."""

    def counts(self) -> dict[str, SourceCounts]: ...

    def deliveries(self) -> list[DeliveryProgress]: ...


class PrometheusMetrics(Collector):
    """The metrics of one tracker, once they are registered; without samples while it is closed.

    `lag` gives how many events each projection is behind, by its name.
    """

    def __init__(
        self, tracker: Counting, *, lag: Callable[[], Mapping[str, int]] | None = None
    ) -> None:
        self._tracker = tracker
        self._lag = lag

    def register(self, registry: CollectorRegistry) -> None:
        """Adds the metrics to a registry, such as `prometheus_client.REGISTRY`."""
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """The metrics without their samples; asks nobody anything."""
        yield from _by_source({})
        yield from _of_deliveries([])
        if self._lag is not None:
            yield _of_lag({})

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now. Raises what `lag` raises."""
        counts = self._tracker.counts()
        yield from _by_source(counts)
        progress: list[DeliveryProgress] = []
        if counts:
            # It may be closed between the two.
            with suppress(SettingsError):
                progress = self._tracker.deliveries()
        yield from _of_deliveries(progress)
        if self._lag is not None:
            yield _of_lag(self._lag())


def _by_source(counts: Mapping[str, SourceCounts]) -> Iterator[Metric]:
    active = GaugeMetricFamily(
        "runfold_active_runs", "Runs that are watched now.", labels=["source", "status"]
    )
    polls = CounterMetricFamily(
        "runfold_polls", "Requests that asked about runs.", labels=["source"]
    )
    refusals = CounterMetricFamily(
        "runfold_refusals", "Polls that the service refused with 429.", labels=["source"]
    )
    failures = CounterMetricFamily(
        "runfold_poll_failures", "Looks at runs that failed otherwise.", labels=["source"]
    )
    delays = HistogramMetricFamily(
        "runfold_detection_delay_seconds",
        "From the service's stamp of a change to our sight of it.",
        labels=["source"],
    )
    for source, counted in counts.items():
        by_status: dict[str, int] = dict.fromkeys(_STATUSES, 0)
        for status, number in counted.active.items():
            # Any service may send any text, and each would be a series of its own.
            known = status if status in _STATUSES else "other" if status else "unseen"
            by_status[known] = by_status.get(known, 0) + number
        for status, number in sorted(by_status.items()):
            active.add_metric([source, status], number)
        polls.add_metric([source], counted.polls)
        refusals.add_metric([source], counted.refusals)
        failures.add_metric([source], counted.failures)
        delays.add_metric([source], _buckets(counted.delays), counted.delays.total)
    yield from (active, polls, refusals, failures, delays)


def _buckets(delays: Delays) -> list[tuple[str, float]]:
    bounds = [*map(str, DELAY_BOUNDS), "+Inf"]
    return list(zip(bounds, map(float, accumulate(delays.counts)), strict=True))


def _of_deliveries(progress: list[DeliveryProgress]) -> Iterator[Metric]:
    position = GaugeMetricFamily(
        "runfold_delivery_position", "Up to where handlers are done.", labels=["name"]
    )
    attempts = GaugeMetricFamily(
        "runfold_delivery_failing_attempts",
        "How often the event that holds handlers up has failed; 0 where none does.",
        labels=["name"],
    )
    for each in progress:
        position.add_metric([each.name], each.position)
        attempts.add_metric([each.name], each.attempts)
    yield from (position, attempts)


def _of_lag(lag: Mapping[str, int]) -> Metric:
    behind = GaugeMetricFamily(
        "runfold_projection_lag_events", "Events not yet in the tables.", labels=["projection"]
    )
    for projection, events in lag.items():
        behind.add_metric([projection], events)
    return behind
