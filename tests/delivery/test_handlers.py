"""Handlers: every event at least once, each run in order, over restarts and failures."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.tracker_settings import QUICK
from tests.support.undelivered_events import AT, completed, created, unpolled_tracker
from tests.support.waiting import until
from tracker import Delivery, Tracker, open_event_store
from tracker.core.events import (
    ConfigurationRecorded,
    Event,
    RunActionRequired,
    RunCreated,
    RunEnded,
)
from tracker.core.snapshot import Configuration
from tracker.delivery import event_reader, subscription
from tracker.delivery.dispatcher import retry_pause
from tracker.errors import SettingsError
from tracker.event_store import Append, RecordedEvent
from tracker.simulator import Parameters, Simulator
from tracker.sources import Assistants

pytestmark = pytest.mark.integration

TOOLS = Parameters.ending(
    "completed",
    action=1.0,
    max_actions=2,
    unanswered=0.0,
    stretched=0.0,
    time_scale=0.02,
    answers="client",
)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=TOOLS) as running:
        yield running


def test_a_handler_runs_the_tools_of_every_run(database_url: str, simulator: Simulator) -> None:
    tracker = Tracker(
        database_url, Assistants(simulator.base_url, api_key="key-4f1d9c22b7"), cadence=QUICK
    )
    answered: list[tuple[str, int]] = []

    @tracker.on(RunActionRequired)
    async def run_tools(delivery: Delivery) -> None:
        run = await tracker.runs.retrieve(delivery.thread_id, delivery.run_id)
        if run.status == "requires_action" and isinstance(delivery.event, RunActionRequired):
            outputs = [{"tool_call_id": c.id, "output": "1"} for c in delivery.event.tool_calls]
            await tracker.runs.submit_tool_outputs(delivery.thread_id, delivery.run_id, outputs)
            answered.append((delivery.run_id, delivery.position))

    async def scenario() -> None:
        async with tracker:
            runs = [
                await tracker.runs.create(simulator.create_thread(), assistant_id="asst_1")
                for _ in range(8)
            ]
            states = [await tracker.wait(run.id, timeout=300) for run in runs]
            assert {state.status for state in states} == {"completed"}
            assert {run for run, _ in answered} == {run.id for run in runs}
            [progress] = tracker.deliveries()
            assert (progress.name, progress.failing, progress.error) == ("handlers", None, None)

    asyncio.run(scenario())
    for run in {run for run, _ in answered}:
        positions = [position for it, position in answered if it == run]
        assert positions == sorted(positions)


def test_what_happened_while_nobody_was_there_is_delivered(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_reader, "_PAGE_SIZE", 20)
    store = open_event_store(database_url)
    store.append([created(0)])
    seen: list[Delivery] = []

    async def serve(number: int) -> None:
        tracker = unpolled_tracker(database_url)
        tracker.on(RunCreated, RunEnded)(seen.append)
        async with tracker:
            await until(lambda: len(seen) >= number)

    asyncio.run(serve(0))
    store.append([created(number) for number in range(1, 50)])
    asyncio.run(serve(49))
    store.append([completed(number) for number in (5, 3)])
    asyncio.run(serve(51))
    store.close()
    assert len(seen) == 51
    assert {delivery.run_id for delivery in seen[:49]} == {f"run_{n}" for n in range(1, 50)}
    assert {(d.run_id, d.thread_id, d.version) for d in seen[-2:]} == {
        ("run_5", "thread_5", 2),
        ("run_3", "thread_3", 2),
    }
    assert {delivery.source for delivery in seen} == {"assistants"}


def test_events_that_were_forgotten_meanwhile_are_not_delivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = open_event_store("memory://")
    store.append([created(number) for number in (1, 2, 3)])
    tracker = unpolled_tracker(store)
    seen: list[str] = []
    read_all = store.read_all

    def read_and_forget(after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        # The second is on the page that is about to be delivered.
        page = read_all(after, limit)
        store.forget(["assistants:run_2"])
        return page

    monkeypatch.setattr(store, "read_all", read_and_forget)

    @tracker.on(since="start")
    def takes(delivery: Delivery) -> None:
        seen.append(delivery.run_id)

    async def scenario() -> None:
        async with tracker:
            await until(lambda: tracker.deliveries()[0].position == 3)

    asyncio.run(scenario())
    assert sorted(seen) == ["run_1", "run_3"]


@pytest.mark.parametrize("since", ["now", "start"])
def test_a_new_name_begins_now_or_at_the_start(since: Any) -> None:
    store = open_event_store("memory://")
    store.append([created(1)])
    tracker = unpolled_tracker(store)
    seen: list[str] = []

    @tracker.on(since=since)
    def takes(delivery: Delivery) -> None:
        seen.append(delivery.run_id)

    async def scenario() -> None:
        async with tracker:
            store.append([created(2)])
            await until(lambda: "run_2" in seen)

    asyncio.run(scenario())
    assert seen == (["run_2"] if since == "now" else ["run_1", "run_2"])


def test_all_kinds_are_those_of_runs(database_url: str) -> None:
    store = open_event_store(database_url)
    configuration = Configuration(instructions="be kind")
    recorded = ConfigurationRecorded(
        observed_at=AT, digest=configuration.digest, configuration=configuration
    )
    store.append([Append("configuration:1", 0, [recorded]), created(1)])
    store.close()
    tracker = unpolled_tracker(database_url)
    seen: list[Event] = []

    @tracker.on(since="start")
    def takes(delivery: Delivery) -> None:
        seen.append(delivery.event)

    async def scenario() -> None:
        async with tracker:
            await until(lambda: bool(seen))
            await until(lambda: tracker.deliveries()[0].position == 2)

    asyncio.run(scenario())
    assert [type(event) for event in seen] == [RunCreated]


def test_a_handler_that_raises_holds_up_its_own_run_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = open_event_store("memory://")
    tracker = unpolled_tracker(store)
    calls: list[str] = []
    others: list[str] = []
    broken = threading.Event()
    broken.set()

    @tracker.on(RunCreated, RunEnded, name="tools")
    def before(delivery: Delivery) -> None:
        calls.append(f"before {delivery.run_id} {delivery.version}")

    @tracker.on(RunCreated, RunEnded, name="tools")
    async def raises(delivery: Delivery) -> None:
        calls.append(f"{delivery.run_id} {delivery.version}")
        if broken.is_set() and delivery.run_id == "run_1":
            tries = calls.count("run_1 1")
            raise ValueError("the tool is not there") if tries < 2 else asyncio.CancelledError

    @tracker.on(RunCreated, name="mail")
    def works(delivery: Delivery) -> None:
        others.append(delivery.run_id)

    async def scenario() -> None:
        async with tracker:
            store.append([created(1), created(2), completed(1), completed(2)])
            await until(lambda: calls.count("run_1 1") >= 2 and len(others) == 2)
            await until(lambda: "run_2 2" in calls and tracker.deliveries()[0].attempts >= 2)
            tools, mail = tracker.deliveries()
            assert tools.failing is not None
            assert (tools.failing.run_id, tools.failing_runs) == ("run_1", 1)
            assert "cancelled" in str(tools.error) or "not there" in str(tools.error)
            assert tools.position == 0
            await until(lambda: tracker.deliveries()[1].position == 4)
            assert mail.failing is None
            assert "run_1 2" not in calls
            broken.clear()
            await until(lambda: "run_1 2" in calls)
            await until(lambda: tracker.deliveries()[0].position == 4)
            assert tracker.deliveries()[0].failing is None

    asyncio.run(scenario())
    # One that is done is not called again for the sake of another.
    assert calls.count("before run_1 1") == 1
    assert calls.count("run_1 1") >= 3
    assert calls.index("before run_1 2") > max(i for i, it in enumerate(calls) if it == "run_1 1")
    assert sorted(others) == ["run_1", "run_2"]
    assert "the handler 'tools' raised at position 1" in caplog.text


def test_events_that_others_append_come(database_url: str) -> None:
    tracker = unpolled_tracker(database_url)
    seen: list[str] = []

    @tracker.on(RunCreated)
    async def takes(delivery: Delivery) -> None:
        seen.append(delivery.run_id)

    async def scenario() -> None:
        async with tracker:
            store = open_event_store(database_url)
            store.append([created(1)])
            store.close()
            await until(lambda: bool(seen))

    asyncio.run(scenario())


def test_our_own_events_come_without_a_look(
    database_url: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It looks by itself too: what is new in between has to be told.
    monkeypatch.setattr(subscription, "FALLBACK_SECONDS", 3600.0)
    body = simulator.body(simulator.create_run().run_id)
    tracker = unpolled_tracker(database_url)
    seen = asyncio.Event()

    @tracker.on(RunCreated)
    async def takes(delivery: Delivery) -> None:
        seen.set()

    async def scenario() -> None:
        async with tracker:
            await asyncio.to_thread(tracker.observe, body)
            await until(seen.is_set)

    asyncio.run(scenario())


def test_a_handler_that_is_under_way_finishes_and_no_other_begins(database_url: str) -> None:
    store = open_event_store(database_url)
    seen: list[str] = []

    async def serve(seconds: float, number: int) -> None:
        tracker = unpolled_tracker(database_url)
        begun = threading.Event()

        @tracker.on(RunCreated, since="start", concurrency=1)
        def slow(delivery: Delivery) -> None:
            begun.set()
            time.sleep(seconds)
            # The tracker is open until its handlers are done.
            assert tracker.history(delivery.run_id)
            seen.append(delivery.run_id)

        async with tracker:
            await until(begun.is_set)
            await until(lambda: len(seen) >= number)

    store.append([created(1), created(2), created(3)])
    asyncio.run(serve(2.0, 0))
    assert seen == ["run_1"]
    asyncio.run(serve(0.0, 3))
    assert seen == ["run_1", "run_2", "run_3"]
    store.close()


def test_bad_arguments_are_refused() -> None:
    tracker = unpolled_tracker("memory://")
    with pytest.raises(SettingsError, match="not a class of events"):
        tracker.on("run.created")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="name"):
        tracker.on(RunCreated, name="")
    with pytest.raises(SettingsError, match="since"):
        tracker.on(RunCreated, since="yesterday")  # type: ignore[arg-type]
    tracker.on(RunCreated, since="start", concurrency=4)(print)
    with pytest.raises(SettingsError, match="another name"):
        tracker.on(RunCreated)
    tracker.on(RunCreated, since="start", concurrency=4, timeout=5.0)
    with pytest.raises(SettingsError, match="concurrency=4"):
        tracker.on(RunCreated, since="start", concurrency=5)
    for bad in ({"concurrency": 0}, {"timeout": 0}, {"give_up_after": -1.0}):
        with pytest.raises(SettingsError, match="has to be"):
            tracker.on(RunCreated, name="other", **bad)  # type: ignore[arg-type]

    async def scenario() -> None:
        async with tracker:
            with pytest.raises(SettingsError, match="before"):
                tracker.on(RunCreated)
            with pytest.raises(SettingsError, match="open already"):
                await tracker.__aenter__()

    asyncio.run(scenario())


def test_a_pause_grows_to_a_minute_and_no_further() -> None:
    pauses = [retry_pause(attempts, 0.0) for attempts in range(1, 12)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.5, 60.0)
    assert retry_pause(1, 1.0) == 0.25
