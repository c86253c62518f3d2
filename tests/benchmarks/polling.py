"""Detection delay, refusals and CPU of polling over HTTP, beside the `openai` client's own loops.

The service is a process with a bucket of 1,000 requests a minute, burst 50, 60 ms away. Each way
of polling has a process of its own, and a service of its own with the same runs; both run at the
same time. Each scenario has a while to warm up, in which rates and hazards are learned from none,
then 60 s that are measured and 15 s for what is still open: 23 minutes in all.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any

from tests.benchmarks.polled_service import GENEROUS, SCENARIOS, Traffic, serve
from tests.benchmarks.polling_outcome import Outcome, Sightings, Told, judge, sightings_in
from tests.benchmarks.report import machine, table, write
from tracker import Tracker, open_event_store
from tracker.core.status import is_ended
from tracker.sources import Assistants
from tracker.sources.answer import Answer


@dataclass(frozen=True)
class Settings:
    """Scenarios by name, the seconds that are measured, and those for what is still open then."""

    scenarios: Mapping[str, Traffic] = field(default_factory=lambda: SCENARIOS | GENEROUS)
    measured: float = 60.0
    grace: float = 15.0


FULL = Settings()
TINY = Settings({"20 active runs": Traffic(20, latency=0.01, warm=1.0)}, measured=3.0, grace=1.0)


class Service:
    """The service as a way of polling sees it, and as the judge of it."""

    def __init__(self, traffic: Traffic, seed: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._channel, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, traffic, seed), daemon=True)
        self._process.start()
        _, self.base_url = self._channel.recv()
        self._answers: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    async def announce(self, begun: Callable[[str, str], Any]) -> None:
        """Tells of each run of the service, for ever."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            while self._channel.poll():
                try:
                    kind, *rest = self._channel.recv()
                except EOFError:
                    loop.remove_reader(self._channel.fileno())
                    return
                if kind == "run":
                    begun(*rest)
                else:
                    self._answers.put_nowait(tuple(rest))

        loop.add_reader(self._channel.fileno(), read)

    async def ask(self, what: str) -> Any:
        """`traffic`, the answers so far by status, or `stop`, which gives the truth."""
        self._channel.send(what)
        [answer] = await self._answers.get()
        return answer

    def close(self) -> None:
        """Ends the process."""
        self._process.join(5)
        self._process.kill()


async def measure(
    service: Service,
    traffic: Traffic,
    settings: Settings,
    seen: Callable[[], tuple[Sightings, Told]],
    steps_asked: Callable[[], int] = lambda: 0,
) -> Outcome:
    """Lets a way of polling go on for the time of a scenario, and judges it."""
    await asyncio.sleep(traffic.warm)
    before, cpu, since = await service.ask("traffic"), time.process_time(), time.time()
    steps = steps_asked()
    await asyncio.sleep(settings.measured)
    after, spent, until = await service.ask("traffic"), time.process_time() - cpu, time.time()
    steps = steps_asked() - steps
    await asyncio.sleep(settings.grace)
    end = time.time()
    if traffic.after:
        await service.ask("no more")
        await asyncio.sleep(traffic.after)
    outcome, (sightings, told) = Outcome(steps=steps, core=spent / (until - since)), seen()
    for run, transitions in (await service.ask("stop")).items():
        judge(outcome, transitions, sightings.get(run, []), told.get(run, []), since, until, end)
    for status in set(after) & {"200", "429"}:
        number = after[status] - before.get(status, 0)
        outcome.requests += number
        outcome.refused += number if status == "429" else 0
    return outcome


class Counting(Assistants):
    """A source that counts how often it was asked for steps."""

    steps_asked = 0

    async def fetch_steps(
        self, thread_id: str | None, run_id: str, after: str | None = None
    ) -> tuple[Answer, Sequence[Mapping[str, Any]], str | None]:
        """Asks, and counts."""
        self.steps_asked += 1
        return await super().fetch_steps(thread_id, run_id, after)


async def by_runfold(traffic: Traffic, settings: Settings, seed: int) -> Outcome:
    """Our tracker, on an SQLite file."""
    service = Service(traffic, seed)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/runs.db"

        def seen() -> tuple[Sightings, Told]:
            with closing(open_event_store(url)) as store:
                return sightings_in(store)

        api = Counting(base_url=service.base_url, api_key="key")
        async with Tracker(url, api) as tracker:
            tasks: set[asyncio.Task[None]] = set()

            def begun(thread: str, run: str) -> None:
                task = asyncio.create_task(tracker.watch(thread, run))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

            await service.announce(begun)
            outcome = await measure(service, traffic, settings, seen, lambda: api.steps_asked)
    service.close()
    return outcome


async def by_loops(traffic: Traffic, settings: Settings, seed: int) -> Outcome:
    """One loop a run, around `runs.poll` of the `openai` client as it comes."""
    from openai import AsyncOpenAI, OpenAIError

    warnings.simplefilter("ignore")
    service, sightings = Service(traffic, seed), Sightings()
    client = AsyncOpenAI(base_url=service.base_url, api_key="key")
    tasks: set[asyncio.Task[None]] = set()

    async def follow(thread: str, run_id: str) -> None:
        status = ""
        while not is_ended(status):
            try:
                run = await client.beta.threads.runs.poll(run_id, thread_id=thread)
            except OpenAIError:
                await asyncio.sleep(1)
                continue
            status = run.status
            sightings.setdefault(run_id, []).append((datetime.now(UTC).timestamp(), status))
            await asyncio.sleep(1)

    def begun(thread: str, run_id: str) -> None:
        task = asyncio.create_task(follow(thread, run_id))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    await service.announce(begun)
    outcome = await measure(service, traffic, settings, lambda: (sightings, {}))
    for task in tasks:
        task.cancel()
    service.close()
    return outcome


WAYS = {"runfold": by_runfold, "openai loops": by_loops}


def follow_one(
    channel: Connection, way: str, traffic: Traffic, settings: Settings, seed: int
) -> None:
    """One way of polling, in a process of its own."""
    channel.send(asyncio.run(WAYS[way](traffic, settings, seed)))


def measure_ways(traffic: Traffic, settings: Settings, seed: int) -> dict[str, Outcome]:
    """All ways at once, each with its own service."""
    context = multiprocessing.get_context("spawn")
    channels = {}
    for way in WAYS:
        channels[way], theirs = context.Pipe()
        context.Process(target=follow_one, args=(theirs, way, traffic, settings, seed)).start()
    return {way: channel.recv() for way, channel in channels.items()}


def main(settings: Settings = FULL, chosen: Sequence[str] = ()) -> None:
    """Measures the scenarios whose names begin like one of `chosen`, or all."""
    rows = []
    for number, (name, traffic) in enumerate(settings.scenarios.items()):
        if chosen and not any(name.startswith(begin) for begin in chosen):
            continue
        for way, outcome in measure_ways(traffic, settings, number).items():
            events = len(outcome.delays) + outcome.told + outcome.missed
            polls, a_run = outcome.requests - outcome.steps, outcome.a_run
            rows.append(
                (
                    *(name, way, f"{events}", f"{outcome.mean:.2f}"),
                    *(f"{outcome.p95:.2f}", f"{outcome.told}"),
                    *(f"{outcome.missed}", f"{outcome.open}"),
                    *(f"{outcome.requests}", f"{a_run(polls):.1f}", f"{a_run(outcome.steps):.1f}"),
                    *(f"{outcome.refused / outcome.requests:.1%}", f"{outcome.core:.1%}"),
                )
            )
            write(" ".join(rows[-1]))
    header = ("scenario", "by", "events", "mean s", "p95 s", "told later", "missed", "open")
    header += ("requests", "polls a run", "for steps a run", "refused", "of a core")
    table("Polling over HTTP", header, rows)


if __name__ == "__main__":
    write(machine())
    main(chosen=sys.argv[1:])
