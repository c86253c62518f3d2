"""A process that runs the demo until a test kills it; notes each acknowledged event."""

import asyncio
import os
import sys
import threading
from collections.abc import Sequence

from projections import Views
from tracker import EventStore, open_event_store
from tracker.cli.trial.live_runs import DemoProgress, run_demo
from tracker.event_store import Append, RecordedEvent


class NotingStore:
    """An event store that notes acknowledged events in a file, which survives a kill."""

    def __init__(self, store: EventStore, notes: int) -> None:
        self._store = store
        self._notes = notes

    def append(self, batch: Sequence[Append]) -> None:
        self._store.append(batch)
        for stream, version, events in batch:
            os.write(self._notes, f"{stream} {version + len(events)}\n".encode())

    def read(self, stream: str, after: int = 0) -> list[RecordedEvent]:
        return self._store.read(stream, after)

    def read_many(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        return self._store.read_many(streams)

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        return self._store.read_all(after, limit)

    def last_position(self) -> int:
        return self._store.last_position()

    def wait(self, after: int, timeout: float) -> bool:
        return self._store.wait(after, timeout)

    def forget(self, streams: Sequence[str]) -> int:
        return self._store.forget(streams)

    def close(self) -> None:
        self._store.close()


def update_tables(url: str, stop: threading.Event) -> None:
    """Applies new events to the tables until `stop` is set."""
    with Views(url) as views:
        views.prepare(create=True)
        while not stop.wait(0.02):
            views.catch_up()
        views.catch_up()


def main(url: str, base_url: str, notes: str, runs: int, seed: int) -> None:
    """Runs the demo, noting each acknowledged event."""
    store = NotingStore(
        open_event_store(url), os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    )
    stop = threading.Event()
    views = threading.Thread(target=update_tables, args=(url, stop))
    views.start()
    try:
        demo = run_demo(
            store, base_url, runs=runs, threads=20, seed=seed, progress=DemoProgress(runs)
        )
        asyncio.run(demo)
    finally:
        stop.set()
        views.join()
        store.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
