"""Hundreds of captured calls, with databases that fail and trackers that restart."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from tests.support.silent_sources import SilentAssistants
from tests.support.tracker_settings import QUEUED
from tests.support.waiting import PATIENCE, block_until, until
from tracker import Tracker, open_event_store
from tracker.capture.client_capture import ClientCapture
from tracker.core.events import RunCreated, run_stream
from tracker.errors import StoreUnavailable
from tracker.event_store import EventStore
from tracker.simulator import Simulator

KEY = "sk-test-4f1d9c22b7-7e0a"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:The Assistants API is deprecated:DeprecationWarning"),
]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=QUEUED, many_active=True, api_key=KEY) as running:
        yield running


def official(simulator: Simulator, **settings: Any) -> AsyncOpenAI:
    return AsyncOpenAI(
        api_key=KEY, base_url=simulator.base_url, **{"timeout": PATIENCE, **settings}
    )


def event_types(tracker: Tracker, run_id: str, source: str | None = None) -> list[type]:
    return [type(entry.event) for entry in tracker.history(run_id, source=source)]


def test_a_locked_database_costs_a_call_a_second_and_loses_nothing(
    tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[bool] = []
    should_wait = ClientCapture.should_wait

    def note(capture: ClientCapture, done: Future[None]) -> bool:
        waited.append(should_wait(capture, done))
        return waited[-1]

    monkeypatch.setattr(ClientCapture, "should_wait", note)

    async def scenario() -> None:
        tracker = Tracker(f"sqlite:///{tmp_path}/runs.db", SilentAssistants(simulator.base_url))
        async with official(simulator) as given:
            runs, thread = tracker.capture(given).beta.threads.runs, simulator.create_thread()
            other = sqlite3.connect(f"{tmp_path}/runs.db", isolation_level=None)
            async with tracker:
                other.execute("BEGIN IMMEDIATE")
                given_up = asyncio.create_task(runs.create(thread, assistant_id="asst_1"))
                await until(lambda: waited == [True])
                given_up.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await given_up
                monkeypatch.setattr("tracker.capture.hooks.PATIENCE_SECONDS", 1.0)
                made = [await runs.create(thread, assistant_id="asst_1") for _ in range(5)]
                # Only the first of them waited.
                assert waited == [True, True, False, False, False, False]
                other.execute("ROLLBACK")
            other.close()
            async with tracker:
                assert all(event_types(tracker, run.id) == [RunCreated] for run in made)
                ids = {state.run_id for state in tracker.watching}
                # The one that was given up by the application, too.
                assert ids == set(simulator.run_ids())

    asyncio.run(scenario())


class FailingStore:
    """An event store that can be made to fail."""

    def __init__(self) -> None:
        self._store = open_event_store("memory://")
        self.fails = True

    def append(self, batch: Any) -> None:
        if self.fails:
            raise StoreUnavailable("the database is gone")
        self._store.append(batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def is_recorded(store: EventStore, run_id: str) -> bool:
    return any(store.read_many([run_stream("assistants", run_id)]).values())


def test_a_database_that_fails_is_told_once(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    store: Any = FailingStore()
    with (
        Tracker(store, SilentAssistants(simulator.base_url)).in_background() as tracker,
        OpenAI(api_key=KEY, base_url=simulator.base_url, timeout=PATIENCE) as given,
    ):
        runs, thread = tracker.capture(given).beta.threads.runs, simulator.create_thread()
        made = [runs.create(thread, assistant_id="asst_1") for _ in range(3)]
        # They are watched all the same.
        assert len(tracker.watching) == 3
        store.fails = False
        runs.retrieve(made[0].id, thread_id=thread)
        # What was captured during the outage is kept, and recorded in the background.
        block_until(lambda: all(is_recorded(store, run.id) for run in made))
        assert all(len(tracker.history(run.id)) == 1 for run in made)
    told = [it.getMessage() for it in caplog.records if it.name == "runfold.capture"]
    assert sum("the database is gone" in message for message in told) == 1
    # Of the outage itself, too.
    assert caplog.text.count("cannot record, trying again until it works") == 1


def test_a_hundred_creations_with_two_clients_at_once(
    database_url: str, simulator: Simulator
) -> None:
    async def scenario() -> None:
        async with (
            Tracker(database_url, SilentAssistants(simulator.base_url)) as tracker,
            official(simulator) as first,
            official(simulator) as second,
        ):
            thread = simulator.create_thread()
            clients = [tracker.capture(first), tracker.capture(second)]
            made = await asyncio.gather(
                *(
                    clients[number % 2].beta.threads.runs.create(thread, assistant_id="asst_1")
                    for number in range(100)
                )
            )
            assert len(tracker.watching) == 100
            assert all(event_types(tracker, run.id) == [RunCreated] for run in made)

    asyncio.run(scenario())


def test_each_tracker_hears_of_its_own_and_two_at_one_address_are_told_apart(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        url = simulator.base_url
        a, b = SilentAssistants(url, name="a"), SilentAssistants(url, name="b")
        async with (
            Tracker("memory://", a, b) as both,
            Tracker("memory://", SilentAssistants(url)) as alone,
            Tracker("memory://", SilentAssistants("http://127.0.0.1:9/v1")) as elsewhere,
            official(simulator) as client,
        ):
            runs, thread = client.beta.threads.runs, simulator.create_thread()
            for tracker in (both, alone, elsewhere):
                tracker.capture(client)
            run = await runs.create(thread, assistant_id="asst_1")
            assert event_types(alone, run.id) == [RunCreated]
            assert (both.watching, elsewhere.watching) == ([], [])
            assert "say which" in caplog.text
            both.capture(client, source="b")
            await runs.retrieve(run.id, thread_id=thread)
            assert event_types(both, run.id, "b") == [RunCreated]

    asyncio.run(scenario())


def test_many_threads_while_the_tracker_stops_and_starts(simulator: Simulator) -> None:
    thread = simulator.create_thread()
    background = Tracker("memory://", SilentAssistants(simulator.base_url)).in_background()
    with (
        OpenAI(api_key=KEY, base_url=simulator.base_url, timeout=PATIENCE) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        runs = background.capture(client).beta.threads.runs
        calls = [
            pool.submit(lambda: runs.create(thread, assistant_id="asst_1").status)
            for _ in range(60)
        ]
        for _ in range(3):
            with background:
                time.sleep(0.1)
        assert {call.result() for call in calls} == {"queued"}
