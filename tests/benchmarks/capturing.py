"""Cost of capturing a call of the official client, over loopback to another process.

It is the processor's time in the application's own process, with all its threads. A look that
shows nothing new, a call that is none of the tracker's, and a creation, which returns once it is
recorded; awaited, and blocking beside a tracker in the background.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from time import process_time
from typing import Any

from openai import AsyncOpenAI, OpenAI

from tests.benchmarks.databases import sqlite_files
from tests.benchmarks.report import machine, middle, spread, table, take_turns, write
from tracker import Tracker
from tracker.polling.policy.cadence import Cadence
from tracker.simulator import Parameters, Simulator
from tracker.sources import Assistants

LONG = Parameters.ending("completed", queued_median=3000, queued_within=(3000, 3000))
# The polls are not what is measured.
SELDOM = Cadence(shortest=300, longest=600)

Calls = dict[str, Callable[[], Any]]


@dataclass(frozen=True)
class Settings:
    """Calls in a round, and rounds."""

    calls: int = 100
    rounds: int = 7


FULL = Settings()
TINY = Settings(calls=3, rounds=0)


def serve(channel: Connection) -> None:
    """Serves until it is told to stop."""
    with Simulator(parameters=LONG, many_active=True) as simulator:
        channel.send((simulator.base_url, simulator.create_thread()))
        channel.recv()


def calls(client: Any, thread: str, run_id: str) -> Calls:
    """The calls that are measured."""
    runs = client.beta.threads.runs
    return {
        "a look, nothing new": lambda: runs.retrieve(run_id, thread_id=thread),
        "none of a run": lambda: client.beta.threads.retrieve(thread),
        "a creation": lambda: runs.create(thread, assistant_id="asst_1"),
    }


def contest(
    plain: Calls,
    captured: Calls,
    contender: Callable[[Callable[[], Any]], Callable[[int], float]],
    rounds: int,
) -> dict[str, list[float]]:
    """Measures each call in turns, plain and captured."""
    both = {"plain": plain, "captured": captured}
    named = {f"{kind}: {name}": both[kind][name] for name in plain for kind in both}
    return take_turns({name: contender(call) for name, call in named.items()}, rounds)


def awaited(url: str, base_url: str, thread: str, settings: Settings) -> dict[str, list[float]]:
    """Returns the microseconds of CPU time a call, by call and client, of a client with await."""
    with asyncio.Runner() as runner:

        async def opened(stack: AsyncExitStack) -> tuple[Calls, Calls]:
            plain, given = [
                await stack.enter_async_context(AsyncOpenAI(api_key="sk", base_url=base_url))
                for _ in range(2)
            ]
            tracker = Tracker(url, Assistants(base_url), cadence=SELDOM, steps="never")
            captured = (await stack.enter_async_context(tracker)).capture(given)
            run = await captured.beta.threads.runs.create(thread, assistant_id="asst_1")
            return calls(plain, thread, run.id), calls(captured, thread, run.id)

        async def timed(call: Callable[[], Coroutine[Any, Any, Any]]) -> float:
            began = process_time()
            for _ in range(settings.calls):
                await call()
            return (process_time() - began) / settings.calls * 1e6

        def contender(call: Callable[[], Any]) -> Callable[[int], float]:
            return lambda _: runner.run(timed(call))

        stack = AsyncExitStack()
        try:
            plain, captured = runner.run(opened(stack))
            return contest(plain, captured, contender, settings.rounds)
        finally:
            runner.run(stack.aclose())


def blocking(url: str, base_url: str, thread: str, settings: Settings) -> dict[str, list[float]]:
    """Returns the microseconds of CPU time a call, by call and client, of a client that blocks."""

    def contender(call: Callable[[], Any]) -> Callable[[int], float]:
        def timed(_: int) -> float:
            began = process_time()
            for _ in range(settings.calls):
                call()
            return (process_time() - began) / settings.calls * 1e6

        return timed

    with ExitStack() as stack:
        one, other = (
            stack.enter_context(OpenAI(api_key="sk", base_url=base_url)) for _ in range(2)
        )
        tracker = Tracker(url, Assistants(base_url), cadence=SELDOM, steps="never").in_background()
        captured = stack.enter_context(tracker).capture(other)
        run = captured.beta.threads.runs.create(thread, assistant_id="asst_1")
        plain, heard = calls(one, thread, run.id), calls(captured, thread, run.id)
        return contest(plain, heard, contender, settings.rounds)


def main(settings: Settings = FULL) -> None:
    """Measures with a database on SQLite."""
    warnings.simplefilter("ignore", DeprecationWarning)
    context = get_context("spawn")
    shown = []
    for title, measure in (("awaited", awaited), ("blocking", blocking)):
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs,))
        process.start()
        try:
            base_url, thread = ours.recv()
            with sqlite_files() as fresh:
                found = measure(fresh(), base_url, thread, settings)
        finally:
            ours.send("stop")
            process.join()
        for key, values in found.items():
            kind, _, name = key.partition(": ")
            if kind == "captured":
                plain = middle(found[f"plain: {name}"])
                added = middle(values) - plain
                ratio = f"{middle(values) / plain:.2f}"
                row = (title, name, f"{plain:,.0f}", f"{added:,.0f}", ratio, spread(values))
                shown.append(row)
    header = ("client", "call", "plain, µs", "added, µs", "ratio", "rounds")
    table("Capturing. Aim: a look costs less than 200 µs more", header, shown)


if __name__ == "__main__":
    write(machine())
    main()
