"""Heartbeats of sources: written by a tracker on a real database, read by `runfold doctor`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from projections import Views
from tests.support.command_line import runfold
from tests.support.scripted_server import NOW, Reply, ScriptedServer, SkippingClock, error, run_of
from tests.support.tracker_settings import QUICK
from tracker import Tracker, open_event_store
from tracker.errors import KeyRefused
from tracker.heartbeats.heartbeat import Heartbeat
from tracker.heartbeats.table import heartbeats_in
from tracker.sources import Assistants

pytestmark = pytest.mark.integration

SECRET = "sk-4f1d9c22b7-nobody-is-to-see"


def read_heartbeats(url: str) -> list[Heartbeat]:
    with closing(open_event_store(url)) as store:
        return heartbeats_in(store)


def execute(url: str, statement: str) -> None:
    engine = create_engine(make_url(url.replace("postgresql:", "postgresql+psycopg:")))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def make_old(url: str) -> None:
    """Has all rows written long ago: their tracker was killed."""
    execute(url, "UPDATE runfold_sources SET written_at = '2026-01-02 03:04:05+00:00'")


async def wait_for_heartbeat(url: str, condition: Callable[[Heartbeat], bool]) -> Heartbeat:
    """The heartbeat of the only worker once it is so."""
    found: list[Heartbeat] = []
    with closing(open_event_store(url)) as store:
        for _ in range(2400):
            found = await asyncio.to_thread(heartbeats_in, store)
            if len(found) == 1 and condition(found[0]):
                return found[0]
            await asyncio.sleep(0.05)
    raise AssertionError(f"not so in 120 s: {found}")


def run_tracker(
    url: str,
    scenario: Callable[[Tracker, SkippingClock], Awaitable[None]],
    *replies: Reply,
    ahead: timedelta = timedelta(),
) -> None:
    async def main() -> None:
        service, clock = ScriptedServer(*replies), SkippingClock()
        service.ahead = ahead
        async with service.serving() as base_url:
            api = Assistants(base_url, api_key=SECRET, clock=clock)
            async with Tracker(url, api, cadence=QUICK, clock=clock) as tracker:
                await scenario(tracker, clock)

    with Views(url) as views:
        views.upgrade()
    asyncio.run(main())


def test_a_key_that_is_refused_is_told_by_doctor_until_it_is_taken(database_url: str) -> None:
    async def scenario(tracker: Tracker, clock: SkippingClock) -> None:
        first = await wait_for_heartbeat(database_url, lambda it: True)
        assert (first.source, first.state, first.watched) == ("assistants", "ok", 0)
        assert first.advice is None
        assert abs((first.written_at - datetime.now(UTC)).total_seconds()) < 60
        assert first.age_seconds < 60
        await tracker.watch("thread_1", "run_1")
        with pytest.raises(KeyRefused):
            await tracker.wait("run_1", timeout=300)
        refused = await wait_for_heartbeat(database_url, lambda it: it.state == "refused")
        assert (refused.watched, refused.asked, refused.failed) == (1, 1, 1)
        assert refused.answered_at is None
        assert refused.refusing is not None
        assert SECRET not in repr(refused)
        assert refused.refusing_since == refused.last_error_at
        assert refused.held_until is not None
        assert 40 < (refused.held_until - datetime.now(UTC)).total_seconds() <= 60
        ill = await asyncio.to_thread(runfold, "doctor", "--db", database_url)
        assert ill.code == 1
        since = f"{refused.refusing_since:%Y-%m-%d %H:%M:%S}"
        said = f"assistants ({refused.worker}): requests have been refused since {since} UTC: "
        assert said in " ".join(ill.out.split())
        assert "Check api_key" in ill.out
        assert SECRET not in ill.out
        ill = await asyncio.to_thread(runfold, "doctor", "--json", "--db", database_url)
        assert (ill.code, ill.document["healthy"]) == (1, False)
        [told] = ill.document["sources"]
        assert (told["state"], told["asked"], told["peculiarities"]) == ("refused", 1, {})
        clock.skip(61)
        assert (await tracker.wait("run_1", timeout=300)).status == "completed"
        well = await wait_for_heartbeat(database_url, lambda it: it.state == "ok")
        assert (well.refusing, well.refusing_since, well.held_until) == (None, None, None)
        assert well.answered_at is not None
        well_again = await asyncio.to_thread(runfold, "doctor", "--db", database_url)
        assert well_again.code == 0

    refused = error(401, f"Incorrect API key provided: {SECRET}.")
    run_tracker(database_url, scenario, refused, run_of("completed"))
    assert read_heartbeats(database_url) == []
    left = runfold("doctor", "--db", database_url)
    assert (left.code, "no tracker polls for this database now" in left.out) == (0, True)


def test_a_service_that_fails_and_one_that_says_to_wait(database_url: str) -> None:
    async def scenario(tracker: Tracker, clock: SkippingClock) -> None:
        await tracker.watch("thread_1", "run_1")
        for _ in range(1200):
            if tracker.sources_status()["assistants"].breaker == "open":
                break
            clock.skip(2)
            await asyncio.sleep(0.1)
        failing = await wait_for_heartbeat(database_url, lambda it: it.state == "failing")
        ill = await asyncio.to_thread(runfold, "doctor", "--db", database_url)
        assert ill.code == 1
        assert "the service fails; the next request is sent" in " ".join(ill.out.split())
        assert "Try later." in ill.out
        assert failing.failed >= 5
        for _ in range(1200):
            if tracker.sources_status()["assistants"].refused:
                break
            clock.skip(61)
            await asyncio.sleep(0.1)
        # Long after the last one was written, by the tracker's own clock.
        clock.skip(11)
        await wait_for_heartbeat(database_url, lambda it: it.state == "held" and it.refused == 1)
        held = await asyncio.to_thread(runfold, "doctor", "--db", database_url)
        assert held.code == 0
        assert "no request is sent before" in held.out
        assert "Slow down." in " ".join(held.out.split())

    failing = [error(503, "Try later.")] * 5
    slow = error(429, "Slow down.", {"Retry-After": "100"})
    run_tracker(database_url, scenario, *failing, run_of("in_progress"), slow)


def test_a_look_alike_is_told_by_its_peculiarities(database_url: str) -> None:
    async def scenario(tracker: Tracker, clock: SkippingClock) -> None:
        await tracker.watch("thread_1", "run_1")
        assert (await tracker.wait("run_1", timeout=300)).status == "completed"
        tracker.observe(dict(run_of("queued", id="run_2", model="m").document))
        lacks = {"no_assistant_id": 3, "no_model": 2, "no_end_stamp": 1, "no_usage": 1}
        counted = lacks | {"stamps_not_in_seconds": 2}
        assert tracker.sources_status()["assistants"].peculiarities == counted
        clock.skip(11)
        told = await wait_for_heartbeat(database_url, lambda it: it.peculiarities == counted)
        assert told.is_well
        assert told.clock_ahead == pytest.approx(3600, abs=60)
        doctor = await asyncio.to_thread(runfold, "doctor", "--db", database_url)
        assert doctor.code == 0
        said = " ".join(doctor.out.split())
        assert "not as documented: 3 with no assistant id, 2 with no model, 2 with " in said
        assert "s ahead of ours" in said

    milliseconds = {"created_at": (NOW - 10) * 1000}
    replies = [run_of(it, **milliseconds) for it in ("in_progress", "in_progress", "completed")]
    run_tracker(database_url, scenario, *replies, ahead=timedelta(hours=1))


def test_looking_at_threads_that_is_denied(database_url: str) -> None:
    async def scenario(tracker: Tracker, clock: SkippingClock) -> None:
        tracker.watch_thread("thread_1", every=0.1)
        denied = await wait_for_heartbeat(database_url, lambda it: it.state == "denied")
        assert (denied.is_well, denied.refusing, denied.waiting) == (False, None, 1)
        assert denied.advice is not None
        assert "may list no runs" in denied.advice
        clock.skip(61)
        # The next one brings a run alone, which is no page, and no denial.
        await wait_for_heartbeat(database_url, lambda it: it.state == "ok")

    run_tracker(
        database_url, scenario, error(403, "This key may list no runs."), run_of("completed")
    )


def test_a_tracker_that_was_killed_and_one_that_takes_over(database_url: str) -> None:
    async def scenario(tracker: Tracker, clock: SkippingClock) -> None:
        dead = await wait_for_heartbeat(database_url, lambda it: True)
        # No leave: what it wrote is all that there is of it.
        make_old(database_url)
        [silent] = read_heartbeats(database_url)
        assert (silent.worker, silent.state, silent.is_well) == (dead.worker, "silent", False)
        ill = await asyncio.to_thread(runfold, "doctor", "--db", database_url)
        assert ill.code == 1
        assert "its tracker has not reported since 2026-01-02 03:04:05 UTC" in " ".join(
            ill.out.split()
        )
        execute(database_url, "UPDATE runfold_sources SET worker = 'of the dead'")
        clock.skip(11)
        await wait_for_heartbeat(database_url, lambda it: it.worker == dead.worker)

    run_tracker(database_url, scenario)


def test_a_tracker_that_is_the_only_one_takes_out_what_others_left(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"

    async def first(tracker: Tracker, clock: SkippingClock) -> None:
        await wait_for_heartbeat(url, lambda it: True)
        execute(
            url,
            "INSERT INTO runfold_sources SELECT 'other', 'dead', written_at, rate, breaker,"
            "held_until, refusing, refusing_since, denied, watched, due, waiting, asked, refused,"
            "failed, last_error, last_error_at, answered_at, detected, detection_seconds,"
            "clock_ahead, peculiarities, set_aside, given_up, clock_ahead_at_least,"
            "clock_ahead_at_most FROM runfold_sources",
        )

    async def second(tracker: Tracker, clock: SkippingClock) -> None:
        await wait_for_heartbeat(url, lambda it: it.source == "assistants")

    run_tracker(url, first)
    assert [it.worker for it in read_heartbeats(url)] == ["dead"]
    run_tracker(url, second)


def test_each_worker_has_rows_of_its_own(postgres_db: str) -> None:
    async def workers() -> list[str]:
        return [it.worker for it in await asyncio.to_thread(read_heartbeats, postgres_db)]

    async def scenario(tracker: Tracker, clock: SkippingClock) -> None:
        mine = (await wait_for_heartbeat(postgres_db, lambda it: True)).worker
        other = Tracker(postgres_db, Assistants("http://127.0.0.1:9/v1"))
        async with other:
            for _ in range(2400):
                if len(await workers()) == 2:
                    break
                await asyncio.sleep(0.05)
            assert mine in await workers()
            assert len(set(await workers())) == 2
        assert await workers() == [mine]

    run_tracker(postgres_db, scenario)


def test_what_cannot_be_written_is_said_once_and_stops_nothing(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(tracker: Tracker, clock: SkippingClock) -> None:
        await wait_for_heartbeat(database_url, lambda _: True)
        execute(database_url, "ALTER TABLE runfold_sources RENAME TO away")
        for _ in range(5):
            clock.skip(11)
            await asyncio.sleep(0.5)
        await tracker.watch("thread_1", "run_1")
        assert (await tracker.wait("run_1", timeout=300)).status == "completed"
        execute(database_url, "DELETE FROM away")
        execute(database_url, "ALTER TABLE away RENAME TO runfold_sources")
        await wait_for_heartbeat(database_url, lambda it: it.state == "ok")

    with caplog.at_level(logging.WARNING, "runfold"):
        run_tracker(database_url, scenario, run_of("completed"))
    said = [it for it in caplog.records if it.name == "runfold.heartbeats"]
    assert len(said) == 1
    assert "cannot write heartbeat" in said[0].getMessage()
    assert read_heartbeats(database_url) == []


def test_one_that_takes_no_part_writes_nothing(database_url: str) -> None:
    async def main() -> None:
        api = Assistants("http://127.0.0.1:9/v1")
        async with Tracker(database_url, api, resume=False):
            await asyncio.sleep(0.3)
        async with Tracker("memory://", api) as tracker:
            await asyncio.sleep(0.3)
            assert tracker.sources_status()["assistants"].asked == 0

    asyncio.run(main())
    assert read_heartbeats(database_url) == []
