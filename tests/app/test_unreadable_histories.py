"""A tracker of a store in which one history cannot be read: it follows all other runs."""

import asyncio

import pytest

from tests.support.raw_events import nested, plant_event
from tests.support.tracker_settings import QUICK
from tests.support.undelivered_events import completed, created
from tests.support.waiting import until
from tracker import Delivery, Tracker, open_event_store
from tracker.core.events import Unreadable
from tracker.errors import UnreadableEvent
from tracker.simulator import Simulator
from tracker.sources import Assistants

pytestmark = pytest.mark.integration


def plant_unreadable_runs(url: str) -> None:
    """Records runs that begin or continue with an event that cannot be read."""
    store = open_event_store(url)
    plant_event(url, "assistants:deep", 1, nested(250), "run.created/1")
    store.append([created(7)])
    plant_event(url, "assistants:run_7", 2)
    plant_event(url, "assistants:run_7", 3)
    plant_event(url, "configuration:ab", 1)
    store.close()


def test_a_tracker_opens_and_polls_the_others(
    database_url: str, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    plant_unreadable_runs(database_url)
    source = Assistants(simulator.base_url, api_key="key-4f1d9c22b7")
    thread = simulator.create_thread()

    async def first() -> str:
        async with Tracker(database_url, source, cadence=QUICK) as tracker:
            run = await tracker.runs.create(thread, assistant_id="asst_1")
            return run.id

    async def second(run_id: str) -> None:
        async with Tracker(database_url, source, cadence=QUICK) as tracker:
            assert (await tracker.wait(run_id, timeout=300)).status == "completed"
            with pytest.raises(UnreadableEvent, match="forget --run assistants:run_7"):
                await tracker.watch("thread_7", "run_7")
            kinds = [type(entry.event) for entry in tracker.history("run_7")]
            assert kinds[1:] == [Unreadable, Unreadable]

    run_id = asyncio.run(first())
    caplog.clear()
    asyncio.run(second(run_id))
    named = [it.getMessage() for it in caplog.records if "not resumed" in it.getMessage()]
    assert [it.partition(":")[2].split(",")[0] for it in named] == [
        f"{run}: not resumed" for run in ("deep", "run_7")
    ]


def test_handlers_get_all_other_events(
    database_url: str, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    plant_unreadable_runs(database_url)
    store = open_event_store(database_url)
    store.append([created(1), completed(1)])
    store.close()
    source = Assistants(simulator.base_url, api_key="key-4f1d9c22b7")
    tracker = Tracker(database_url, source, cadence=QUICK, resume=False)
    delivered: list[tuple[str, str, int]] = []

    @tracker.on(since="start")
    async def note(delivery: Delivery) -> None:
        delivered.append((delivery.thread_id, delivery.run_id, delivery.version))

    async def scenario() -> None:
        async with tracker:
            await until(lambda: len(delivered) == 3)

    asyncio.run(scenario())
    # What is readable of a run before is delivered too.
    assert delivered == [
        ("thread_7", "run_7", 1),
        ("thread_1", "run_1", 1),
        ("thread_1", "run_1", 2),
    ]
    assert sum("is not delivered to the handlers" in it.getMessage() for it in caplog.records) == 4
