"""The events of handlers: pages of all events, and the events of one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from zlib import crc32

from tracker.core.events import ConfigurationRecorded, Unreadable
from tracker.core.state import RunState
from tracker.delivery.backlog import Entry
from tracker.delivery.handlers import Delivery, HandlerSet
from tracker.event_store import EventStore, RecordedEvent

_PAGE_SIZE = 500

# Returns the recorded states of the runs of streams, as far as they can be read.
ReadStates = Callable[[Sequence[str]], dict[str, RunState]]


class Page(NamedTuple):
    """A page of events, and those among them that cannot be read, with shard and reason."""

    entries: list[Entry]
    last: int
    unreadable: list[tuple[int, RecordedEvent, str]]


class EventReader:
    """Reads the events that the handlers of one name receive. Synchronous.

    Each call raises StoreUnavailable if the database fails.
    """

    def __init__(
        self, store: EventStore, handlers: HandlerSet, read_states: ReadStates, shards: int
    ) -> None:
        self._store, self._handlers = store, handlers
        self._read_states, self._shards = read_states, shards

    def read_page(self, after: int, accepts: Callable[[int, int], bool]) -> Page:
        """Reads the events after a position; `accepts` is told shards and positions of them."""
        entries, unreadable, last = [], [], after
        wanted: dict[str, RunState] = {}
        selected = []
        for recorded in self._store.read_all(after, _PAGE_SIZE):
            last, event = recorded.position, recorded.event
            shard = self._shard_of(recorded.stream)
            if isinstance(event, Unreadable):
                unreadable.append((shard, recorded, event.reason))
            elif (
                not isinstance(event, ConfigurationRecorded)
                and accepts(shard, recorded.position)
                and self._handlers.select(event)
            ):
                selected.append((shard, recorded))
        if selected:
            wanted = self._read_states(list({it.stream for _, it in selected}))
        for shard, it in selected:
            state = wanted[it.stream]
            # One without a state may have been forgotten since the page was read.
            is_stored = state.run_id or self._is_stored(it)
            delivery = _make_delivery(it, state) if is_stored else None
            entries.append(Entry(it.position, it.stream, shard, delivery))
        return Page(entries, last, unreadable)

    def read_run(self, stream: str, version: int, last: int) -> list[Delivery]:
        """Reads the events of a run from a version on, up to the position `last`."""
        events = [it for it in self._store.read(stream, version - 1) if it.position <= last]
        chosen = [
            it
            for it in events
            if not isinstance(it.event, Unreadable) and self._handlers.select(it.event)
        ]
        if not chosen:
            return []
        state = self._read_states([stream])[stream]
        return [_make_delivery(it, state) for it in chosen]

    def _is_stored(self, recorded: RecordedEvent) -> bool:
        stored = self._store.read(recorded.stream, recorded.version - 1)
        return any(it.position == recorded.position for it in stored)

    def _shard_of(self, stream: str) -> int:
        return crc32(stream.encode(errors="surrogatepass")) % self._shards


def _make_delivery(recorded: RecordedEvent, state: RunState) -> Delivery:
    # Not the ids of the state: it has none if the first event of the run cannot be read.
    source, _, run_id = recorded.stream.partition(":")
    return Delivery(
        state.source or source,
        state.thread_id or "",
        state.run_id or run_id,
        recorded.position,
        recorded.version,
        recorded.event,
    )
