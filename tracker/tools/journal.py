"""The journal of calls that must not be made twice, beside the events."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from tracker.event_store import EventStore
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.event_store.side_tables import TOOL_CALLS

# In place of the id of a call: the submission of all outputs of a run.
SUBMISSION = ""


class Begun(NamedTuple):
    """A call that was begun before, and its output if it ended."""

    output: str | None


class Journal(Protocol):
    """The calls of runs that were begun. Synchronous, safe for threads."""

    def begin(self, stream: str, call_id: str) -> Begun | None:
        """Notes that a call begins. Returns the note of it if there was one already."""
        ...

    def finish(self, stream: str, call_id: str, output: str) -> None:
        """Notes the output of a call."""
        ...

    def remove(self, stream: str, call_id: str | None = None) -> None:
        """Deletes the note of a call, or of all calls of a run."""
        ...


class MemoryJournal:
    """The journal of a store in memory."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], str | None] = {}

    def begin(self, stream: str, call_id: str) -> Begun | None:
        key = (stream, call_id)
        if key in self._calls:
            return Begun(self._calls[key])
        self._calls[key] = None
        return None

    def finish(self, stream: str, call_id: str, output: str) -> None:
        self._calls[stream, call_id] = output

    def remove(self, stream: str, call_id: str | None = None) -> None:
        for key in [it for it in self._calls if it[0] == stream and call_id in (None, it[1])]:
            del self._calls[key]


class TableJournal:
    """The journal in a table of the events' own database."""

    def __init__(self, store: RecorderEventStore) -> None:
        self._store = store

    def begin(self, stream: str, call_id: str) -> Begun | None:
        with self._store.transaction(commit=True) as cursor:
            self._execute(
                cursor,
                f"INSERT INTO {TOOL_CALLS} (stream, call_id) VALUES (?, ?) "
                "ON CONFLICT (stream, call_id) DO NOTHING RETURNING call_id",
                (stream, call_id),
            )
            if cursor.fetchone() is not None:
                return None
            self._execute(
                cursor,
                f"SELECT output FROM {TOOL_CALLS} WHERE stream = ? AND call_id = ?",
                (stream, call_id),
            )
            return Begun(cursor.fetchone()["output"])

    def finish(self, stream: str, call_id: str, output: str) -> None:
        with self._store.transaction(commit=True) as cursor:
            self._execute(
                cursor,
                f"UPDATE {TOOL_CALLS} SET output = ? WHERE stream = ? AND call_id = ?",
                (output.encode("utf-8", "replace").decode().replace("\0", "?"), stream, call_id),
            )

    def remove(self, stream: str, call_id: str | None = None) -> None:
        condition, given = ("", ()) if call_id is None else (" AND call_id = ?", (call_id,))
        with self._store.transaction(commit=True) as cursor:
            self._execute(
                cursor, f"DELETE FROM {TOOL_CALLS} WHERE stream = ?{condition}", (stream, *given)
            )

    def _execute(self, cursor: Any, statement: str, parameters: tuple[object, ...]) -> None:
        cursor.execute(statement.replace("?", self._store.placeholder), parameters)


_IN_MEMORY: WeakKeyDictionary[EventStore, MemoryJournal] = WeakKeyDictionary()


def open_journal(store: EventStore) -> Journal:
    """Opens the journal of an event store."""
    if isinstance(store, RecorderEventStore) and store.placeholder:
        return TableJournal(store)
    return _IN_MEMORY.setdefault(store, MemoryJournal())
