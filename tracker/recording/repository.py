"""The repository of runs: loads a run's state, decides, and appends the events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Lock

from tracker.core.decider import fold
from tracker.core.events import (
    ConfigurationRecorded,
    Event,
    Unreadable,
    configuration_stream,
)
from tracker.core.recent_dict import RecentDict
from tracker.core.state import RunState, initial_state
from tracker.errors import (
    ConcurrencyError,
    PayloadError,
    RunfoldError,
    StoreUnavailable,
    UnreadableEvent,
)
from tracker.event_store.recorder_store import split_into_transactions
from tracker.event_store.store import Append, EventStore, RecordedEvent
from tracker.recording.batch import Batch, Change
from tracker.recording.head_cache import Head, HeadCache
from tracker.recording.observation import Decide, Observation, RecordResult
from tracker.recording.pending_reader import Since, read_pending
from tracker.recording.pending_runs import PendingRuns

logger = logging.getLogger("runfold")

# Steps that are kept for a run which nobody has observed yet, and the runs that have any.
_EARLY_DECISIONS, _EARLY_STREAMS = 1000, 10_000
_MAX_CONFLICTS = 20
_OPEN_RUNS, _ENDED_RUNS = 200_000, 2_000
_CONFIGURATIONS = 10_000
# Waits that another run ended before they were observed: for seconds, as long as polls may lag.
_RESOLUTIONS = 10_000


class RunRepository:
    """Decides on observations, and appends the events against an expected version.

    Synchronous and safe for threads. The states of the runs used last are kept in memory, of
    `open_runs` and of `ended_runs`, and no document that was observed; they are only a copy, and a
    conflict reads the stream again. `on_observed`
    is called with each batch before it is recorded, and `on_appended` with a run's new state and
    events once they are durable, both in the thread that records, one thread at a time.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        open_runs: int = _OPEN_RUNS,
        ended_runs: int = _ENDED_RUNS,
        on_appended: Callable[[RunState, Sequence[Event]], None] = lambda state, events: None,
        on_observed: Callable[[Sequence[Observation]], None] = lambda observations: None,
    ) -> None:
        self._store = store
        self._on_appended, self._on_observed = on_appended, on_observed
        self._heads = HeadCache(open_runs, ended_runs)
        # Decisions that ended a wait for an action which was not observed yet.
        self._resolutions: RecentDict[str, Decide] = RecentDict(_RESOLUTIONS)
        # The digests of configurations that are recorded.
        self._configurations: RecentDict[str, bool] = RecentDict(_CONFIGURATIONS)
        # Decisions about runs that were not observed yet, by stream.
        self._early: RecentDict[str, list[Decide]] = RecentDict(_EARLY_STREAMS)
        self._lock = Lock()
        self._is_closed = False

    @property
    def store(self) -> EventStore:
        """The event store of the runs."""
        return self._store

    def record(self, observations: Sequence[Observation]) -> list[RecordResult | RunfoldError]:
        """Records observations in few transactions: a commit for up to 250 events.

        Returns their results, in order. A result is an error if that observation alone could not
        be recorded: the history of its run cannot be read (UnreadableEvent), it cannot be decided
        or has a value that no database accepts (PayloadError), or there are too many conflicts
        with other writers. Raises StoreUnavailable if the database fails; then observations may
        or may not be recorded, and observing again settles it.
        """
        batch = Batch(observations)
        self.record_batch(batch)
        return [it for it in batch.results if isinstance(it, RecordResult | RunfoldError)]

    def record_batch(self, batch: Batch) -> None:
        """Records the observations of a batch that have no result yet, as `record` does.

        Raises StoreUnavailable if the database fails. Called again with the same batch, it records
        the rest, and knows what the failed call had recorded.
        """
        with self._open():
            self._confirm(batch)
            changes = self._decide(batch.waiting, batch)
            try:
                for part in split_into_transactions(self._appends(changes.values(), batch)):
                    try:
                        self._append(part, changes, batch)
                    except (ConcurrencyError, PayloadError):
                        for entry in part:
                            if entry.stream in changes:
                                self._record_alone(changes[entry.stream].observations, batch)
            except BaseException:
                # Those of this call may not be recorded.
                self._configurations.clear()
                raise
            self._on_observed(batch.observations)

    def state(self, stream: str) -> RunState:
        """Returns the state of a run; `initial_state` if nothing is recorded.

        Raises UnreadableEvent where its history cannot be read.
        """
        with self._open():
            head = self._heads_of([stream])[stream]
            if isinstance(head, RunfoldError):
                raise head
            self._remember(stream, head)
            return head.state

    def states(self, streams: Iterable[str]) -> dict[str, RunState]:
        """Returns the states of runs, without those whose history cannot be read."""
        with self._open():
            heads = self._heads_of(streams)
            found = {stream: it for stream, it in heads.items() if isinstance(it, Head)}
            for stream, head in found.items():
                self._remember(stream, head)
        return {stream: head.state for stream, head in found.items()}

    def readable_states(self, streams: Iterable[str]) -> dict[str, RunState]:
        """Returns the states of runs, each before its first event that cannot be read."""
        streams = list(streams)
        found = self.states(streams)
        return {it: found[it] if it in found else self._read_part(it) for it in streams}

    def _read_part(self, stream: str) -> RunState:
        state = initial_state
        for entry in self.read(stream):
            try:
                state = fold([entry.event], state)
            except Exception:
                break
        return state

    def read(self, stream: str) -> list[RecordedEvent]:
        """Returns the whole history of a run, oldest first."""
        return self._store.read(stream)

    def read_many(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        """Returns the whole histories of several runs, by stream."""
        with self._open():
            return self._store.read_many(streams)

    def pending_runs(self, since: Since, now: datetime) -> tuple[PendingRuns, int]:
        """Returns the pending runs, and the position up to which they are known.

        `since` is that of `PendingRuns`; runs that ended more than a day before `now` are left out.
        """
        return read_pending(self._store, since, now, self._open)

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
                    self._heads.pop(entry.stream)
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

    def _confirm(self, batch: Batch) -> None:
        """Finds out which changes of a call that failed were recorded, and takes their results."""
        changes = batch.unconfirmed
        for stream, recorded in self._read_unknown(list(changes)).items():
            change = changes[stream]
            version, end = change.before.version, change.after.version
            if not isinstance(recorded, RunfoldError) and change.events == [
                entry.event for entry in recorded if version < entry.version <= end
            ]:
                batch.accept(change)
                self._on_appended(change.after.state, change.events)
        batch.unconfirmed = {}

    def _decide(
        self, observations: list[tuple[int, Observation]], batch: Batch
    ) -> dict[str, Change]:
        changes: dict[str, Change] = {}
        heads = self._heads_of([observation.stream for _, observation in observations])
        for index, observation in observations:
            stream = observation.stream
            head = heads[stream]
            if isinstance(head, RunfoldError):
                batch.results[index] = head
                continue
            change = changes.get(stream) or Change(stream, head, head)
            version, state = change.after
            try:
                events = self._events(observation, state)
                after = fold(events, state)
            except Exception as error:
                # Whatever is wrong with one look, the others of the batch are recorded.
                logger.warning("%s: cannot decide on a look", stream, exc_info=error)
                batch.results[index] = PayloadError(
                    f"{stream}: cannot be recorded: {type(error).__name__}: {error}"
                )
                continue
            changes[stream] = change
            change.after = Head(version + len(events), after)
            change.observations.append((index, observation))
            change.events.extend(events)
            is_overtaken = observation.known not in (None, state.version)
            result = RecordResult(stream, after, events, is_overtaken)
            change.results.append((index, result))
        return changes

    def _events(self, observation: Observation, state: RunState) -> list[Event]:
        stream, events = observation.stream, observation.decide(state)
        if observation.awaits_run and state.status is None:
            self._keep_early(stream, observation.decide)
        else:
            for decide in self._early.get(stream) or ():
                events = [*events, *decide(fold(events, state))]
        if observation.resolves_action:
            # Of a run that has ended, no wait is to come.
            if not fold(events, state).is_ended:
                self._resolutions.put(stream, observation.decide)
        elif (resolve := self._resolutions.get(stream)) is not None:
            after = fold(events, state)
            if after.needs_action:
                events = [*events, *resolve(after)]
        return events

    def _keep_early(self, stream: str, decide: Decide) -> None:
        decisions = self._early.get(stream) or []
        if len(decisions) < _EARLY_DECISIONS:
            decisions.append(decide)
        self._early.put(stream, decisions)

    def _record_alone(
        self,
        observations: list[tuple[int, Observation]],
        batch: Batch,
    ) -> None:
        """Records one run by itself: loads and decides again until there is no conflict."""
        stream = observations[0][1].stream
        error: RunfoldError | None = None
        for _ in range(_MAX_CONFLICTS):
            self._heads.pop(stream)
            changes = self._decide(observations, batch)
            try:
                self._append(list(self._appends(changes.values(), batch)), changes, batch)
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
                self._record_alone([alone], batch)
        elif error is not None:
            batch.results[observations[0][0]] = error

    def _appends(self, changes: Iterable[Change], batch: Batch) -> Iterator[Append]:
        for change in changes:
            digest = change.after.state.configuration_digest
            if digest is not None and digest != change.before.state.configuration_digest:
                yield from self._configuration(change, digest)
            if change.events:
                yield Append(change.stream, change.before.version, change.events)
            else:
                batch.accept(change)
                self._remember(change.stream, change.after)

    def _configuration(self, change: Change, digest: str) -> Iterator[Append]:
        if self._configurations.get(digest):
            return
        told = (observation.configuration for _, observation in change.observations)
        configuration = next((it for it in told if it is not None and it.digest == digest), None)
        if configuration is None:
            return
        stream = configuration_stream(digest)
        is_new = not self._store.read(stream)
        self._configurations.put(digest, True)
        if is_new:
            recorded = ConfigurationRecorded(
                observed_at=change.events[0].observed_at,
                digest=digest,
                configuration=configuration,
            )
            yield Append(stream, 0, [recorded])

    def _append(self, part: list[Append], changes: dict[str, Change], batch: Batch) -> None:
        written = [changes[entry.stream] for entry in part if entry.stream in changes]
        try:
            self._store.append(part)
        except BaseException as error:
            # All of it, a part or nothing may be stored: the cached states are invalid.
            for entry in part:
                self._heads.pop(entry.stream)
            self._configurations.clear()
            if isinstance(error, StoreUnavailable):
                batch.unconfirmed = {change.stream: change for change in written}
            raise
        for change in written:
            batch.accept(change)
            self._early.pop(change.stream)
            self._remember(change.stream, change.after)
            self._on_appended(change.after.state, change.events)

    def _heads_of(self, streams: Iterable[str]) -> dict[str, Head | RunfoldError]:
        """Returns the heads of streams; reads those that are not cached, all at once.

        A stream that cannot be read has the error in place of its head.
        """
        heads: dict[str, Head | RunfoldError] = {}
        unknown = []
        for stream in dict.fromkeys(streams):
            if head := self._heads.get(stream):
                heads[stream] = head
            else:
                unknown.append(stream)
        for stream, recorded in self._read_unknown(unknown).items():
            heads[stream] = _head_of(stream, recorded)
        return heads

    def _read_unknown(self, streams: list[str]) -> dict[str, list[RecordedEvent] | RunfoldError]:
        found: dict[str, list[RecordedEvent] | RunfoldError] = {}
        try:
            found |= self._store.read_many(streams) if streams else {}
        except PayloadError as error:
            # The database refuses one of the names: the others are read without it.
            if len(streams) == 1:
                return {streams[0]: error}
            for stream in streams:
                found |= self._read_unknown([stream])
        return found

    def _remember(self, stream: str, head: Head) -> None:
        if head.version:
            self._heads.put(stream, head)


def _head_of(stream: str, recorded: list[RecordedEvent] | RunfoldError) -> Head | RunfoldError:
    if isinstance(recorded, RunfoldError):
        return recorded
    state = initial_state
    for entry in recorded:
        try:
            state = fold([entry.event], state)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            if isinstance(entry.event, Unreadable):
                reason = entry.event.reason
            return UnreadableEvent(
                f"{stream}: nothing is recorded of it, since its version {entry.version} (position "
                f"{entry.position}) cannot be read: {reason}; to start it again, run "
                f"`runfold forget --run {stream}`"
            )
    return Head(recorded[-1].version if recorded else 0, state)
