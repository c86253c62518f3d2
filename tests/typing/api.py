"""Uses of the public API: never run, but checked by mypy."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, assert_type

import httpx
import polars
import pyarrow
from openai import AsyncOpenAI
from openai.types.responses import ResponseStreamEvent
from opentelemetry.sdk.trace.export import SpanExporter
from prometheus_client import CollectorRegistry

from projections import (
    ActionRow,
    CostRow,
    Diagnosis,
    Difference,
    PhaseRow,
    Prices,
    Pruned,
    Rows,
    RunHistory,
    RunRow,
    StatusCount,
    StepRow,
    StuckRow,
    TimingRow,
    UnpricedRow,
    UsageRow,
    Views,
    fold,
    metadata,
)
from tracker import (
    Backfilled,
    BackgroundTracker,
    Delivery,
    EventStore,
    RunfoldError,
    RunState,
    Tracker,
    open_event_store,
)
from tracker.core.events import Event, RunActionRequired, RunCompleted, RunEnded, RunFailed
from tracker.core.snapshot import ToolCall
from tracker.core.usage import Usage
from tracker.delivery import DeliveryProgress
from tracker.errors import PollAgain, StopPolling
from tracker.event_store import RecordedEvent
from tracker.observability import PrometheusMetrics, export_spans
from tracker.simulator import Parameters, Simulator
from tracker.sources import (
    AgentTurns,
    Assistants,
    LangGraph,
    PageSource,
    Response,
    Responses,
    Run,
    RunListSource,
    RunStep,
    RunToolCall,
    Source,
)

NOW = datetime.now(UTC)


async def is_sent_things(tracker: Tracker, body: bytes, headers: Mapping[str, str]) -> None:
    """Takes in a webhook, and streams of bytes and of a client's events."""
    assert_type(await tracker.webhook(body, headers, secret="whsec_b3RoZXI="), RunState | None)

    async def pieces() -> AsyncIterator[bytes]:
        yield body

    async for piece in tracker.observing(pieces(), source="responses"):
        assert_type(piece, bytes)
    async with AsyncOpenAI() as client:
        stream = await client.responses.create(input="Hi", background=True, stream=True)
        async for event in tracker.observing(stream):
            assert_type(event, ResponseStreamEvent)


def is_sent_things_in_the_background(tracker: BackgroundTracker, body: bytes) -> None:
    """The same without an event loop."""
    state = tracker.webhook(body, {"webhook-id": "wh_1"}, secret=["whsec_b3RoZXI="], timeout=5)
    assert_type(state, RunState | None)
    for piece in tracker.observing([body]):
        assert_type(piece, bytes)


async def follows_a_run(key: str, payload: Mapping[str, Any]) -> int | None:
    """Starts a run and answers it; as the README has it, with each type named."""
    api = Assistants(base_url="https://example.com/v1", api_key=lambda: key)
    async with Tracker("sqlite:///runs.db", api) as tracker:
        assert_type(tracker, Tracker)
        run = await tracker.runs.create("thread_1", assistant_id="asst_1", metadata={"team": "a"})
        assert_type(run, Run)
        assert_type(run.tool_calls, list[RunToolCall])
        state = await tracker.wait(run.id, timeout=300, until="actionable")
        assert_type(state, RunState)
        while state.needs_action:
            outputs = [{"tool_call_id": call.id, "output": "42"} for call in state.tool_calls]
            await tracker.runs.submit_tool_outputs("thread_1", run.id, outputs)
            state = await tracker.wait(run.id, timeout=300, until="actionable")
        await tracker.watch("thread_2", "run_2")
        assert_type(tracker.observe(payload), list[Event])
        assert_type(tracker.watching, list[RunState])
        tracker.watch_thread("thread_3", every=30)
        tracker.unwatch_thread("thread_3")
        assert_type(await tracker.backfill("thread_3", steps=False), Backfilled)
        assert_type(tracker.overdue, list[RunState])
        assert_type(await tracker.drain(timeout=5), bool)
        status = tracker.sources_status()["assistants"]
        assert_type(status.rate, float)
        assert_type(status.refusing, str | None)
        assert_type(status.peculiarities, Mapping[str, int])
        async for step in await tracker.runs.steps.list("thread_1", run.id):
            assert_type(step, RunStep)
        async for other in await tracker.runs.list("thread_1", limit=20, order="desc"):
            assert_type(other, Run)
        for recorded in tracker.history(run.id):
            assert_type(recorded, RecordedEvent)
            if isinstance(recorded.event, RunCompleted):
                assert_type(recorded.event.usage, Usage | None)
    return state.usage.total_tokens if state.usage else None


async def acts_on_what_happens(api: Assistants) -> None:
    """Handlers of both colours, and what holds them up."""
    tracker = Tracker("sqlite:///runs.db", api)
    views = Views("sqlite:///runs.db")
    tracker.every(1.0, views.catch_up)
    tracker.every(3600, lambda: views.prune(timedelta(days=90)), name="retention")
    tracker.every(60, tracker.drain)

    @tracker.on(RunActionRequired)
    async def runs_tools(delivery: Delivery[RunActionRequired]) -> None:
        assert_type(delivery.event, RunActionRequired)
        assert_type(delivery.event.tool_calls[0], ToolCall)
        await tracker.runs.submit_tool_outputs(delivery.thread_id, delivery.run_id, [])

    @tracker.on(RunEnded, name="mail", since="start")
    def writes_mail(delivery: Delivery[RunEnded]) -> int:
        assert_type(delivery.event.usage, Usage | None)
        return delivery.position

    @tracker.on(RunCompleted, RunFailed)
    def sees_two_kinds(delivery: Delivery[RunEnded]) -> None:
        assert_type(delivery.event.status, str)

    @tracker.on()
    def sees_all(delivery: Delivery) -> None:
        assert_type(delivery.event, Event)

    @tracker.on(RunFailed)
    def sees_any(delivery: Delivery) -> None:
        assert_type(delivery.event.observed_at, datetime)

    @tracker.tool
    async def get_weather(city: str) -> str:
        return city

    @tracker.tool("issue_refund", once=True, on_error=str)
    def refund(amount: float) -> float:
        return amount

    assert_type(refund(1.0), float)
    async with tracker:
        assert_type(await get_weather("Oslo"), str)
        assert_type(tracker.deliveries(), list[DeliveryProgress])
        assert_type(await tracker.retry_deliveries("run_1", name="mail"), int)
    assert_type(
        writes_mail(
            Delivery("assistants", "", "", 1, 1, RunCompleted(observed_at=NOW, previous="x"))
        ),
        int,
    )


def blocks_in_a_script(
    api: Assistants, registry: CollectorRegistry, exporter: SpanExporter
) -> RunState:
    """The same calls without an event loop, with metrics and spans."""
    background = Tracker("sqlite:///runs.db", api).in_background()
    assert_type(background, BackgroundTracker)
    PrometheusMetrics(background, lag=lambda: {"runs": 0}).register(registry)
    export_spans(background, exporter)
    background.every(0.5, lambda: background.watching)

    @background.on(RunFailed)
    def tells(delivery: Delivery[RunFailed]) -> None:
        assert_type(delivery.event, RunFailed)

    with background as tracker:
        run = tracker.runs.create("thread_1", assistant_id="asst_1")
        assert_type(run, Run)
        for step in tracker.runs.steps.list("thread_1", run.id):
            assert_type(step, RunStep)
        for other in tracker.runs.list("thread_1"):
            assert_type(other, Run)
        assert_type(tracker.history(run.id), list[RecordedEvent])
        assert_type(tracker.capture(httpx.Client()), httpx.Client)
        assert_type(tracker.responses.create(model="gpt-5", input="Hi"), Response)
        return tracker.wait(run.id, timeout=300)


async def follows_others_too(url: str) -> list[Source]:
    """Watches each kind of run that there is, and goes on from a response."""
    sources: list[Source] = [Responses(url, "key"), AgentTurns(url), LangGraph(url, None)]
    pages: list[PageSource] = [Assistants(url), AgentTurns(url), LangGraph(url)]
    lists: list[RunListSource] = [Assistants(url), AgentTurns(url), LangGraph(url)]
    async with Tracker("sqlite:///runs.db", *sources) as tracker:
        response = await tracker.responses.create(model="gpt-5", input="Hi")
        assert_type(response, Response)
        await tracker.watch(None, response.id, source="responses")
        assert_type(tracker.capture(AsyncOpenAI(), "responses"), AsyncOpenAI)
        await tracker.watch("thread_1", "run_1", source="langgraph")
    assert pages
    assert lists
    return sources


async def asks_for_what_to_do(api: Assistants) -> float | None:
    """Tells apart what can be asked again, and what somebody has to change first."""
    try:
        assert_type(await api.retrieve("thread_1", "run_1"), Run)
    except PollAgain as error:
        return error.retry_after
    except StopPolling:
        return None
    except RunfoldError as error:
        raise RuntimeError("runfold") from error
    return 0.0


def asks_the_tables(since: datetime) -> timedelta:
    """Asks each question, and uses what each answer holds."""
    with Views("sqlite:///runs.db") as views:
        views.upgrade()
        assert_type(views.catch_up(lambda position, last: None), int)
        runs = views.runs(status=["queued", "in_progress"], since=since, limit=10)
        assert_type(runs, Rows[RunRow])
        assert_type(views.run("run_1").ended_at, datetime | None)
        assert_type(views.phases("run_1"), Rows[PhaseRow])
        assert_type(views.actions(waiting=True), Rows[ActionRow])
        assert_type(views.steps("run_1"), Rows[StepRow])
        assert_type(views.stuck(), Rows[StuckRow])
        assert_type(views.timing(by="model", percentiles=(50, 99)), Rows[TimingRow])
        assert_type(views.usage(by=("day", "model"), tz="Europe/Berlin"), Rows[UsageRow])
        assert_type(views.cost(by="day"), Rows[CostRow])
        assert_type(views.cost()[0].total_dollars, Decimal | None)
        assert_type(views.unpriced(), Rows[UnpricedRow])
        assert_type(views.status_counts(), Rows[StatusCount])
        assert_type(runs.records(), list[dict[str, Any]])
        assert_type(runs.to_arrow(), pyarrow.Table)
        assert_type(views.export("runs", "runs.parquet", since=NOW), int)
        assert_type(views.export_all("folder", format="jsonl.gz"), dict[str, int])
        assert_type(runs.to_polars(), polars.DataFrame)
        assert_type(views.prune(timedelta(days=90), dry_run=True), Pruned)
        assert_type(views.doctor(), Diagnosis)
        assert_type(views.verify(), list[Difference])
        days = [row.group["day"] for row in views.usage(by="day")]
        assert all(isinstance(day, date) for day in days)
    assert "runs" in metadata.tables
    return max((run.last_changed_at - run.created_at for run in runs), default=timedelta())


def brings_a_store_of_its_own(api: Assistants) -> tuple[Tracker, Views]:
    """One event store for both sides; and a simulator to try them on."""
    store = open_event_store("memory://")
    assert_type(store, EventStore)
    with Simulator(parameters=Parameters(time_scale=0.1)) as simulator:
        assert_type(simulator.base_url, str)
    prices = Prices(models={"our-deployment": "gpt-4o"}, provider="azure")
    return Tracker(store, api), Views("sqlite:///views.db", store=store, prices=prices)


def histories(views: Views) -> None:
    """Histories and folds of one's own."""
    history = views.history("run_1")
    assert_type(history, RunHistory)
    assert_type(history.at(3).phases, tuple[PhaseRow, ...])
    assert_type(history.usage, Usage | None)
    assert_type(history.cost, Decimal | None)
    assert_type(history.diff(1, 2).events, tuple[RecordedEvent, ...])
    assert_type(fold(history, 0, lambda count, recorded: count + recorded.version), int)
    assert_type(views.fold(lambda count, recorded: count + 1, 0, since=0), int)
