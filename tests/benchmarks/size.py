"""Bytes a run on disk: the events and the tables of 3,000 simulated runs, in one database.

The runs are polled as the poller would poll them, at the times of its own cadence, without HTTP.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from random import Random

import psycopg

from projections import Views
from tests.benchmarks.databases import postgres_databases, sqlite_file, sqlite_files
from tests.benchmarks.report import machine, table, write
from tracker import open_event_store
from tracker.core.snapshot import RunSnapshot
from tracker.core.status import is_ended
from tracker.polling.policy.cadence import Cadence, poll_delay
from tracker.polling.policy.hazards import Counts, Curve, bin_of, pooled_hazards
from tracker.recording.observation import Observation, RecordResult
from tracker.recording.repository import RunRepository
from tracker.simulator import ManualClock, Simulator
from tracker.sources.assistants.snapshots import run_snapshot

SECONDS_BETWEEN_RUNS = 0.5
LOOKS_IN_A_BATCH = 50

# The table or index, and its bytes.
Parts = Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Settings:
    """Number of runs."""

    runs: int = 3_000


FULL = Settings()
TINY = Settings(runs=30)


def fill(url: str, runs: int) -> int:
    """Tracks `runs` simulated runs to their ends and brings the tables up to date: the events."""
    with closing(open_event_store(url)) as store:
        histories = RunRepository(store)
        polled = polls(runs)
        while batch := list(islice(polled, LOOKS_IN_A_BATCH)):
            results = histories.record([Observation.of(snapshot) for snapshot in batch])
            assert all(isinstance(result, RecordResult) for result in results)
    with Views(url) as views:
        views.upgrade()
        applied = views.catch_up()
        counts = views.status_counts()
        assert sum(entry.runs for entry in counts) == runs
        assert all(is_ended(entry.status) for entry in counts)
    return applied


def polls(runs: int) -> Iterator[RunSnapshot]:
    """What polls of all runs show, in order of time; a poll that shows nothing new is left out."""
    simulator, rng, due = _simulator(runs), Random(0), []
    for run_id in simulator.run_ids():
        created_at = simulator.truth(run_id).created_at
        heapq.heappush(due, (created_at + rng.uniform(0.02, 0.3), run_id))
    last: dict[str, tuple[bytes, float, float]] = {}
    cadence, curve = Cadence(), Curve(pooled_hazards(Counts()))
    while due:
        asked_at, run_id = heapq.heappop(due)
        body = json.dumps(simulator.body(run_id, asked_at)).encode()
        known, unchanged_until, changed = last.get(run_id, (b"", 0.0, asked_at))
        if body != known:
            snapshot = run_snapshot(
                body,
                "assistants",
                observed_at=_moment(asked_at + rng.uniform(0.02, 0.3)),
                asked_at=_moment(asked_at),
                unchanged_until=_moment(unchanged_until) if known else None,
            )
            yield snapshot
            changed = asked_at
            if is_ended(snapshot.status):
                continue
        last[run_id] = body, asked_at, changed
        age = max(asked_at - changed, 0.0)
        wanted = curve.delay(age, bin_of(age), cadence.step)
        pause = poll_delay(cadence, wanted, runs=100, rate=100.0, jitter=rng.uniform(-1, 1))
        heapq.heappush(due, (asked_at + pause, run_id))


def _simulator(runs: int) -> Simulator:
    clock, rng = ManualClock(), Random(1)
    simulator = Simulator(seed=1, clock=clock)
    for _ in range(runs):
        metadata = {"user": f"user_{rng.randrange(1000)}", "team": "blue"}
        # As long as the ids of the real service are.
        assistant = f"asst_{rng.randrange(12):024d}"
        simulator.create_run(assistant_id=assistant, metadata=metadata)
        clock.advance(SECONDS_BETWEEN_RUNS)
    return simulator


def _moment(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)


def sqlite_parts(path: str) -> Parts:
    """The bytes of each table and index of a checkpointed file; asserts that nothing is hidden."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        parts: list[tuple[str, int]] = connection.execute(
            "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC"
        ).fetchall()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (page,) = connection.execute("PRAGMA page_size").fetchone()
    assert Path(path).stat().st_size == sum(size for _, size in parts) + free * page
    return [*parts, ("free pages", free * page)]


def postgres_parts(url: str) -> Parts:
    """The bytes of each table and index of a PostgreSQL database, its catalogue left out."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT relname, pg_relation_size(oid) FROM pg_class WHERE relkind IN ('r', 'i') "
            "AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC"
        ).fetchall()


def _show(title: str, parts: Parts, events: int, runs: int) -> None:
    total = sum(size for _, size in parts)
    shown = [(name, f"{size:,}", f"{size / runs:,.0f}") for name, size in parts if size >= runs]
    shown.append(("**all**", f"{total:,}", f"**{total / runs:,.0f}**"))
    title = f"{title}: {runs:,} runs, {events / runs:.2f} events a run. Aim: 3,000 bytes a run"
    table(title, ("table or index", "bytes", "bytes a run"), shown)


def main(settings: Settings = FULL) -> None:
    """Measures an SQLite file and a PostgreSQL database."""
    runs = settings.runs
    with sqlite_files() as fresh:
        url = fresh()
        events = fill(url, runs)
        _show("SQLite", sqlite_parts(sqlite_file(url)), events, runs)
    with postgres_databases(durable=False) as fresh:
        url = fresh()
        events = fill(url, runs)
        _show("PostgreSQL", postgres_parts(url), events, runs)


if __name__ == "__main__":
    write(machine())
    main()
