"""Spans of ended runs, brought to an OpenTelemetry exporter."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from tracker.core.events import Event, RunEnded
from tracker.delivery.handlers import AnyHandler, Delivery, Since
from tracker.errors import ExportFailed, SettingsError
from tracker.event_store import RecordedEvent
from tracker.observability.spans import SpanData, spans_of, usage_of
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


class Exported(Protocol):
    """What is needed of a `Tracker` or a `BackgroundTracker`."""

    def on(
        self, *kinds: type[Event], name: str = "handlers", since: Since = "now"
    ) -> Callable[[AnyHandler], AnyHandler]: ...

    def history(self, run_id: str, *, source: str | None = None) -> list[RecordedEvent]: ...


def export_spans(
    tracker: Exported,
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
    """Has the spans of every run that ends exported; before the tracker is opened.

    Once for each run: when it has ended and its usage is known, or did not come within `settle`
    seconds. A span carries the server's own times, tokens are on the span of the run alone.
    `provider` is the convention's name of who runs the agents. What the exporter refuses is sent
    again until it takes it, and what it was given when the process died comes again under the
    same ids: `name` is that of the checkpoint. A correction of the usage after that is not sent.

    Raises SettingsError once the tracker is open.
    """
    source = resource or Resource.create()
    times = clock or SystemClock()

    @tracker.on(RunEnded, name=name, since=since)
    def export(delivery: Delivery) -> None:
        history = tracker.history(delivery.run_id, source=delivery.source)
        ago = (times.now() - delivery.event.observed_at).total_seconds()
        if usage_of(history) is None and ago < settle:
            pause(settle - ago)
            history = tracker.history(delivery.run_id, source=delivery.source)
        spans = [_readable(span, source) for span in spans_of(history, provider)]
        if exporter.export(spans) is not SpanExportResult.SUCCESS:
            raise ExportFailed(f"the exporter did not take the spans of {delivery.run_id}")


def _readable(span: SpanData, resource: Resource) -> ReadableSpan:
    status = Status(StatusCode.UNSET if span.error is None else StatusCode.ERROR)
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace_id, span.span_id),
        parent=None if span.parent_id is None else _context(span.trace_id, span.parent_id),
        resource=resource,
        attributes=dict(span.attributes),
        kind=SpanKind.CLIENT if span.parent_id is None else SpanKind.INTERNAL,
        status=status,
        start_time=_nanoseconds(span.start),
        end_time=_nanoseconds(span.end),
        instrumentation_scope=_SCOPE,
    )


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(1))


def _nanoseconds(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
