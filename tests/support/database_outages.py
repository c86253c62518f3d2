"""A tracker whose database is away for a while, or goes silent, on a simulated service."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from tests.support.tracker_pairs import Counting
from tests.support.tracker_settings import QUICK
from tests.support.troubled_proxy import TroubledProxy, troubled_proxy
from tests.support.waiting import until
from tracker import Tracker, open_event_store
from tracker.core.events import RunCreated, RunEnded, RunStepRecorded
from tracker.simulator import Simulator


@dataclass
class Outcome:
    """Runs, those that are not recorded to their end, and those without the steps they have.

    `doubled` are runs with two creations or ends, `asked` the polls that were sent while the
    database was away, `back` the seconds until recording went on, `left` those of leaving.
    """

    runs: int = 0
    without_end: int = 0
    without_steps: int = 0
    doubled: int = 0
    asked: int = 0
    back: float = 0.0
    left: float = 0.0


def play(
    url: str, simulator: Simulator, seconds: float, *, silent: bool, runs: int = 30
) -> Outcome:
    """Tracks runs over an outage of so many seconds, or beside connections that go silent."""
    outcome = Outcome(runs=runs)

    async def scenario(proxy: TroubledProxy) -> None:
        source = Counting(simulator.base_url)
        tracker = Tracker(proxy.url, source, cadence=QUICK)
        async with tracker:
            threads = [simulator.create_thread() for _ in range(runs)]
            created = [simulator.create_run(thread) for thread in threads]
            for run in created[: runs // 2]:
                await tracker.watch(run.thread_id, run.run_id)
            # A first page that shows several runs, as it is read while the database is away.
            listed = simulator.create_thread()
            for thread in threads[runs // 2 :]:
                tracker.watch_thread(thread)
            tracker.watch_thread(listed)
            await until(lambda: source.asked.total() >= runs // 4)
            proxy.silence() if silent else proxy.leave()
            began, before = time.perf_counter(), source.asked.total()
            if not silent:
                await asyncio.sleep(seconds)
                outcome.asked = source.asked.total() - before
                proxy.come_back()
                began = time.perf_counter()
            store = open_event_store(url)
            position = await asyncio.to_thread(store.last_position)
            try:
                await asyncio.wait_for(asyncio.to_thread(store.wait, position, 300.0), 301)
                outcome.back = time.perf_counter() - began
                await until(lambda: _count(store, RunEnded) == runs)
                await tracker.drain(60)
            finally:
                store.close()
            if silent:
                proxy.silence()
            leaving = time.perf_counter()
        outcome.left = time.perf_counter() - leaving

    with troubled_proxy(url) as proxy:
        asyncio.run(scenario(proxy))
    store = open_event_store(url)
    events = store.read_all(0, 100_000)
    store.close()
    streams: dict[type, list[str]] = {}
    for kind in (RunCreated, RunEnded, RunStepRecorded):
        streams[kind] = [it.stream for it in events if isinstance(it.event, kind)]
    made, ended = streams[RunCreated], streams[RunEnded]
    outcome.without_end = runs - len(set(ended))
    outcome.without_steps = len(set(ended) - set(streams[RunStepRecorded]))
    outcome.doubled = len(made) - len(set(made)) + len(ended) - len(set(ended))
    return outcome


def _count(store: object, kind: type) -> int:
    events = store.read_all(0, 100_000)  # type: ignore[attr-defined]
    return sum(isinstance(entry.event, kind) for entry in events)
