"""Three workers on one PostgreSQL database for two minutes, one killed every few seconds.

And what dividing costs: renewing the leases, and taking over 100,000 open runs at once.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from tests.benchmarks.databases import postgres_databases
from tests.benchmarks.report import machine, middle, table, write
from tests.support.many_workers import WORKERS, Outcome, run_workers
from tracker import open_event_store
from tracker.core.state import RunState
from tracker.leases.postgres import PostgresLeases
from tracker.leases.shards import shard_of
from tracker.polling.watch_list import WatchList
from tracker.runtime.clock import SystemClock
from tracker.sources import Assistants


@dataclass(frozen=True)
class Settings:
    """Seconds of killing, and between two kills; open runs that are divided."""

    seconds: float = 120
    kill_every: float = 5
    open_runs: int = 100_000
    # Seconds for which one of four workers is stopped, before another is killed.
    stop_for: float = 22


FULL = Settings()
TINY = Settings(seconds=4, kill_every=3, open_runs=500, stop_for=1)


def kill_workers(url: str, folder: Path, settings: Settings) -> None:
    """Kills workers; fails if a transition was lost or recorded twice, or a run stays open."""
    seconds, kill_every = settings.seconds, settings.kill_every
    outcome = run_workers(url, folder, seconds=seconds, kill_every=kill_every)
    what = f"{WORKERS} workers, one killed every {kill_every:g} s for {seconds:g} s"
    show(what, outcome)


def stop_worker(url: str, folder: Path, settings: Settings) -> None:
    """Stops one of four workers for a while, and kills another; fails as `kill_workers` does."""
    folder.mkdir()
    outcome = run_workers(
        url, folder, seconds=8, kill_every=5, number=4, stop_for=settings.stop_for
    )
    show(f"4 workers, one stopped for {settings.stop_for:g} s, one killed", outcome)


def show(what: str, outcome: Outcome) -> None:
    """Checks an outcome, and prints it."""
    assert outcome.open == 0
    assert outcome.twice == []
    ended = {entry.stream for entry in outcome.events if entry.event.topic == "run.completed"}
    assert {f"assistants:{run}" for run in outcome.noted} <= ended
    shown = sorted(outcome.shown)
    table(
        what,
        (
            "kills",
            "runs",
            "longest without a holder",
            "an end is seen after, p50",
            "p99",
            "longest",
        ),
        [
            (
                str(outcome.kills),
                str(len(ended)),
                f"{max(outcome.unheld):.1f} s",
                f"{middle(shown):.1f} s",
                f"{shown[int(len(shown) * 0.99)]:.1f} s",
                f"{shown[-1]:.1f} s",
            )
        ],
    )


def measure_costs(url: str, open_runs: int) -> None:
    """Measures a renewal of the leases, and the loss and gain of shards."""
    store = open_event_store(url)
    leases = PostgresLeases(url, ["assistants"], "benchmark")
    times = []
    for _ in range(50):
        began = perf_counter()
        leases.renew()
        times.append(perf_counter() - began)
    leases.release()
    source = Assistants(base_url="http://127.0.0.1:9/v1", api_key="key")
    watch_list = WatchList(SystemClock())
    for number in range(open_runs):
        state = RunState(source.name, f"run_{number}", f"thread_{number}", status="queued")
        watch_list.watch(source, f"thread_{number}", f"run_{number}", state=state)
    divided = []
    for third in (1, 3, 1, 3):
        began = perf_counter()
        watch_list.set_ownership(
            lambda name, thread, third=third: shard_of(name, thread).number % 3 < third
        )
        divided.append(perf_counter() - began)
    store.close()
    table(
        "What dividing costs",
        ("what", "time"),
        [
            ("renewing the leases of 256 shards", f"{middle(times) * 1000:.1f} ms each 2 s"),
            (f"losing two thirds of {open_runs:,} open runs", f"{divided[2] * 1000:.0f} ms once"),
            ("gaining them again", f"{divided[3] * 1000:.0f} ms once"),
        ],
    )


def main(settings: Settings = FULL) -> None:
    """Kills workers, then measures the costs."""
    write("\n# Workers: takeover within 10 s of a kill, no transition lost or twice")
    with postgres_databases(durable=False) as fresh, tempfile.TemporaryDirectory() as folder:
        kill_workers(fresh(), Path(folder), settings)
        stop_worker(fresh(), Path(folder, "stopped"), settings)
        measure_costs(fresh(), settings.open_runs)


if __name__ == "__main__":
    write(machine())
    main()
