"""Export of the spans of ended runs to an OpenTelemetry exporter."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from tracker.core.events import RunEnded
from tracker.delivery.handlers import Delivery, EventT, Registration, Result, Since
from tracker.errors import ExportFailed, SettingsError
from tracker.event_store import RecordedEvent
from tracker.observability.spans import SpanData, build_spans, find_usage
from tracker.runtime.clock import Clock, SystemClock

try:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
except ImportError as error:  # pragma: no cover - only without the extra
    raise SettingsError("OpenTelemetry needs the extra: pip install 'runfold[otel]'") from error

_SCOPE = InstrumentationScope("runfold")


class TrackerWithHistory(Protocol):
    """The part of a `Tracker` or `BackgroundTracker` that the export needs."""

    def on(
        self,
        *kinds: type[EventT],
        name: str = "handlers",
        since: Since = "now",
        concurrency: int | None = None,
    ) -> Registration[EventT, Result]: ...

    def history(self, run_id: str, *, source: str | None = None) -> list[RecordedEvent]: ...


def export_spans(
    tracker: TrackerWithHistory,
    exporter: SpanExporter,
    *,
    name: str = "spans",
    since: Since = "now",
    provider: str = "openai",
    resource: Resource | None = None,
    settle: float = 5.0,
    clock: Clock | None = None,
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Exports the spans of every run that ends. To be called before the tracker is opened.

    Exports each run once: when it has ended and its usage is known, or `settle` seconds later. A
    span has the server's own times; only the span of the run has tokens. `provider` is the
    convention's name of the provider of the agents. Spans that the exporter refuses are sent
    again until it accepts them, and those that it received when the process died are sent again
    under the same ids. `name` is the name of the checkpoint. Later corrections of the usage are
    not sent.

    Raises SettingsError if the tracker is open.
    """
    span_resource = resource or Resource.create()
    times = clock or SystemClock()

    # One at a time: an exporter need not be safe for threads.
    @tracker.on(RunEnded, name=name, since=since, concurrency=1)
    def export(delivery: Delivery) -> None:
        history = tracker.history(delivery.run_id, source=delivery.source)
        age = (times.now() - delivery.event.observed_at).total_seconds()
        if find_usage(history) is None and age < settle:
            pause(settle - age)
            history = tracker.history(delivery.run_id, source=delivery.source)
        spans = [_to_readable_span(span, span_resource) for span in build_spans(history, provider)]
        if exporter.export(spans) is not SpanExportResult.SUCCESS:
            raise ExportFailed(f"the exporter did not accept the spans of {delivery.run_id}")


def _to_readable_span(span: SpanData, resource: Resource) -> ReadableSpan:
    status = Status(StatusCode.UNSET if span.error is None else StatusCode.ERROR)
    return ReadableSpan(
        name=span.name,
        context=_make_context(span.trace_id, span.span_id),
        parent=None if span.parent_id is None else _make_context(span.trace_id, span.parent_id),
        resource=resource,
        attributes=dict(span.attributes),
        kind=SpanKind.CLIENT if span.parent_id is None else SpanKind.INTERNAL,
        status=status,
        start_time=_to_nanoseconds(span.start),
        end_time=_to_nanoseconds(span.end),
        instrumentation_scope=_SCOPE,
    )


# Of an unsigned integer of 64 bits: in the year 2554.
_LAST_NANOSECOND = 2**64 - 1


def _make_context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(1))


def _to_nanoseconds(moment: datetime) -> int:
    elapsed = moment - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = elapsed.days * 86_400 + elapsed.seconds
    number = (seconds * 1_000_000 + elapsed.microseconds) * 1_000
    # Spans are sent in batches, and one that cannot be encoded would take the others with it.
    return min(max(number, 0), _LAST_NANOSECOND)
