"""Handlers of one name in several processes: on SQLite one delivers; a kill loses no event."""

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.handling_workers import handle_backlog
from tests.support.paths import ROOT
from tests.support.undelivered_events import created, unpolled_tracker
from tests.support.waiting import until
from tracker import Delivery, Tracker, open_event_store
from tracker.core.events import RunCreated
from tracker.delivery import sharing
from tracker.delivery.ledger import open_ledger

pytestmark = pytest.mark.integration


def two_of_one_name(url: str) -> tuple[list[Tracker], list[list[int]]]:
    seen: list[list[int]] = [[], []]
    trackers = [unpolled_tracker(url), unpolled_tracker(url)]
    for number, tracker in enumerate(trackers):

        @tracker.on(RunCreated)
        async def takes(delivery: Delivery, mine: list[int] = seen[number]) -> None:
            await asyncio.sleep(random.uniform(0, 0.005))
            mine.append(delivery.position)

    return trackers, seen


def test_of_two_of_one_name_one_delivers_until_it_leaves(tmp_path: Path) -> None:
    database_url = f"sqlite:///{tmp_path}/runs.db"
    store = open_event_store(database_url)
    trackers, seen = two_of_one_name(database_url)

    async def scenario() -> None:
        async with trackers[1]:
            await until(lambda: trackers[1].deliveries()[0].here)
            async with trackers[0]:
                store.append([created(number) for number in range(20)])
                await until(lambda: len(seen[1]) == 20)
                await until(lambda: trackers[0].deliveries()[0].position == 20)
                assert not trackers[0].deliveries()[0].here
                await trackers[1].stop_delivering()
                store.append([created(number) for number in range(20, 40)])
                await until(lambda: len(seen[0]) == 20)

    asyncio.run(scenario())
    store.close()
    assert [sorted(mine) for mine in seen] == [list(range(21, 41)), list(range(1, 21))]


def test_two_that_both_take_it_to_be_their_turn_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A lease that has run out at once is anybody's, and both go on.
    monkeypatch.setattr(sharing, "LEASE_SECONDS", -1.0)
    monkeypatch.setattr(sharing, "RENEWAL_SECONDS", 0.05)
    database_url = f"sqlite:///{tmp_path}/runs.db"
    store = open_event_store(database_url)
    ledger = open_ledger(store)
    trackers, seen = two_of_one_name(database_url)

    def read_place() -> int:
        standing = ledger.read("handlers")
        return 0 if standing is None else standing.position

    async def scenario() -> None:
        async with trackers[0], trackers[1]:
            start = 0
            # Until both have had their turn.
            while start < 100 or not (seen[0] and seen[1]):
                store.append([created(number) for number in range(start, start + 10)])
                start += 10
                await asyncio.sleep(0.05)
            await until(lambda: {*seen[0], *seen[1]} == set(range(1, start + 1)))
            await until(lambda: read_place() == start)

    asyncio.run(scenario())
    store.close()


@pytest.mark.kills
def test_killed_at_any_moment_every_event_is_delivered(tmp_path: Path) -> None:
    url, notes = f"sqlite:///{tmp_path}/runs.db", tmp_path / "notes"
    store, number, chance = open_event_store(url), 0, random.Random()
    script = [sys.executable, "-m", "tests.support.killed_handlers", url, str(notes)]
    subprocess.run([*script, "0", "0"], cwd=ROOT, check=True, timeout=300)
    for _ in range(8):
        store.append([created(number + n) for n in range(100)])
        number += 100
        process = subprocess.Popen([*script, str(10**9), "0.01"], cwd=ROOT)
        time.sleep(chance.uniform(0.8, 1.6))
        process.kill()
        assert process.wait() < 0
    subprocess.run([*script, str(number), "0"], cwd=ROOT, check=True, timeout=300)
    store.close()
    runs = Counter(line.split()[0] for line in notes.read_text().splitlines())
    assert set(runs) == {f"run_{n}" for n in range(number)}
    # Only what was under way at a kill, or done and not stored yet, comes twice.
    assert max(runs.values()) <= 1 + 8
    assert runs.total() <= number + 8 * 100


@pytest.mark.kills
def test_workers_that_are_killed_share_all_runs(postgres_db: str, tmp_path: Path) -> None:
    handled = handle_backlog(
        postgres_db, tmp_path, runs=1000, kills=6, seconds=0.02, rate=50.0, lasts=4.0
    )
    handled.check(1000 + len(handled.delays))
    assert handled.kills == 6


def test_a_checkpoint_ahead_of_the_events_is_said_to_be(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = open_event_store("memory://")
    open_ledger(store).create("handlers", 1, 9)
    tracker = unpolled_tracker(store)
    tracker.on(RunCreated)(print)

    async def scenario() -> None:
        async with tracker:
            assert tracker.deliveries()[0].position == 9

    asyncio.run(scenario())
    assert "at position 9, but the last event is at 0" in caplog.text


def test_a_lease_from_before_the_clock_was_set_back_ends_at_once(database_url: str) -> None:
    store = open_event_store(database_url)
    ledger = open_ledger(store)
    ledger.create("handlers", 1, 0)
    assert ledger.hold("handlers", "one that was killed", 3600.0)
    assert ledger.hold("handlers", "another", 10.0)
    assert not ledger.hold("handlers", "a third", 10.0)
    store.close()
