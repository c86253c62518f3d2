"""Several processes with handlers of one name on one PostgreSQL database, killed in turn."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.tracker_pairs import count_shards
from tracker import EventStore, open_event_store
from tracker.core.events import Event, RunActionRequired, RunCreated
from tracker.core.snapshot import ToolCall
from tracker.event_store import Append
from tracker.leases.shards import SHARDS

WORKERS = 4
_BATCH = 100


@dataclass
class Handled:
    """The result of a run of workers; times are seconds.

    `versions` are the events of each run in the order in which they were handled, `seconds` the
    time for the backlog, `delays` those from an event to its handler.
    """

    kills: int = 0
    seconds: float = 0.0
    versions: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    delays: list[float] = field(default_factory=list)

    @property
    def repeats(self) -> int:
        """The number of events that were handled again."""
        return sum(len(it) - len(set(it)) for it in self.versions.values())

    def check(self, runs: int) -> None:
        """Fails if an event was lost, out of order, or repeated more than once a kill."""
        assert len(self.versions) == runs
        for run, versions in self.versions.items():
            assert set(versions) == {1, 2}, f"{run}: {versions}"
            assert versions[0] == 1, f"{run}: {versions}"
            for before, after in pairwise(versions):
                assert after in (before, before + 1), f"{run}: {versions}"
            assert max(Counter(versions).values()) <= 1 + self.kills, f"{run}: {versions}"


def waiting_run(run_id: str) -> Append:
    """Returns a run that waits for a call, from now on."""
    now = datetime.now(UTC)
    events: list[Event] = [
        RunCreated(
            observed_at=now,
            source="assistants",
            run_id=run_id,
            status="queued",
            thread_id=f"thread_{run_id}",
        ),
        RunActionRequired(
            observed_at=now, previous="in_progress", tool_calls=(ToolCall(id="c", name="f"),)
        ),
    ]
    return Append(f"assistants:{run_id}", 0, events)


def handle_backlog(
    url: str, folder: Path, *, runs: int, kills: int, seconds: float, rate: float, lasts: float
) -> Handled:
    """Has four workers handle waiting runs while they are killed, then events at a steady rate.

    A handler takes `seconds`. The rate is events a second, for `lasts` seconds.
    """
    chance, handled, notes = random.Random(), Handled(), folder / "notes"
    notes.touch()
    store = open_event_store(url)

    def start(last: int = 10**12) -> subprocess.Popen[bytes]:
        arguments = [url, str(notes), str(last), str(seconds)]
        module = [sys.executable, "-m", "tests.support.killed_handlers"]
        return subprocess.Popen([*module, *arguments], cwd=ROOT)

    # The name begins before the first event.
    start(0).wait(120)
    for first in range(0, runs, _BATCH):
        numbers = range(first, min(first + _BATCH, runs))
        store.append([waiting_run(f"run_{number}") for number in numbers])
    began = time.monotonic()
    workers = [start() for _ in range(WORKERS)]
    try:
        _wait(lambda: _count(notes) > 0)
        for number in range(kills):
            # Spread over the backlog.
            _wait(lambda wanted=2 * runs * number // (kills + 1): _count(notes) >= wanted)
            time.sleep(chance.uniform(0, 0.3))
            victim = workers.pop(chance.randrange(len(workers)))
            victim.kill()
            assert victim.wait() < 0, "it had ended by itself"
            handled.kills += 1
            workers.append(start())
        _wait(lambda: len(_read(notes)) == 2 * runs)
        handled.seconds = time.monotonic() - began
        # The last worker has to have its share: a handover is not what is measured.
        _wait(lambda: count_shards(url) == [SHARDS // WORKERS] * WORKERS)
        added = _append_steadily(store, rate, lasts)
        _wait(lambda: len(_read(notes)) == 2 * (runs + len(added)))
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        store.close()
    for line in notes.read_text().splitlines():
        run, version, at = line.split()
        handled.versions[run].append(int(version))
        if run in added and version == "2":
            handled.delays.append(float(at) - added[run])
    return handled


def _append_steadily(store: EventStore, rate: float, lasts: float) -> dict[str, float]:
    """Appends runs at a rate of events a second; returns when each was durable."""
    added: dict[str, float] = {}
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < lasts:
        if 2 * len(added) < elapsed * rate:
            run = f"later_{len(added)}"
            store.append([waiting_run(run)])
            added[run] = time.time()
        else:
            time.sleep(0.005)
    return added


def _count(notes: Path) -> int:
    return notes.read_bytes().count(b"\n")


def _read(notes: Path) -> set[tuple[str, str]]:
    """Returns the events that were handled: runs and versions."""
    lines = (line.split() for line in notes.read_text().splitlines())
    return {(run, version) for run, version, _ in lines}


def _wait(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)
