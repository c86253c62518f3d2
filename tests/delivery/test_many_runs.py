"""Many runs at once: order within each, failures that hold up their own run, and time limits."""

import asyncio
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.support.undelivered_events import completed, created, unpolled_tracker
from tests.support.waiting import until
from tracker import Delivery, Tracker, open_event_store
from tracker.core.events import RunCreated, RunEnded
from tracker.delivery import event_reader, subscription

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("is_plain", [False, True])
def test_twenty_runs_take_the_time_of_one_and_one_that_fails_is_parked(
    database_url: str, is_plain: bool, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_event_store(database_url)
    tracker = unpolled_tracker(database_url)
    meeting = threading.Barrier(19)
    done: list[str] = []

    def work(delivery: Delivery) -> None:
        if delivery.run_id == "run_7":
            raise ValueError("no tool for this one")
        # All others are under way at once, or this fails.
        meeting.wait(120)
        done.append(delivery.run_id)

    async def work_on_loop(delivery: Delivery) -> None:
        if delivery.run_id == "run_7":
            raise ValueError("no tool for this one")
        done.append(delivery.run_id)
        await until(lambda: len(done) == 19)

    handler = work if is_plain else work_on_loop
    tracker.on(RunCreated, RunEnded, give_up_after=0.05)(handler)

    async def scenario() -> None:
        async with tracker:
            store.append([created(number) for number in range(20)])
            await until(lambda: len(done) == 19)
            await until(lambda: bool(tracker.deliveries()[0].parked))
            [progress] = tracker.deliveries()
            [parked] = progress.parked
            assert (parked.source, parked.run_id, parked.version) == ("assistants", "run_7", 1)
            assert parked.error == "ValueError: no tool for this one"
            assert parked.attempts >= 2
            assert progress.failing is None
            await until(lambda: tracker.deliveries()[0].position == 20)

    asyncio.run(scenario())
    store.close()
    assert sorted(done) == sorted(f"run_{n}" for n in range(20) if n != 7)
    assert "run_7: parked after" in caplog.text


async def without_parameters() -> None:
    pass


def stops(delivery: Delivery) -> None:
    raise StopIteration


def exits(delivery: Delivery) -> None:
    raise SystemExit(1)


async def cancels(delivery: Delivery) -> None:
    raise asyncio.CancelledError


class Awaited:
    """A handler that returns an awaitable, which fails."""

    def __call__(self, delivery: Delivery) -> object:
        return self._fail()

    async def _fail(self) -> None:
        await asyncio.sleep(0)
        raise ValueError("failed on the loop")


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (without_parameters, "TypeError: "),
        (stops, "RuntimeError: the handler raised StopIteration"),
        (exits, "SystemExit: 1"),
        (cancels, "RuntimeError: the handler was cancelled"),
        (Awaited(), "ValueError: failed on the loop"),
    ],
)
def test_a_call_fails_in_whatever_way(handler: Any, error: str) -> None:
    store = open_event_store("memory://")
    store.append([created(number) for number in range(5)])
    tracker = unpolled_tracker(store)
    # Fewer at once than runs: a place that is not given back would be missed.
    tracker.on(RunCreated, since="start", concurrency=2, give_up_after=0.001)(handler)

    async def scenario() -> None:
        async with tracker:
            await until(lambda: len(tracker.deliveries()[0].parked) == 5)
            [progress] = tracker.deliveries()
            assert progress.running == 0
            assert {it.error.startswith(error) for it in progress.parked} == {True}

    asyncio.run(scenario())
    store.close()


def test_no_more_run_at_once_than_are_allowed(tmp_path: Path) -> None:
    store = open_event_store(f"sqlite:///{tmp_path}/runs.db")
    tracker = unpolled_tracker(f"sqlite:///{tmp_path}/runs.db")
    under_way, most, done = 0, 0, 0

    @tracker.on(RunCreated, concurrency=3)
    async def work(delivery: Delivery) -> None:
        nonlocal under_way, most, done
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        done += 1

    async def scenario() -> None:
        async with tracker:
            store.append([created(number) for number in range(20)])
            await until(lambda: done == 20)

    asyncio.run(scenario())
    store.close()
    assert most == 3


def test_a_parked_run_is_delivered_in_order_once_it_is_retried(database_url: str) -> None:
    store = open_event_store(database_url)
    store.append([created(1), created(2)])
    is_broken = True
    seen: list[tuple[str, int]] = []

    def make_tracker() -> Tracker:
        tracker = unpolled_tracker(database_url)

        @tracker.on(RunCreated, RunEnded, since="start", give_up_after=0.05)
        async def work(delivery: Delivery) -> None:
            if is_broken and delivery.run_id == "run_1":
                raise ValueError("not yet")
            seen.append((delivery.run_id, delivery.version))

        return tracker

    async def scenario() -> None:
        nonlocal is_broken
        async with make_tracker() as tracker:
            await until(lambda: bool(tracker.deliveries()[0].parked))
            store.append([completed(1), completed(2)])
            await until(lambda: ("run_2", 2) in seen)
        async with make_tracker() as tracker:
            # It stays parked over a restart.
            await until(lambda: tracker.deliveries()[0].position == 4)
            assert seen == [("run_2", 1), ("run_2", 2)]
            is_broken = False
            assert await tracker.retry_deliveries("run_9") == 0
            assert await tracker.retry_deliveries("run_1", name="other") == 0
            await until(lambda: bool(tracker.deliveries()[0].parked))
            assert await tracker.retry_deliveries("run_1") == 1
            await until(lambda: ("run_1", 2) in seen)
            await until(lambda: not tracker.deliveries()[0].parked)

    asyncio.run(scenario())
    store.close()
    assert seen[2:] == [("run_1", 1), ("run_1", 2)]


def test_a_handler_that_takes_too_long_gives_up_its_place(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    store = open_event_store(url)
    store.append([created(1), created(2)])
    let_go = threading.Event()
    tracker = unpolled_tracker(url)
    calls: Counter[str] = Counter()

    @tracker.on(RunCreated, name="plain", since="start", concurrency=1, timeout=0.1)
    def blocks(delivery: Delivery) -> None:
        calls[f"plain {delivery.run_id}"] += 1
        if delivery.run_id == "run_1":
            let_go.wait(120)

    @tracker.on(RunCreated, name="loop", since="start", concurrency=1, timeout=0.1)
    async def sleeps(delivery: Delivery) -> None:
        calls[f"loop {delivery.run_id}"] += 1
        if delivery.run_id == "run_1" and calls["loop run_1"] < 3:
            await asyncio.sleep(600)

    async def scenario() -> None:
        async with tracker:
            await until(lambda: calls["plain run_2"] == 1 and calls["loop run_2"] == 1)
            await until(lambda: tracker.deliveries()[0].failing is not None)
            assert "has not finished in 0.1 s" in str(tracker.deliveries()[0].error)
            await until(lambda: calls["loop run_1"] == 3)
            await until(lambda: tracker.deliveries()[1].position == 2)
            # A thread cannot be stopped, and its run is not called again while it runs.
            assert calls["plain run_1"] == 1
            let_go.set()
            await until(lambda: tracker.deliveries()[0].position == 2)

    asyncio.run(scenario())
    store.close()
    # It succeeded, if late.
    assert calls["plain run_1"] == 1


def test_events_wait_in_the_database_if_handlers_are_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "MOST_WAITING", 20)
    monkeypatch.setattr(event_reader, "_PAGE_SIZE", 10)
    url = f"sqlite:///{tmp_path}/runs.db"
    store = open_event_store(url)
    for start in range(0, 200, 50):
        store.append([created(number) for number in range(start, start + 50)])
    tracker = unpolled_tracker(url)
    done, most = 0, 0

    @tracker.on(RunCreated, since="start", concurrency=2)
    async def work(delivery: Delivery) -> None:
        nonlocal done, most
        [mine] = tracker._subscriptions._subscriptions
        most = max(most, mine._backlog.events)
        await asyncio.sleep(0)
        done += 1

    async def scenario() -> None:
        async with tracker:
            await until(lambda: done == 200)

    asyncio.run(scenario())
    store.close()
    assert 10 < most <= 30


def test_each_run_keeps_its_order_while_workers_come_and_go(postgres_db: str) -> None:
    store = open_event_store(postgres_db)
    seen: list[tuple[int, str, int]] = []
    runs = range(40)

    def make_tracker(number: int) -> Tracker:
        tracker = unpolled_tracker(postgres_db)

        @tracker.on(RunCreated, RunEnded, since="start")
        async def work(delivery: Delivery) -> None:
            await asyncio.sleep(0.002)
            seen.append((number, delivery.run_id, delivery.version))

        return tracker

    async def scenario() -> None:
        async with make_tracker(0) as first:
            store.append([created(number) for number in runs])
            async with make_tracker(1) as second:
                assert first.deliveries()[0].here
                # Until both have a share, which needs no more than their leases to be renewed.
                await until(lambda: second.deliveries()[0].here)
                store.append([completed(number) for number in runs])
                more = 1000
                while not any(who == 1 for who, _, _ in seen):
                    store.append([created(more)])
                    more += 1
                    await asyncio.sleep(0.02)
            store.append([created(number) for number in range(500, 520)])
            await until(lambda: first.deliveries()[0].position == store.last_position())

    asyncio.run(scenario())
    last = store.last_position()
    store.close()
    assert {who for who, _, _ in seen} == {0, 1}
    # Nothing was killed: nothing is lost, and nothing comes twice.
    assert len(seen) == len({it[1:] for it in seen}) == last
    order: dict[str, list[int]] = defaultdict(list)
    for _, run, version in seen:
        order[run].append(version)
    assert all(versions == sorted(versions) for versions in order.values())


def test_a_backlog_costs_less_than_a_third_of_a_millisecond_an_event(tmp_path: Path) -> None:
    # A part of what the benchmark measures: the processor's time, which no other process adds to.
    url, number = f"sqlite:///{tmp_path}/runs.db", 2_000
    store = open_event_store(url)
    for start in range(0, number, 250):
        store.append([created(start + it) for it in range(250)])
    tracker = unpolled_tracker(url)
    seen: set[str] = set()

    @tracker.on(RunCreated, since="start")
    async def nothing(delivery: Delivery) -> None:
        seen.add(delivery.run_id)

    async def scenario() -> float:
        async with tracker:
            began = time.process_time()
            await until(lambda: tracker.deliveries()[0].position == number)
            return time.process_time() - began

    elapsed = asyncio.run(scenario())
    store.close()
    assert len(seen) == number
    # Ten times what it takes: a guard against work that grows with the backlog.
    assert elapsed / number < 0.003
