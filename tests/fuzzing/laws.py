"""Laws that hold whatever was handed in."""

from collections.abc import Sequence
from typing import Any

from projections import Views
from tests.support import odd_documents
from tests.support.command_line import runfold
from tracker import open_event_store
from tracker.core.decider import fold
from tracker.core.events import Event
from tracker.core.state import RunState
from tracker.event_store.store import Append, EventStore, RecordedEvent

GOOD_THREAD = "thread_good"


class BrokenLaw(AssertionError):
    """A law that does not hold for some documents."""


def good_runs() -> list[dict[str, Any]]:
    """Returns runs with nothing odd about them."""
    return [{**body, "thread_id": GOOD_THREAD} for body in odd_documents.good_runs()]


def require(condition: object, law: str) -> None:
    """Raises BrokenLaw unless the condition is true."""
    if not condition:
        raise BrokenLaw(law)


class RememberingStore:
    """An event store that remembers each event as it was appended."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.appended: dict[str, list[Event]] = {}

    def append(self, batch: Sequence[Append]) -> None:
        self._store.append(batch)
        for entry in batch:
            self.appended.setdefault(entry.stream, []).extend(entry.events)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def check_kept(store: RememberingStore, states: dict[str, RunState]) -> None:
    """Checks that each event reads back equal, and that states are folds of what is stored."""
    for stream, events in store.appended.items():
        recorded = [entry.event for entry in store.read(stream)]
        require(recorded == events, f"{stream}: other events are read than were appended")
        if stream in states:
            require(states[stream] == fold(recorded), f"{stream}: its state is not its fold")


def read_everything(url: str) -> list[RecordedEvent]:
    """Reads all events of a database."""
    store, found, position = open_event_store(url), [], 0
    try:
        while page := store.read_all(position, 5_000):
            position = page[-1].position
            found += page
    finally:
        store.close()
    return found


def check_tables(url: str) -> None:
    """Checks that every command answers, and that the good runs stand in the tables."""
    read_everything(url)
    commands = (
        ["catch-up"],
        ["verify"],
        ["doctor"],
        ["status"],
        ["stuck"],
        ["usage", "--by", "day"],
        ["usage", "--by", "thread_id", "--json"],
        ["timing", "--by", "outcome"],
    )
    for command in commands:
        done = runfold(*command, "--db", url)
        require(done.code == 0, f"{command} exits with {done.code}: {done.out}{done.err}")
    with Views(url) as views:
        for body in good_runs():
            row = views.run(body["id"])
            found = (row.status, row.total_tokens, row.total_seconds, row.thread_id)
            require(found == ("completed", 42, 12.0, GOOD_THREAD), f"{body['id']}: {row}")
