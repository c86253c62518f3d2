"""Imports exported events in order, each exactly once; never rewrites an existing history."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tracker.core.events import Event
from tracker.errors import ConcurrencyError, StoreError
from tracker.event_store.recorder_store import EVENTS_PER_TRANSACTION
from tracker.event_store.store import Append, EventStore
from tracker.import_export.event_json import EventLine

_ATTEMPTS = 20
_KNOWN_HEADS = 50_000
# More are not an accident, and each takes memory.
_REFUSED_STREAMS = 10_000


class Restored(NamedTuple):
    """The result of a part of the lines."""

    # The new events.
    added: list[Event]
    # Lines that agree with the store, new ones included.
    fitting: int
    # For each stream that does not agree: the index of its first such line, and a cure.
    refused: list[tuple[int, str]]


class _Plan(NamedTuple):
    """The appends of a part of the lines."""

    appends: list[Append]
    # The last version of each stream after the appends.
    heads: dict[str, int]
    # As in `Restored`, by stream.
    fitting: int
    refused: dict[str, tuple[int, str]]


class EventRestorer:
    """Appends events to a store at their exported versions, in the given order.

    Events that the store already has are skipped. From the first event that contradicts the store,
    the rest of its stream is skipped. Keeps only last versions in memory, a limited number.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._heads: OrderedDict[str, int] = OrderedDict()
        self._refused: set[str] = set()

    def add(self, lines: Sequence[EventLine]) -> Iterator[Restored]:
        """Appends the new events in transactions of at most 250; yields the result of each.

        Raises StoreUnavailable if the database fails, ConcurrencyError if other processes keep
        writing to these streams, StoreError if too many streams contradict the store; earlier
        transactions are kept.
        """
        for start in range(0, len(lines), EVENTS_PER_TRANSACTION):
            plan = self._append(lines[start : start + EVENTS_PER_TRANSACTION])
            self._refused |= plan.refused.keys()
            if len(self._refused) > _REFUSED_STREAMS:
                raise StoreError(
                    f"more than {_REFUSED_STREAMS:,} histories do not fit those of this database, "
                    "which were left as they are: import into an empty database"
                )
            yield Restored(
                [event for append in plan.appends for event in append.events],
                plan.fitting,
                [(start + index, reason) for index, reason in plan.refused.values()],
            )

    def _append(self, lines: Sequence[EventLine]) -> _Plan:
        for attempt in range(_ATTEMPTS):
            plan = self._plan(lines)
            try:
                self._store.append(plan.appends)
            except ConcurrencyError:
                for line in lines:
                    self._heads.pop(line.stream, None)
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            self._remember(plan.heads)
            break
        return plan

    def _plan(self, lines: Sequence[EventLine]) -> _Plan:
        heads = {line.stream: self._heads.get(line.stream, 0) for line in lines}
        known = self._load_streams(lines)
        heads |= {stream: len(events) for stream, events in known.items()}
        new: list[EventLine] = []
        refused: dict[str, tuple[int, str]] = {}
        fitting = 0
        for index, (stream, version, event) in enumerate(lines):
            if stream in self._refused or stream in refused:
                continue
            if version == heads[stream] + 1:
                heads[stream] = version
                new.append(lines[index])
                if stream in known:
                    known[stream].append(event)
            elif version > heads[stream]:
                refused[stream] = index, _gap(stream, version, heads[stream])
                continue
            elif known[stream][version - 1] != event:
                refused[stream] = index, _conflict(stream, version)
                continue
            fitting += 1
        return _Plan(list(_appends(new)), heads, fitting, refused)

    def _load_streams(self, lines: Iterable[EventLine]) -> dict[str, list[Event]]:
        """Returns the events of the streams that the lines do not simply continue."""
        heads: dict[str, int] = {}
        unknown: dict[str, None] = {}
        for stream, version, _ in lines:
            head = heads.get(stream, self._heads.get(stream))
            if head is None or version != head + 1:
                unknown[stream] = None
            heads[stream] = version
        if not unknown:
            return {}
        found = self._store.read_many(list(unknown))
        return {stream: [entry.event for entry in entries] for stream, entries in found.items()}

    def _remember(self, heads: dict[str, int]) -> None:
        for stream, head in heads.items():
            self._heads[stream] = head
            self._heads.move_to_end(stream)
        while len(self._heads) > _KNOWN_HEADS:
            self._heads.popitem(last=False)


def _appends(lines: Sequence[EventLine]) -> Iterator[Append]:
    """Yields the lines in the same order, with neighbours of one stream together."""
    events: list[Event] = []
    for index, (stream, version, event) in enumerate(lines):
        events.append(event)
        if index + 1 == len(lines) or lines[index + 1].stream != stream:
            yield Append(stream, version - len(events), events)
            events = []


def _conflict(stream: str, version: int) -> str:
    return (
        f"{stream}: its version {version} is another event in this database; nothing more of it "
        "is imported. Keep the one that is there, or import into an empty database"
    )


def _gap(stream: str, version: int, head: int) -> str:
    return (
        f"{stream}: version {version} comes, and version {head + 1} is missing; nothing more of "
        "it is imported. Import the whole export, in its order"
    )
