"""The time that a tracker takes to enter: 100 open runs among a million events.

A first start reads all events, as there is no row of open runs yet. The second comes after the
first was killed, the third after it was left, and the last after it was killed with 2,000 events
behind its row. What each knows is compared with a reading of all events at the end. The plans of
the queries show which part of the events a start reads.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import sleep

from tests.benchmarks.databases import Fresh, postgres_databases, sqlite_files
from tests.benchmarks.report import machine, table, write
from tests.support.paths import ROOT
from tests.support.pending_comparison import compare_pending
from tracker import open_event_store
from tracker.core import events as e
from tracker.event_store.codec import encode
from tracker.event_store.open_runs import READ_CHANGES
from tracker.event_store.recorder import NewRow
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.leases.postgres import SHARD_LEASE_SECONDS

_BORN = datetime(2026, 1, 1, tzinfo=UTC)
_PER_TRANSACTION = 5_000

_STARTER = """
import asyncio, sys
from time import perf_counter, process_time
from tracker import Tracker, open_event_store
from tracker.sources import Assistants

# Imports the driver.
open_event_store(sys.argv[1]).close()

async def start():
    source = Assistants("http://127.0.0.1:9/v1", "key-4f1d9c22b7")
    began, used = perf_counter(), process_time()
    async with Tracker(sys.argv[1], source) as tracker:
        entered, used = perf_counter() - began, process_time() - used
        print(entered, used, len(tracker.watching), flush=True)
        sys.stdin.readline()

asyncio.run(start())
"""


@dataclass(frozen=True)
class Settings:
    """Events in the store, and open runs among them."""

    events: int = 1_000_000
    open_runs: int = 100


FULL = Settings()
TINY = Settings(events=3_000, open_runs=10)


def _life(number: int, *, is_open: bool) -> list[NewRow]:
    run_id, observed = f"run_{number}", _BORN + timedelta(seconds=number / 10)
    events: list[e.Event] = [
        e.RunCreated(
            observed_at=observed,
            occurred_at=observed,
            source="assistants",
            run_id=run_id,
            status="queued",
            thread_id=f"thread_{number % 1000}",
            model="gpt-4o",
        ),
        e.RunStatusChanged(observed_at=observed, previous="queued", status="in_progress"),
    ]
    if not is_open:
        step = e.RunStepRecorded(
            observed_at=observed, step_id="step_1", type="tool_calls", status="completed"
        )
        events += [
            e.RunActionRequired(observed_at=observed, previous="in_progress"),
            e.RunCompleted(observed_at=observed, occurred_at=observed, previous="requires_action"),
            step,
        ]
    return [
        (f"assistants:{run_id}", version, *encode(event)) for version, event in enumerate(events, 1)
    ]


def fill(store: RecorderEventStore, count: int, open_runs: int, first: int = 0) -> int:
    """Appends the lives of runs, `open_runs` of them open; returns the number of runs."""
    runs = max(count // 5, open_runs + 1)
    every = runs // open_runs if open_runs else runs + 1
    rows: list[NewRow] = []
    left = open_runs
    for number in range(first, first + runs):
        is_open = left > 0 and number % every == 0
        left -= is_open
        rows += _life(number, is_open=is_open)
        if len(rows) >= _PER_TRANSACTION or number == first + runs - 1:
            store._recorder.insert_rows(rows)
            rows = []
    return runs


def start(url: str, *, kill: bool) -> tuple[float, float, int]:
    """Enters a tracker in a process of its own.

    Returns the seconds, the processor time of the process in seconds, and the watched runs.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _STARTER, url],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdin is not None
        seconds, used, watched = process.stdout.readline().split()
        if kill:
            process.kill()
            if url.startswith("postgresql"):
                # Until then, the leases of the killed one are its own.
                sleep(SHARD_LEASE_SECONDS + 1)
        else:
            process.stdin.write("\n")
            process.stdin.flush()
        process.wait()
    return float(seconds), float(used), int(watched)


def measure(name: str, fresh: Fresh, settings: Settings) -> None:
    """Measures the starts on one database."""
    url = fresh()
    store = open_event_store(url)
    assert isinstance(store, RecorderEventStore)
    with closing(store):
        runs = fill(store, settings.events, settings.open_runs)
        starts = [("first, which reads all events, then killed", start(url, kill=True))]
        starts.append(("after the kill", start(url, kill=False)))
        starts.append(("after it was left", start(url, kill=True)))
        fill(store, min(2_000, settings.events), 0, first=runs)
        starts.append(("after a kill, 2,000 events behind", start(url, kill=False)))
        assert {watched for _, (_, _, watched) in starts} == {settings.open_runs}
        now = datetime.now(UTC)
        assert compare_pending(store, now - timedelta(hours=24), now) == settings.open_runs
        table(
            f"{name}: {settings.open_runs} open runs among {store.last_position():,} events",
            ("start", "entered in", "processor time"),
            [
                (what, f"{seconds * 1000:.0f} ms", f"{used * 1000:.0f} ms")
                for what, (seconds, used, _) in starts
            ],
        )
        write(f"\n{_plan(store)}")


def _plan(store: RecorderEventStore) -> str:
    last = store.last_position()
    with store.transaction(commit=False) as cursor:
        if store.placeholder == "?":
            cursor.execute(f"EXPLAIN QUERY PLAN {READ_CHANGES}", (last - 2_000, last))
            return "\n".join(f"    {row['detail']}" for row in cursor.fetchall())
        cursor.execute("ANALYZE runfold_events")
        cursor.execute("EXPLAIN " + READ_CHANGES.replace("?", "%s"), (last - 2_000, last))
        return "\n".join(f"    {row['QUERY PLAN']}"[:160] for row in cursor.fetchall())


def main(settings: Settings = FULL) -> None:
    """Measures on SQLite and on PostgreSQL."""
    write("\n# Starting. Aim: 100 open runs among a million events, entered in 0.3 s")
    with sqlite_files() as fresh:
        measure("SQLite", fresh, settings)
    with postgres_databases(durable=False) as fresh:
        measure("PostgreSQL", fresh, settings)


if __name__ == "__main__":
    write(machine())
    main()
