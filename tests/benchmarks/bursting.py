"""A burst of 10,000 runs through the public API: all are kept, also over a restart."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter

from tests.benchmarks.report import machine, most_memory, table, write
from tracker import Tracker, open_event_store
from tracker.core.events import RunCreated
from tracker.errors import Unreachable
from tracker.simulator import Parameters, Simulator
from tracker.sources import Assistants

_TOGETHER = 64


@dataclass(frozen=True)
class Settings:
    """Runs that are created."""

    runs: int = 10_000


FULL = Settings()
TINY = Settings(runs=100)


async def burst(url: str, base_url: str, threads: list[str], runs: int) -> set[str]:
    """Creates runs as fast as it can; returns the ids of those that were acknowledged."""
    numbers, created = iter(range(runs)), set[str]()
    async with Tracker(url, Assistants(base_url, "key-4f1d9c22b7")) as tracker:

        async def create() -> None:
            for number in numbers:
                thread_id = threads[number % len(threads)]
                # A busy machine may be late with an answer, and then nothing is acknowledged.
                with suppress(Unreachable):
                    run = await tracker.runs.create(thread_id, assistant_id="asst_1")
                    created.add(run.id)

        await asyncio.gather(*(create() for _ in range(_TOGETHER)))
    return created


async def count_resumed(url: str, base_url: str) -> int:
    """Returns the number of runs that a tracker watches after a restart."""
    async with Tracker(url, Assistants(base_url, "key-4f1d9c22b7")) as tracker:
        return len(tracker.watching)


def main(settings: Settings = FULL) -> None:
    """Creates runs, and looks for each."""
    write("\n# A burst of runs: all are kept")
    # They last, so that all are open after the restart.
    lives = Parameters.ending("endless", action=0.0, expires_after=86_400.0)
    with (
        Simulator(parameters=lives, many_active=True) as simulator,
        tempfile.TemporaryDirectory() as folder,
    ):
        url, threads = f"sqlite:///{folder}/runs.db", [simulator.create_thread() for _ in "12345"]
        began = perf_counter()
        created = asyncio.run(burst(url, simulator.base_url, threads, settings.runs))
        seconds = perf_counter() - began
        store = open_event_store(url)
        events = [it.event for it in store.read_all(limit=100 * settings.runs)]
        store.close()
        recorded = [it.run_id for it in events if isinstance(it, RunCreated)]
        assert len(created) > 0.9 * settings.runs
        assert len(recorded) == len(set(recorded))
        assert created <= set(recorded)
        resumed = asyncio.run(count_resumed(url, simulator.base_url))
        assert resumed == len(recorded)
    table(
        "Created, recorded and watched again",
        ("runs", "time", "runs a second", "most memory"),
        [
            (
                f"{len(created):,}",
                f"{seconds:.1f} s",
                f"{len(created) / seconds:.0f}",
                f"{most_memory() // 1024} MiB",
            )
        ],
    )


if __name__ == "__main__":
    write(machine())
    main()
