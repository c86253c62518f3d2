"""Memory that recording keeps: by the number of runs that ended, and by the size of documents."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter

from tests.benchmarks.databases import Fresh, sqlite_files
from tests.benchmarks.report import machine, table, write
from tests.support.observations import at, seen
from tracker import open_event_store
from tracker.core.snapshot import Configuration, RunSnapshot
from tracker.recording.observation import Observation
from tracker.recording.repository import RunRepository

_PER_BATCH = 100
# Of the same number of runs, or of more ended ones than are kept.
_MOST = 1.5


@dataclass(frozen=True)
class Settings:
    """Chained responses with so many bytes of instructions, and runs that end."""

    chained: int = 3_000
    instructions: int = 30_000
    ended: int = 20_000


FULL = Settings()
TINY = Settings(chained=200, ended=4_500)


def chained_responses(number: int, instructions: int) -> Iterator[RunSnapshot]:
    """Yields responses that each continue another one, which is not seen."""
    for index in range(number):
        text = f"{instructions} {index} " + "x" * instructions
        yield seen(
            "in_progress",
            index,
            run_id=f"resp_{instructions}_{index}",
            continues=f"resp_{instructions}_{index}_before",
            configuration=Configuration(instructions=text),
        )


def ended_runs(number: int) -> Iterator[RunSnapshot]:
    """Yields runs that have ended."""
    for index in range(number):
        yield seen("completed", index, run_id=f"run_{number}_{index}", ended_at=at(index))


def keep(fresh: Fresh, snapshots: Iterator[RunSnapshot]) -> tuple[int, int, float]:
    """Returns the number of snapshots, the bytes kept after recording them, and the seconds."""
    count, began = 0, perf_counter()
    with closing(open_event_store(fresh())) as store:
        repository = RunRepository(store)
        gc.collect()
        tracemalloc.start()
        try:
            batch: list[Observation] = []
            for snapshot in snapshots:
                count += 1
                predecessor = Observation.of_predecessor(snapshot)
                batch += [Observation.of(snapshot), *([predecessor] if predecessor else [])]
                if len(batch) >= _PER_BATCH:
                    repository.record(batch)
                    batch = []
            repository.record(batch)
            del batch, snapshot, predecessor
            gc.collect()
            return count, tracemalloc.get_traced_memory()[0], perf_counter() - began
        finally:
            tracemalloc.stop()


def main(settings: Settings = FULL) -> None:
    """Measures on SQLite, where events take no memory."""
    with sqlite_files() as fresh:
        keep(fresh, chained_responses(20, 30))
        found = {
            "chained responses, short": keep(fresh, chained_responses(settings.chained, 30)),
            "chained responses, long": keep(
                fresh, chained_responses(settings.chained, settings.instructions)
            ),
            "ended runs, half": keep(fresh, ended_runs(settings.ended // 2)),
            "ended runs, all": keep(fresh, ended_runs(settings.ended)),
        }
    shown = [
        (name, f"{count:,}", f"{kept / 1e6:.2f}", f"{count / seconds:,.0f}")
        for name, (count, kept, seconds) in found.items()
    ]
    header = ("recorded", "number", "MB kept", "a second, while traced")
    table("Remembering. Aim: no more for longer documents, or more ended runs", header, shown)
    short, long, half, whole = (kept for _, kept, _ in found.values())
    assert long < _MOST * short, (short, long)
    assert whole < _MOST * half, (half, whole)


if __name__ == "__main__":
    write(machine())
    main()
