"""The repository of runs: loads a run's state, decides, and appends the events."""

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

# Steps that are kept for a run which nobody has observed yet, and the runs that have any.
_EARLY_DECISIONS, _EARLY_STREAMS = 1000, 10_000
_MAX_CONFLICTS = 20
_EVENTS_PER_PAGE = 5000


class _Head(NamedTuple):
    version: int
    state: RunState


@dataclass(slots=True)
class _Change:
    """The change of one stream: its head before and after, and the events between."""

    stream: str
    before: _Head
    after: _Head
    # The observations with their places in the batch.
    observations: list[tuple[int, Observation]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class RunRepository:
    """Decides on observations, and appends the events against an expected version.

    Synchronous and safe for threads. The states of the runs used last are kept in memory,
    `capacity` of them; they are only a copy, and a conflict reads the stream again. `on_observed`
    is called with each batch before it is recorded, and `on_appended` with a run's new state and
    events once they are durable, both in the thread that records, one thread at a time.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        capacity: int = 200_000,
        on_appended: Callable[[RunState, Sequence[Event]], None] = lambda state, events: None,
        on_observed: Callable[[Sequence[Observation]], None] = lambda observations: None,
    ) -> None:
        self._store, self._capacity = store, capacity
        self._on_appended, self._on_observed = on_appended, on_observed
        self._heads: OrderedDict[str, _Head] = OrderedDict()
        # Decisions that ended a wait for an action which was perhaps not observed yet.
        self._resolutions: OrderedDict[str, Decide] = OrderedDict()
        # Decisions about runs that were not observed yet, by stream.
        self._early: OrderedDict[str, list[Decide]] = OrderedDict()
        self._configurations: set[str] = set()
        self._lock = Lock()
        self._is_closed = False

    def record(self, observations: Sequence[Observation]) -> list[RecordResult | RunfoldError]:
        """Records observations in few transactions: a commit for up to 250 events.

        Returns their results, in order. A result is an error if that observation alone could not
        be recorded: it has a text that no database accepts, or too many conflicts with other
        writers. Raises StoreUnavailable if the database fails; then observations may or may not
        be recorded, and observing again settles it.
        """
        results: list[RecordResult | RunfoldError] = [
            RecordResult(observation.stream, initial_state, ()) for observation in observations
        ]
        with self._open():
            self._on_observed(observations)
            changes = self._decide(list(enumerate(observations)), results)
            for part in split_into_transactions(self._appends(changes.values())):
                try:
                    self._append(part, changes)
                except (ConcurrencyError, PayloadError):
                    for entry in part:
                        if entry.stream in changes:
                            self._record_alone(changes[entry.stream].observations, results)
        return results

    def state(self, stream: str) -> RunState:
        """Returns the state of a run; `initial_state` if nothing is recorded."""
        with self._open():
            head = self._heads_of([stream])[stream]
            self._remember(stream, head)
            return head.state

    def read(self, stream: str) -> list[RecordedEvent]:
        """Returns the whole history of a run, oldest first."""
        return self._store.read(stream)

    def read_many(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        """Returns the whole histories of several runs, by stream."""
        with self._open():
            return self._store.read_many(streams)

    def pending_runs(self, since: datetime) -> Pending:
        """Returns the pending runs, by reading the whole store once.

        Runs that ended before `since` are left out.
        """
        runs, position = PendingRuns(lambda source: since), 0
        while page := self._read_page(position):
            position = page[-1].position
            for entry in page:
                runs.apply(entry)
        return runs.pending

    def invalidate(self, page: Sequence[RecordedEvent]) -> tuple[set[int], set[int]]:
        """Drops cached states that other processes have advanced.

        Returns the positions of events that are new here, and of those that this process has
        already passed.
        """
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
        """Waits for the thread that uses the store now, and refuses others; the store stays open.

        A database must not be closed under a thread that still uses it, and a thread continues
        when the task that waited for it is cancelled.
        """
        with self._lock:
            self._is_closed = True

    @contextmanager
    def _open(self) -> Iterator[None]:
        with self._lock:
            if self._is_closed:
                raise StoreUnavailable("the repository is closed: nothing more is recorded here")
            yield

    def _read_page(self, position: int) -> list[RecordedEvent]:
        with self._open():
            return self._store.read_all(position, _EVENTS_PER_PAGE)

    def _decide(
        self,
        observations: list[tuple[int, Observation]],
        results: list[RecordResult | RunfoldError],
    ) -> dict[str, _Change]:
        changes: dict[str, _Change] = {}
        heads = self._heads_of([observation.stream for _, observation in observations])
        for index, observation in observations:
            stream = observation.stream
            change = changes.get(stream)
            if change is None:
                change = changes[stream] = _Change(stream, heads[stream], heads[stream])
            version, state = change.after
            events = self._events(observation, state)
            change.after = _Head(version + len(events), fold(events, state))
            change.observations.append((index, observation))
            change.events.extend(events)
            results[index] = RecordResult(stream, change.after.state, events)
        return changes

    def _events(self, observation: Observation, state: RunState) -> list[Event]:
        stream, events = observation.stream, observation.decide(state)
        if observation.awaits_run and state.status is None:
            self._keep_early(stream, observation.decide)
        elif stream in self._early:
            for decide in self._early[stream]:
                events = [*events, *decide(fold(events, state))]
        if observation.resolves_action:
            self._resolutions[stream] = observation.decide
            if len(self._resolutions) > self._capacity:
                self._resolutions.popitem(last=False)
        elif stream in self._resolutions and (after := fold(events, state)).needs_action:
            events = [*events, *self._resolutions[stream](after)]
        return events

    def _keep_early(self, stream: str, decide: Decide) -> None:
        decisions = self._early.setdefault(stream, [])
        if len(decisions) < _EARLY_DECISIONS:
            decisions.append(decide)
        if len(self._early) > min(self._capacity, _EARLY_STREAMS):
            self._early.popitem(last=False)

    def _record_alone(
        self,
        observations: list[tuple[int, Observation]],
        results: list[RecordResult | RunfoldError],
    ) -> None:
        """Records one run by itself: loads and decides again until there is no conflict."""
        stream = observations[0][1].stream
        error: RunfoldError | None = None
        for _ in range(_MAX_CONFLICTS):
            self._heads.pop(stream, None)
            changes = self._decide(observations, results)
            try:
                self._append(list(self._appends(changes.values())), changes)
            except PayloadError as refused:
                error = refused
                break
            except ConcurrencyError as conflict:
                error = conflict
            else:
                return
        if len(observations) > 1:
            # Only one of them may be impossible to write: the others are recorded without it.
            for alone in observations:
                self._record_alone([alone], results)
        elif error is not None:
            results[observations[0][0]] = error

    def _appends(self, changes: Iterable[_Change]) -> Iterator[Append]:
        for change in changes:
            if change.before.version == 0 and change.events:
                yield from self._configuration(change)
            if change.events:
                yield Append(change.stream, change.before.version, change.events)
            else:
                self._remember(change.stream, change.after)

    def _configuration(self, change: _Change) -> Iterator[Append]:
        configuration = change.observations[0][1].configuration
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
            # All of it, a part or nothing may be stored: the cached states are invalid.
            for entry in part:
                self._heads.pop(entry.stream, None)
            self._configurations.clear()
            raise
        for entry in part:
            if entry.stream in changes:
                self._early.pop(entry.stream, None)
                self._remember(entry.stream, changes[entry.stream].after)
                self._on_appended(changes[entry.stream].after.state, entry.events)

    def _heads_of(self, streams: Iterable[str]) -> dict[str, _Head]:
        """Returns the heads of streams; reads those that are not cached, all at once."""
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
