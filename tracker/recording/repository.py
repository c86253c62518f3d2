"""The histories of runs: looks at runs go in, events come out, each recorded once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import NamedTuple

from tracker.core.decider import fold
from tracker.core.events import (
    ConfigurationRecorded,
    Event,
    configuration_stream,
)
from tracker.core.state import RunState, initial_state
from tracker.errors import ConcurrencyError, PayloadError, RunfoldError, StoreUnavailable
from tracker.event_store.recorder_store import split_into_transactions
from tracker.event_store.store import Append, EventStore, RecordedEvent
from tracker.recording.observation import Decide, Observation, RecordResult
from tracker.recording.pending_runs import Pending, PendingRuns

_ATTEMPTS = 20


class _Head(NamedTuple):
    version: int
    state: RunState


@dataclass(slots=True)
class _Change:
    """What looks make of one stream: its head before and after, and the events between."""

    stream: str
    before: _Head
    after: _Head
    looks: list[tuple[int, Observation]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class RunRepository:
    """Decides what looks mean and appends it, against an expected version.

    Synchronous and safe for threads. The states of the runs looked at last are kept in memory,
    `capacity` of them; they are only a copy, and a conflict reads the stream again. `appended`
    is told of a run's new state and events once they are durable, in the thread that recorded, and
    `looked` of all looks before; one thread at a time.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        capacity: int = 200_000,
        appended: Callable[[RunState, Sequence[Event]], None] = lambda state, events: None,
        looked: Callable[[Sequence[Observation]], None] = lambda looks: None,
    ) -> None:
        self._store, self._capacity = store, capacity
        self._appended, self._looked = appended, looked
        self._heads: OrderedDict[str, _Head] = OrderedDict()
        self._ends_of_waits: OrderedDict[str, Decide] = OrderedDict()
        self._configurations: set[str] = set()
        self._lock = Lock()
        self._is_closed = False

    def record(self, looks: Sequence[Observation]) -> list[RecordResult | RunfoldError]:
        """Records what `looks` show, in few transactions: a commit for up to 250 events.

        Gives what came of each, in order. An entry is an error where that look alone could not
        be recorded: a text that no database takes, or other writers that would not let it in.
        Raises StoreUnavailable where the database fails; then looks may or may not be recorded,
        and looking again settles it.
        """
        results: list[RecordResult | RunfoldError] = [RecordResult(initial_state, ())] * len(looks)
        with self._open():
            self._looked(looks)
            changes = self._decide(list(enumerate(looks)), results)
            for part in split_into_transactions(self._appends(changes.values())):
                try:
                    self._append(part, changes)
                except (ConcurrencyError, PayloadError):
                    for entry in part:
                        if entry.stream in changes:
                            self._record_alone(changes[entry.stream].looks, results)
        return results

    def state(self, stream: str) -> RunState:
        """What is known of a run; `initial_state` where nothing is."""
        with self._open():
            head = self._heads_of([stream])[stream]
            self._remember(stream, head)
            return head.state

    def read(self, stream: str) -> list[RecordedEvent]:
        """The whole history of a run, oldest first."""
        return self._store.read(stream)

    def read_many(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        """The whole histories of several runs, by stream."""
        with self._open():
            return self._store.read_many(streams)

    def left(self, since: datetime) -> Pending:
        """What is still to be done of all runs, by reading the whole store once.

        Runs that ended before `since` are taken to be done with.
        """
        unfinished, position = PendingRuns(lambda source: since), 0
        while page := self._page(position):
            position = page[-1].position
            for entry in page:
                unfinished.take(entry)
        return unfinished.left

    def outdate(self, page: Sequence[RecordedEvent]) -> tuple[set[int], set[int]]:
        """Voids heads that others outdated: where their events are, and those gone beyond here."""
        news, passed = set(), set()
        with self._open():
            for entry in page:
                head = self._heads.get(entry.stream)
                if head is None or head.version < entry.version:
                    self._heads.pop(entry.stream, None)
                    news.add(entry.position)
                elif head.version > entry.version:
                    passed.add(entry.position)
        return news, passed

    def close(self) -> None:
        """Waits for whoever uses the store at this moment, and lets nobody begin; it stays open.

        A database must not be closed under a thread that still uses it, and a thread goes
        on when the task that waited for it is cancelled.
        """
        with self._lock:
            self._is_closed = True

    @contextmanager
    def _open(self) -> Iterator[None]:
        with self._lock:
            if self._is_closed:
                raise StoreUnavailable("the histories are closed: nothing more is recorded here")
            yield

    def _page(self, position: int) -> list[RecordedEvent]:
        with self._open():
            return self._store.read_all(position, 5000)

    def _decide(
        self, looks: list[tuple[int, Observation]], results: list[RecordResult | RunfoldError]
    ) -> dict[str, _Change]:
        changes: dict[str, _Change] = {}
        heads = self._heads_of([entry.stream for _, entry in looks])
        for index, entry in looks:
            change = changes.get(entry.stream)
            if change is None:
                head = heads[entry.stream]
                change = changes[entry.stream] = _Change(entry.stream, head, head)
            version, state = change.after
            events = self._events(entry, state)
            change.after = _Head(version + len(events), fold(events, state))
            change.looks.append((index, entry))
            change.events.extend(events)
            results[index] = RecordResult(change.after.state, events)
        return changes

    def _events(self, entry: Observation, state: RunState) -> list[Event]:
        events = entry.decide(state)
        if entry.resolves_action:
            self._ends_of_waits[entry.stream] = entry.decide
            if len(self._ends_of_waits) > self._capacity:
                self._ends_of_waits.popitem(last=False)
        elif entry.stream in self._ends_of_waits and (after := fold(events, state)).needs_action:
            events = [*events, *self._ends_of_waits[entry.stream](after)]
        return events

    def _record_alone(
        self, looks: list[tuple[int, Observation]], results: list[RecordResult | RunfoldError]
    ) -> None:
        """One run by itself: reads its stream again and decides again until it goes in."""
        stream = looks[0][1].stream
        error: RunfoldError | None = None
        for _ in range(_ATTEMPTS):
            self._heads.pop(stream, None)
            changes = self._decide(looks, results)
            try:
                self._append(list(self._appends(changes.values())), changes)
            except PayloadError as refused:
                error = refused
                break
            except ConcurrencyError as conflict:
                error = conflict
            else:
                return
        if len(looks) > 1:
            # One of them may be what cannot be written: the others go in without it.
            for alone in looks:
                self._record_alone([alone], results)
        elif error is not None:
            results[looks[0][0]] = error

    def _appends(self, changes: Iterable[_Change]) -> Iterator[Append]:
        for change in changes:
            if change.before.version == 0 and change.events:
                yield from self._configuration(change)
            if change.events:
                yield Append(change.stream, change.before.version, change.events)
            else:
                self._remember(change.stream, change.after)

    def _configuration(self, change: _Change) -> Iterator[Append]:
        configuration = change.looks[0][1].configuration
        digest = change.after.state.configuration_digest
        if configuration is None or digest is None or digest in self._configurations:
            return
        self._configurations.add(digest)
        stream = configuration_stream(digest)
        if not self._store.read(stream):
            recorded = ConfigurationRecorded(
                observed_at=change.events[0].observed_at,
                digest=digest,
                configuration=configuration,
            )
            yield Append(stream, 0, [recorded])

    def _append(self, part: list[Append], changes: dict[str, _Change]) -> None:
        try:
            self._store.append(part)
        except BaseException:
            # Whether it was stored is not known, or not all of it: what is in memory is void.
            for entry in part:
                self._heads.pop(entry.stream, None)
            self._configurations.clear()
            raise
        for entry in part:
            if entry.stream in changes:
                self._remember(entry.stream, changes[entry.stream].after)
                self._appended(changes[entry.stream].after.state, entry.events)

    def _heads_of(self, streams: Iterable[str]) -> dict[str, _Head]:
        """The heads of streams; those that are not in memory are read at once."""
        heads = {stream: self._heads.get(stream) for stream in streams}
        unknown = [stream for stream, head in heads.items() if head is None]
        found = self._store.read_many(unknown) if unknown else {}
        for stream, recorded in found.items():
            version = recorded[-1].version if recorded else 0
            heads[stream] = _Head(version, fold(entry.event for entry in recorded))
        return {stream: head for stream, head in heads.items() if head is not None}

    def _remember(self, stream: str, head: _Head) -> None:
        if head.version:
            self._heads[stream] = head
            self._heads.move_to_end(stream)
            if len(self._heads) > self._capacity:
                self._heads.popitem(last=False)
