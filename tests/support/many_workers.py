"""Several trackers on one PostgreSQL database, killed in turn and replaced."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from tests.support.paths import ROOT
from tracker import open_event_store
from tracker.core.events import RunCreated, RunEnded, RunStatusChanged
from tracker.event_store import RecordedEvent
from tracker.recording.repository import RunRepository
from tracker.simulator import Parameters, Simulator

WORKERS = 3
# More than a worker gets to.
RUNS = 1000
LIVES = Parameters.ending(
    "completed", action=0.0, stretched=0.0, kinds=1, work_medians=(3.0, 3.0), work_sigma=0.3
)
_SAMPLE_SECONDS = 0.1
_START_SECONDS = 60.0


@dataclass
class Outcome:
    """Results of a run of workers; times are seconds.

    `noted` are runs that a worker knew to be recorded, `unheld` the times for which a shard had no
    living holder, `shown` the delays between the end of a run and its record, `open` the number of
    runs that have not ended.
    """

    kills: int = 0
    noted: set[str] = field(default_factory=set)
    events: list[RecordedEvent] = field(default_factory=list)
    unheld: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)
    open: int = 0

    @property
    def twice(self) -> list[tuple[str, str]]:
        """Transitions that a run has more than once."""
        kinds = (RunCreated, RunEnded, RunStatusChanged)
        seen = Counter(
            (entry.stream, f"{entry.event.topic}/{getattr(entry.event, 'status', '')}")
            for entry in self.events
            if isinstance(entry.event, kinds)
        )
        return [transition for transition, number in seen.items() if number > 1]


def run_workers(
    url: str,
    folder: Path,
    *,
    seconds: float,
    kill_every: float,
    number: int = WORKERS,
    stop_for: float = 0.0,
) -> Outcome:
    """Has workers create and poll runs for a while, and waits for the runs to end.

    One is killed every so many seconds, and one is stopped for `stop_for` seconds first.
    """
    chance, outcome = random.Random(), Outcome()
    notes, stop = folder / "notes", folder / "stop"
    notes.touch()
    store, began = open_event_store(url), datetime.now(UTC)
    with Simulator(parameters=LIVES, seed=chance.randrange(10_000)) as simulator:

        def start() -> subprocess.Popen[bytes]:
            threads = ",".join(simulator.create_thread() for _ in range(RUNS))
            arguments = [url, simulator.base_url, str(notes), threads, str(stop)]
            module = [sys.executable, "-m", "tests.support.killed_worker"]
            return subprocess.Popen([*module, *arguments], cwd=ROOT)

        workers = [start() for _ in range(number)]
        with _sampled(url, workers, outcome):
            try:
                _wait_for_a_run(notes)
                if stop_for:
                    workers[0].send_signal(signal.SIGSTOP)
                    time.sleep(stop_for)
                    workers[0].send_signal(signal.SIGCONT)
                until = time.monotonic() + seconds
                while time.monotonic() + kill_every < until:
                    time.sleep(kill_every)
                    victim = workers.pop(chance.randrange(len(workers)))
                    victim.kill()
                    assert victim.wait() < 0, "it had ended by itself"
                    outcome.kills += 1
                    workers.append(start())
                time.sleep(max(until - time.monotonic(), 0))
                stop.touch()
                deadline = time.monotonic() + 120
                while (
                    left := RunRepository(store).pending_runs(lambda source: began, began)[0].open
                ) and time.monotonic() < deadline:
                    time.sleep(0.2)
                outcome.open = len(left)
            finally:
                for worker in workers:
                    worker.kill()
                    worker.wait()
    outcome.noted = set(notes.read_text().split())
    outcome.events = store.read_all(limit=1_000_000)
    store.close()
    for entry in outcome.events:
        if isinstance(entry.event, RunEnded) and entry.event.occurred_at is not None:
            delay = entry.event.observed_at - entry.event.occurred_at
            outcome.shown.append(delay.total_seconds())
    return outcome


def _wait_for_a_run(notes: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not notes.stat().st_size:
        assert time.monotonic() < deadline, "no worker has created a run"
        time.sleep(0.05)


@contextmanager
def _sampled(url: str, workers: list[subprocess.Popen[bytes]], outcome: Outcome) -> Iterator[None]:
    """Records for how long each shard has no living holder once it had one.

    Time without any living worker that has joined does not count: nobody could take over.
    """
    stop = threading.Event()

    def sample() -> None:
        unheld: dict[int, float] = {}
        known: set[int] = set()
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.wait(_SAMPLE_SECONDS):
                now = time.monotonic()
                living = [f":{worker.pid}:" for worker in workers if worker.poll() is None]
                joined = connection.execute("SELECT worker FROM runfold_workers").fetchall()
                if not any(pid in worker for (worker,) in joined for pid in living):
                    unheld = dict.fromkeys(unheld, now)
                rows = connection.execute(
                    "SELECT shard, CASE WHEN expires_at > clock_timestamp() THEN worker END "
                    "FROM runfold_leases"
                ).fetchall()
                for shard, worker in rows:
                    if worker and any(pid in worker for pid in living):
                        known.add(shard)
                        outcome.unheld.append(now - unheld.pop(shard, now))
                    elif shard in known:
                        unheld.setdefault(shard, now)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
