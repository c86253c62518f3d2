"""Several trackers on one PostgreSQL database: one polls each run, all know it."""

import asyncio
from datetime import UTC, datetime

import pytest

from tests.support.tracker_pairs import Counting, Pair, count_shards, execute, run_pair
from tests.support.tracker_settings import LONG, QUICK, TOOLS
from tests.support.waiting import PATIENCE, until
from tracker import Tracker, open_event_store
from tracker.core.events import RunCreated, RunEnded
from tracker.errors import NotFound
from tracker.recording.observation import Observation
from tracker.recording.repository import RunRepository
from tracker.simulator import Simulator
from tracker.sources import Assistants

pytestmark = pytest.mark.integration


def test_a_run_is_polled_by_its_owner_and_known_to_who_waits(
    postgres_db: str, simulator: Simulator
) -> None:
    async def work(pair: Pair) -> None:
        tracker = pair.trackers[0]

        async def see(thread: str, owner: int) -> None:
            run = await tracker.runs.create(thread, assistant_id="asst_1")
            state = await tracker.wait(run.id, timeout=300)
            assert state.status == "completed"
            assert pair.sources[owner].asked[run.id] > 0
            assert pair.sources[1 - owner].asked[run.id] == 0
            # Both know it afterwards, and neither watches it.
            for each in pair.trackers:
                assert (await each.wait(run.id, timeout=300)).status == "completed"
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
    # Runs that do not end before the first poll, however slow the machine is.
    simulator.parameters = LONG

    async def wait_until_polled(source: Counting, run: str) -> None:
        await until(lambda: source.asked[run] > 0)

    async def work(pair: Pair) -> None:
        tracker, source = pair.trackers[0], pair.sources[0]
        for thread, owner in pair.threads(8):
            run = simulator.create_run(thread).run_id
            await tracker.watch(thread, run)
            if owner == 1:
                await wait_until_polled(pair.sources[1], run)
            simulator.cancel(run)
            assert (await tracker.wait(run, timeout=300)).status == "cancelled"
            if owner == 1:
                assert source.asked[run] == 1

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
            state = await tracker.wait(run.id, timeout=120, until="actionable")
            while state.needs_action:
                outputs = [{"tool_call_id": it.id, "output": "42"} for it in state.tool_calls]
                await tracker.runs.submit_tool_outputs(thread, run.id, outputs)
                answered += 1
                state = await tracker.wait(run.id, timeout=120, until="actionable")
            assert (state.status, answered) == ("completed", 1)

        await asyncio.gather(*(see(thread) for thread, _ in pair.threads(12)))

    run_pair(postgres_db, simulator, work)


def test_a_run_that_vanished_is_said_to_who_waits(postgres_db: str, simulator: Simulator) -> None:
    simulator.parameters = LONG

    async def work(pair: Pair) -> None:
        tracker = pair.trackers[0]
        thread = next(it for it, owner in pair.threads(40) if owner == 1)
        run = await tracker.runs.create(thread, assistant_id="asst_1")
        waiting = asyncio.create_task(tracker.wait(run.id, timeout=300))
        await until(lambda: pair.sources[1].asked[run.id] > 0)
        pair.sources[1].gone.add(run.id)
        with pytest.raises(NotFound):
            await waiting

    run_pair(postgres_db, simulator, work)


def test_who_leaves_is_followed(postgres_db: str, simulator: Simulator) -> None:
    simulator.parameters = LONG

    async def follow() -> None:
        pair = Pair(postgres_db, simulator)
        async with pair.trackers[0]:
            async with pair.trackers[1]:
                await pair.wait_until_divided()
                thread = next(it for it, owner in pair.threads(40) if owner == 1)
                run = await pair.trackers[1].runs.create(thread, assistant_id="asst_1")
                await until(lambda: pair.sources[1].asked[run.id] > 1)
                assert pair.sources[0].asked[run.id] == 0
            # Its leases are released, rather than left to expire.
            assert len(count_shards(postgres_db)) == 1
            await until(lambda: pair.sources[0].asked[run.id] > 1)

    asyncio.run(follow())


async def wait_until_quiet(source: Counting, run: str) -> int:
    """Waits until a run is polled no more; returns how often it was polled."""
    async with asyncio.timeout(PATIENCE):
        while True:
            asked = source.asked[run]
            await asyncio.sleep(1.5)
            if source.asked[run] == asked:
                return asked


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
                "expires_at = clock_timestamp() + interval '1 hour'",
            )
            asked = await wait_until_quiet(source, run.id)
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
            # Its polls continue until the lease ends.
            still = source.asked[run.id]
            await until(lambda: source.asked[run.id] > still)
            asked = await wait_until_quiet(source, run.id)
            execute(postgres_db, "ALTER TABLE put_away RENAME TO runfold_leases")
            await until(lambda: source.asked[run.id] > asked + 2)

    asyncio.run(lose())
    assert "cannot renew the leases" in caplog.text


def test_one_that_only_watches_takes_no_part(postgres_db: str, simulator: Simulator) -> None:
    async def watch() -> None:
        api = Assistants(base_url=simulator.base_url, api_key="key-4f1d9c22b7")
        async with Tracker(postgres_db, api, cadence=QUICK, resume=False) as tracker:
            thread = simulator.create_thread()
            run = await tracker.runs.create(thread, assistant_id="asst_1")
            assert (await tracker.wait(run.id, timeout=300)).status == "completed"
            assert execute(postgres_db, "SELECT * FROM runfold_workers") == []

    asyncio.run(watch())


def test_what_others_record_is_polled_past_an_event_of_a_newer_release(
    postgres_db: str, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    # It must not end before it is recorded, nor before it is seen to be watched.
    simulator.parameters = LONG

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
            simulator.cancel(run)
            assert (await tracker.wait(run, timeout=300)).status == "cancelled"

    asyncio.run(follow())
    assert "assistants:run_0: not resumed" in caplog.text
