"""Delivery of events that other processes append, without a delay of local ones."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.support.undelivered_events import completed, created, unpolled_tracker
from tests.support.waiting import until
from tracker import Delivery, EventStore, open_event_store
from tracker.core.events import RunCompleted, RunCreated
from tracker.delivery import subscription
from tracker.errors import StoreUnavailable
from tracker.event_store.memory import MemoryRecorder
from tracker.event_store.recorder_store import RecorderEventStore

pytestmark = pytest.mark.integration

HOUR = 3600.0


@pytest.fixture
def without_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look by itself: what comes has been told of."""
    monkeypatch.setattr(subscription, "FALLBACK_SECONDS", HOUR)


@pytest.fixture
def elsewhere(database_url: str) -> Iterator[EventStore]:
    store = open_event_store(database_url)
    yield store
    store.close()


class DeafStore(RecorderEventStore):
    """A store in memory that nobody can wait at."""

    waits = 0

    def __init__(self) -> None:
        super().__init__(MemoryRecorder())

    def wait(self, after: int, timeout: float) -> bool:
        self.waits += 1
        raise StoreUnavailable("nobody waits here")


def listeners() -> list[threading.Thread]:
    threads = threading.enumerate()
    return [thread for thread in threads if thread.name.startswith("runfold-events")]


@pytest.mark.usefixtures("without_fallback")
def test_events_of_other_processes_come_at_once(database_url: str, elsewhere: EventStore) -> None:
    tracker = unpolled_tracker(database_url)
    seen: list[str] = []
    ends: list[str] = []

    @tracker.on(RunCreated, name="created")
    async def takes(delivery: Delivery) -> None:
        seen.append(delivery.run_id)

    @tracker.on(RunCompleted, name="ends")
    def takes_ends(delivery: Delivery) -> None:
        ends.append(delivery.run_id)

    async def scenario() -> None:
        async with tracker:
            # One thread, however many names there are.
            await until(lambda: len(listeners()) == 1)
            for number in range(1, 6):
                elsewhere.append([created(number)])
                await until(lambda wanted=number: len(seen) == wanted)
                elsewhere.append([completed(number)])
                await until(lambda wanted=number: len(ends) == wanted)
        assert listeners() == []

    asyncio.run(asyncio.wait_for(scenario(), 600))
    assert seen == ends == [f"run_{number}" for number in range(1, 6)]


@pytest.mark.usefixtures("without_fallback")
def test_it_is_left_promptly_and_entered_again(database_url: str, elsewhere: EventStore) -> None:
    tracker = unpolled_tracker(database_url)
    seen: list[str] = []

    @tracker.on(RunCreated)
    async def takes(delivery: Delivery) -> None:
        seen.append(delivery.run_id)

    async def scenario() -> None:
        for number in (1, 2):
            async with tracker:
                elsewhere.append([created(number)])
                await until(lambda wanted=number: len(seen) == wanted)
                await tracker.stop_delivering()
                assert listeners() == []
                await tracker.stop_delivering()

    asyncio.run(asyncio.wait_for(scenario(), 600))


def test_without_handlers_nobody_listens(database_url: str) -> None:
    async def scenario() -> None:
        async with unpolled_tracker(database_url):
            assert listeners() == []

    asyncio.run(scenario())


def test_without_a_listener_events_come_a_second_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = DeafStore()
    tracker = unpolled_tracker(store)
    seen: list[str] = []

    @tracker.on(RunCreated)
    async def takes(delivery: Delivery) -> None:
        seen.append(delivery.run_id)

    async def scenario() -> None:
        async with tracker:
            await until(lambda: store.waits > 0)
            store.append([created(1)])
            await until(lambda: seen == ["run_1"])
            await until(lambda: store.waits > 2)

    asyncio.run(asyncio.wait_for(scenario(), 600))
    said = [text for text in caplog.messages if "delivered late: nobody waits here" in text]
    # Once, and not at each try.
    assert len(said) == 1
    store.close()
