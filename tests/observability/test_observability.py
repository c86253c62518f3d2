"""Metrics and spans of real runs, with the Prometheus client and the OpenTelemetry SDK."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from projections import Views
from tests.support.poller_bench import ScriptedSource, body
from tests.support.tracker_settings import LONG, QUICK
from tests.support.waiting import until
from tracker import Tracker, open_event_store
from tracker.core.events import RunCreated, RunFailed, RunUsageReported
from tracker.core.usage import Usage
from tracker.errors import SettingsError
from tracker.event_store import Append
from tracker.observability import PrometheusMetrics, export_spans
from tracker.simulator import Faults, Parameters, Simulator
from tracker.sources import Assistants
from tracker.testing import FakeClock

pytestmark = pytest.mark.integration

PLAIN = Parameters.ending("completed", action=0.0, time_scale=0.05, stretched=0.0)
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=PLAIN, many_active=True) as running:
        yield running


def tracker_of(url: str, simulator: Simulator) -> Tracker:
    return Tracker(url, Assistants(simulator.base_url, api_key="key-4f1d9c22b7"), cadence=QUICK)


def samples(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """What a scrape says, by name and values of labels."""
    text = generate_latest(registry).decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_a_scrape_says(database_url: str, simulator: Simulator) -> None:
    simulator.faults = Faults(rate_limited=0.2, server_error=0.2, retry_after=0.1)
    tracker, registry = tracker_of(database_url, simulator), CollectorRegistry()
    with Views(database_url) as views:
        views.prepare(create=True)

    def lag() -> dict[str, int]:
        store = open_event_store(database_url)
        try:
            return {"runs": store.last_position()}
        finally:
            store.close()

    PrometheusMetrics(tracker, lag=lag).register(registry)
    closed = samples(registry)
    assert closed == {("runfold_projection_lag_events", "runs"): 0}

    @tracker.on(RunCreated, name="mail")
    def takes(delivery: object) -> None:
        pass

    async def scenario() -> None:
        async with tracker:
            runs = [simulator.create_run(parameters=LONG) for _ in range(5)]
            # The event loop polls no run between the return of `watch` and the scrape.
            await tracker.watch(runs[0].thread_id, runs[0].run_id)
            assert samples(registry)["runfold_active_runs", "assistants", "unseen"] == 1
            for run in runs[1:]:
                await tracker.watch(run.thread_id, run.run_id)
            # A delay is counted of runs that were seen before.
            await until(lambda: all(state.status for state in tracker.watching))
            await until(lambda: min(simulator.traffic["429"], simulator.traffic["500"]) > 0)
            for run in runs:
                simulator.cancel(run.run_id)
            await asyncio.gather(*(tracker.wait(run.run_id, timeout=300) for run in runs))
            # Nothing is to be on its way while both sides are counted.
            assert await tracker.drain(120)
            found = await asyncio.to_thread(samples, registry)
            traffic = simulator.traffic
            assert sum(v for k, v in found.items() if k[0] == "runfold_active_runs") == 0
            assert found["runfold_polls_total", "assistants"] >= sum(
                traffic[status] for status in ("200", "429", "500")
            )
            assert found["runfold_refusals_total", "assistants"] == traffic["429"] > 0
            assert found["runfold_poll_failures_total", "assistants"] > 0
            count = found["runfold_detection_delay_seconds_count", "assistants"]
            assert count == found["runfold_detection_delay_seconds_bucket", "+Inf", "assistants"]
            assert count >= 5
            assert 0 < found["runfold_detection_delay_seconds_sum", "assistants"] < 60 * count
            assert found["runfold_projection_lag_events", "runs"] > 10
            assert found["runfold_delivery_failing_attempts", "mail"] == 0

    asyncio.run(scenario())
    assert samples(registry).keys() == closed.keys()
    with pytest.raises(ValueError, match="Duplicated"):
        PrometheusMetrics(tracker).register(registry)


def test_a_status_of_the_services_own_is_no_series_of_its_own(simulator: Simulator) -> None:
    registry, clock = CollectorRegistry(), FakeClock(AT)

    async def scenario() -> None:
        source: Any = ScriptedSource(clock, body("sk-looks-like-a-key"))
        async with Tracker("memory://", source, clock=clock, cadence=QUICK) as tracker:
            PrometheusMetrics(tracker).register(registry)
            await tracker.watch("thread_1", "run_1")
            await until(
                lambda: samples(registry).get(("runfold_active_runs", "assistants", "other")) == 1
            )

    asyncio.run(scenario())
    assert "sk-looks" not in generate_latest(registry).decode()


def test_it_measures_in_the_background_too(tmp_path: Path, simulator: Simulator) -> None:
    registry = CollectorRegistry()
    background = tracker_of(f"sqlite:///{tmp_path}/runs.db", simulator).in_background()
    PrometheusMetrics(background).register(registry)
    background.on(RunCreated, name="mail")(print)
    run = simulator.create_run()
    with background:
        background.watch(run.thread_id, run.run_id)
        background.wait(run.run_id, timeout=300)
        found = samples(registry)
        assert found["runfold_polls_total", "assistants"] > 0
        assert ("runfold_delivery_position", "mail") in found
    assert samples(registry) == {}


class Moody(InMemorySpanExporter):
    """An exporter that takes nothing at first."""

    refusals = 1

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.refusals:
            self.refusals -= 1
            return SpanExportResult.FAILURE
        return super().export(spans)


def test_ended_runs_are_exported_once(database_url: str, simulator: Simulator) -> None:
    exporter = Moody()
    runs = [simulator.create_run() for _ in range(4)]

    async def scenario() -> None:
        tracker = tracker_of(database_url, simulator)
        export_spans(tracker, exporter, resource=Resource({"service.name": "shop"}))
        async with tracker:
            for run in runs:
                await tracker.watch(run.thread_id, run.run_id)
                await tracker.wait(run.run_id, timeout=300)
            end = tracker.history(runs[-1].run_id)[-1].position
            async with asyncio.timeout(120):
                while tracker.deliveries()[0].position < end:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    asyncio.run(scenario())
    found = exporter.get_finished_spans()
    # Another that is opened on the same database has nothing more to send.
    asyncio.run(scenario())
    assert exporter.get_finished_spans() == found
    roots = [span for span in found if span.parent is None]
    exported = [span.attributes["gen_ai.response.id"] for span in roots]
    assert sorted(exported) == sorted(run.run_id for run in runs)
    assert len({span.context.span_id for span in found}) == len(found)
    for root in roots:
        truth = simulator.truth(root.attributes["gen_ai.response.id"])
        assert truth.usage is not None
        assert (root.name, root.kind) == ("invoke_agent", SpanKind.CLIENT)
        assert root.status.status_code is StatusCode.UNSET
        assert root.resource.attributes["service.name"] == "shop"
        assert root.attributes["gen_ai.usage.input_tokens"] == truth.usage.prompt_tokens
        below = [span for span in found if span.parent and span.parent == root.context]
        assert [span.name for span in below] == ["queued", "in_progress"]
        assert (below[0].start_time, below[-1].end_time) == (root.start_time, root.end_time)
        # Within the second that the service's own stamp stands for.
        assert root.start_time // 10**9 == truth.transitions[0][1] // 1
        began = datetime.fromtimestamp(root.start_time / 1e9, UTC)
        assert abs((began - datetime.now(UTC)).total_seconds()) < 120


def test_usage_that_comes_late_is_waited_for_and_then_not() -> None:
    store, exporter, clock = open_event_store("memory://"), InMemorySpanExporter(), FakeClock(AT)
    paused: list[float] = []

    def pause(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 1:
            usage = Usage(prompt_tokens=7)
            store.append([Append("assistants:run_1", 2, [report(usage)])])

    def report(usage: Usage) -> RunUsageReported:
        return RunUsageReported(observed_at=AT, usage=usage)

    for number in (1, 2):
        run = {"source": "assistants", "run_id": f"run_{number}", "status": "queued"}
        end = RunFailed(observed_at=AT, previous="queued")
        store.append(
            [Append(f"assistants:run_{number}", 0, [RunCreated(observed_at=AT, **run), end])]
        )
    tracker = Tracker(store, Assistants("http://127.0.0.1:9/v1"), resume=False)
    export_spans(tracker, exporter, since="start", settle=5.0, clock=clock, pause=pause)

    async def scenario() -> None:
        async with tracker:
            while len(exporter.get_finished_spans()) < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            with pytest.raises(SettingsError, match="before"):
                export_spans(tracker, exporter)

    asyncio.run(scenario())
    assert paused == [5.0, 5.0]
    roots = [span for span in exporter.get_finished_spans() if span.parent is None]
    assert [span.attributes.get("gen_ai.usage.input_tokens") for span in roots] == [7, None]
    assert roots[0].status.status_code is StatusCode.ERROR
