"""Several trackers on one PostgreSQL database: each run is polled by one, and known to all."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.app.test_tracker import LONG, PLAIN, QUICK, TOOLS
from tracker import Tracker, open_event_store
from tracker.core.events import RunCreated, RunEnded
from tracker.errors import NotFound
from tracker.leases.shards import SHARDS, shard_of
from tracker.recording.observation import Observation
from tracker.recording.repository import RunRepository
from tracker.simulator import Simulator
from tracker.sources import Answer, Assistants

pytestmark = pytest.mark.integration


class Counting(Assistants):
    """A source that counts how often it asks about each run, some of which are gone."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url=base_url, api_key="key-4f1d9c22b7")
        self.asked: Counter[str] = Counter()
        self.gone: set[str] = set()

    async def fetch(self, thread_id: str, run_id: str, known: bytes | None = None) -> Answer:
        self.asked[run_id] += 1
        if run_id in self.gone:
            raise NotFound(f"no run {run_id}")
        return await super().fetch(thread_id, run_id, known)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=PLAIN) as running:
        yield running


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


async def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


class Pair:
    """Two trackers on one database that have divided its shards, and their sources."""

    def __init__(self, url: str, simulator: Simulator) -> None:
        self.url, self.simulator = url, simulator
        self.sources = [Counting(simulator.base_url) for _ in range(2)]
        self.trackers = [Tracker(url, source, cadence=QUICK) for source in self.sources]

    async def divided(self) -> None:
        await until(lambda: len(self.counts()) == 2 and set(self.counts()) == {SHARDS // 2})
        # Until the one that gave back has heard of it.
        await asyncio.sleep(0.2)

    def counts(self) -> list[int]:
        statement = "SELECT count(*) FROM runfold_leases WHERE worker IS NOT NULL GROUP BY worker"
        return [number for (number,) in execute(self.url, statement)]

    def owned(self) -> set[int]:
        """The shards of the first tracker: those of the worker that came first."""
        rows = execute(
            self.url,
            "SELECT shard, worker FROM runfold_leases ORDER BY since, shard",
        )
        return {shard for shard, worker in rows if worker == rows[0][1]}

    def threads(self, number: int) -> list[tuple[str, int]]:
        """Threads that are there, and which of the trackers polls each."""
        first = self.owned()
        made = [self.simulator.create_thread() for _ in range(number)]
        return [(it, int(shard_of("assistants", it).number not in first)) for it in made]


def run_pair(url: str, simulator: Simulator, work: Callable[[Pair], Awaitable[None]]) -> None:
    async def divided() -> None:
        pair = Pair(url, simulator)
        async with AsyncExitStack() as stack:
            for tracker in pair.trackers:
                await stack.enter_async_context(tracker)
            await pair.divided()
            await work(pair)

    asyncio.run(divided())


def test_a_run_is_polled_by_its_owner_and_known_to_who_waits(
    postgres_db: str, simulator: Simulator
) -> None:
    async def work(pair: Pair) -> None:
        tracker = pair.trackers[0]

        async def see(thread: str, owner: int) -> None:
            run = await tracker.runs.create(thread, assistant_id="asst_1")
            state = await tracker.wait(run.id, timeout=15)
            assert state.status == "completed"
            assert pair.sources[owner].asked[run.id] > 0
            assert pair.sources[1 - owner].asked[run.id] == 0
            # Both know it afterwards, and neither watches it.
            for each in pair.trackers:
                assert (await each.wait(run.id, timeout=5)).status == "completed"
                kinds = [type(entry.event) for entry in each.history(run.id)]
                assert sum(issubclass(kind, RunEnded) for kind in kinds) == 1
                assert kinds.count(RunCreated) == 1

        threads = pair.threads(16)
        assert {owner for _, owner in threads} == {0, 1}
        await asyncio.gather(*(see(*thread) for thread in threads))
        await until(lambda: not any(tracker.watching for tracker in pair.trackers))

    run_pair(postgres_db, simulator, work)


def test_a_run_of_somebody_else_is_looked_at_once_by_who_was_asked(
    postgres_db: str, simulator: Simulator
) -> None:
    async def work(pair: Pair) -> None:
        tracker, source = pair.trackers[0], pair.sources[0]
        for thread, owner in pair.threads(8):
            run = simulator.create_run(thread).run_id
            await tracker.watch(thread, run)
            assert (await tracker.wait(run, timeout=15)).status == "completed"
            if owner == 1:
                assert source.asked[run] == 1
                assert pair.sources[1].asked[run] > 0

    run_pair(postgres_db, simulator, work)


def test_actions_can_be_answered_by_who_does_not_poll(
    postgres_db: str, simulator: Simulator
) -> None:
    simulator.parameters = TOOLS

    async def work(pair: Pair) -> None:
        tracker = pair.trackers[0]

        async def see(thread: str) -> None:
            run = await tracker.runs.create(thread, assistant_id="asst_1")
            answered = 0
            state = await tracker.wait(run.id, timeout=15, until="actionable")
            while state.needs_action:
                outputs = [{"tool_call_id": it.id, "output": "42"} for it in state.tool_calls]
                await tracker.runs.submit_tool_outputs(thread, run.id, outputs)
                answered += 1
                state = await tracker.wait(run.id, timeout=15, until="actionable")
            assert (state.status, answered) == ("completed", 1)

        await asyncio.gather(*(see(thread) for thread, _ in pair.threads(12)))

    run_pair(postgres_db, simulator, work)


def test_a_run_that_vanished_is_said_to_who_waits(postgres_db: str, simulator: Simulator) -> None:
    simulator.parameters = LONG

    async def work(pair: Pair) -> None:
        tracker = pair.trackers[0]
        thread = next(it for it, owner in pair.threads(40) if owner == 1)
        run = await tracker.runs.create(thread, assistant_id="asst_1")
        waiting = asyncio.create_task(tracker.wait(run.id, timeout=30))
        await until(lambda: pair.sources[1].asked[run.id] > 0)
        pair.sources[1].gone.add(run.id)
        with pytest.raises(NotFound):
            await waiting

    run_pair(postgres_db, simulator, work)


def test_who_leaves_is_followed_within_seconds(postgres_db: str, simulator: Simulator) -> None:
    simulator.parameters = LONG

    async def follow() -> None:
        pair = Pair(postgres_db, simulator)
        async with pair.trackers[0]:
            async with pair.trackers[1]:
                await pair.divided()
                thread = next(it for it, owner in pair.threads(40) if owner == 1)
                run = await pair.trackers[1].runs.create(thread, assistant_id="asst_1")
                await until(lambda: pair.sources[1].asked[run.id] > 1)
                assert pair.sources[0].asked[run.id] == 0
            await until(lambda: pair.sources[0].asked[run.id] > 1, 6)

    asyncio.run(follow())


def test_who_loses_its_leases_stops_polling_until_it_has_them_again(
    postgres_db: str, simulator: Simulator
) -> None:
    simulator.parameters = LONG

    async def lose() -> None:
        source = Counting(simulator.base_url)
        async with Tracker(postgres_db, source, cadence=QUICK) as tracker:
            run = await tracker.runs.create(simulator.create_thread(), assistant_id="asst_1")
            await until(lambda: source.asked[run.id] > 2)
            execute(
                postgres_db,
                "UPDATE runfold_leases SET worker = 'another', "
                "expires_at = clock_timestamp() + interval '1 minute'",
            )
            await asyncio.sleep(3.0)
            asked = source.asked[run.id]
            await asyncio.sleep(1.0)
            assert source.asked[run.id] == asked
            assert [state.run_id for state in tracker.watching] == [run.id]
            execute(postgres_db, "UPDATE runfold_leases SET expires_at = clock_timestamp()")
            await until(lambda: source.asked[run.id] > asked + 2)

    asyncio.run(lose())


def test_who_cannot_renew_stops_when_the_lease_ends(
    postgres_db: str, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    simulator.parameters = LONG

    async def lose() -> None:
        source = Counting(simulator.base_url)
        async with Tracker(postgres_db, source, cadence=QUICK) as tracker:
            run = await tracker.runs.create(simulator.create_thread(), assistant_id="asst_1")
            await until(lambda: source.asked[run.id] > 2)
            execute(postgres_db, "ALTER TABLE runfold_leases RENAME TO put_away")
            await asyncio.sleep(2.5)
            still = source.asked[run.id]
            await until(lambda: source.asked[run.id] > still, 1)
            await asyncio.sleep(5.0)
            asked = source.asked[run.id]
            await asyncio.sleep(1.0)
            assert source.asked[run.id] == asked
            execute(postgres_db, "ALTER TABLE put_away RENAME TO runfold_leases")
            await until(lambda: source.asked[run.id] > asked + 2)

    asyncio.run(lose())
    assert "leases are not renewed" in caplog.text


def test_one_that_only_watches_takes_no_part(postgres_db: str, simulator: Simulator) -> None:
    async def watch() -> None:
        api = Assistants(base_url=simulator.base_url, api_key="key-4f1d9c22b7")
        async with Tracker(postgres_db, api, cadence=QUICK, resume=False) as tracker:
            thread = simulator.create_thread()
            run = await tracker.runs.create(thread, assistant_id="asst_1")
            assert (await tracker.wait(run.id, timeout=15)).status == "completed"
            assert execute(postgres_db, "SELECT * FROM runfold_workers") == []

    asyncio.run(watch())


def test_what_others_record_is_polled_past_an_event_of_a_newer_release(
    postgres_db: str, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    async def follow() -> None:
        api = Assistants(base_url=simulator.base_url, api_key="key-4f1d9c22b7")
        async with Tracker(postgres_db, api, cadence=QUICK) as tracker:
            execute(
                postgres_db,
                "INSERT INTO runfold_events (originator_id, originator_version, topic, state) "
                "VALUES ('assistants:run_0', 1, 'run.painted/1', '{}')",
            )
            thread = simulator.create_thread()
            run = simulator.create_run(thread).run_id
            # As an importer does, or a webhook of another process.
            store = open_event_store(postgres_db)
            seen = api.snapshot(simulator.body(run), observed_at=datetime.now(UTC))
            RunRepository(store).record([Observation.of(seen)])
            store.close()
            await until(lambda: [state.run_id for state in tracker.watching] == [run])
            assert (await tracker.wait(run, timeout=15)).status == "completed"

    asyncio.run(follow())
    assert "passed over" in caplog.text
