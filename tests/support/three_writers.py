"""Three writers and two readers by position on one PostgreSQL database, beside its maintenance."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import dataclass, field

import psycopg

from tests.support.run_builder import STATUS_CHANGED
from tracker import open_event_store
from tracker.event_store import Append

# What is done to the table meanwhile. The last is a vacuum as against wraparound.
MAINTENANCE = (
    "ANALYZE runfold_events",
    "VACUUM runfold_events",
    "VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) runfold_events",
)


@dataclass
class Outcome:
    """Events that were appended; those that a reader missed; the longest appends, in seconds."""

    events: int = 0
    missed: int = 0
    maintained: int = 0
    appends: list[float] = field(default_factory=list)


def run_writers(url: str, seconds: float, *, maintain: bool = False) -> Outcome:
    """Has three writers append for so many seconds, and two readers follow."""
    outcome, stop, done = Outcome(), threading.Event(), threading.Event()
    seen: list[set[int]] = []

    def write(name: int) -> None:
        number = 0
        with closing(open_event_store(url)) as store:
            while not stop.is_set():
                number += 1
                began = time.perf_counter()
                store.append(
                    [Append(f"assistants:{name}_{began}_{number}", 0, [STATUS_CHANGED] * 3)]
                )
                outcome.appends.append(time.perf_counter() - began)

    def read() -> None:
        found: set[int] = set()
        position = 0
        seen.append(found)
        with closing(open_event_store(url)) as store:
            while True:
                is_over = done.is_set()
                if page := store.read_all(position):
                    position = page[-1].position
                    found.update(entry.position for entry in page)
                elif is_over:
                    return

    def keep_up() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.is_set():
                for statement in MAINTENANCE:
                    connection.execute(statement.encode())
                    outcome.maintained += 1
                stop.wait(0.05)

    open_event_store(url).close()
    writers = [threading.Thread(target=write, args=(name,)) for name in range(3)]
    readers = [threading.Thread(target=read) for _ in range(2)]
    others = [threading.Thread(target=keep_up)] if maintain else []
    for thread in (*writers, *readers, *others):
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in (*writers, *others):
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    with psycopg.connect(url) as connection:
        stored = {row[0] for row in connection.execute("SELECT position FROM runfold_events")}
    outcome.events = len(stored)
    outcome.missed = sum(len(stored - found) for found in seen)
    return outcome
