"""The watched runs, by stream and by source, and the time of the next poll of each."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil, floor, inf
from types import MappingProxyType
from typing import Any

from tracker.core.events import Change, Event, run_stream
from tracker.core.state import UNKNOWN_VERSION, RunState, initial_state
from tracker.errors import RateLimited, RunfoldError
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.policy import rate_limiter
from tracker.polling.policy.cadence import Cadence
from tracker.polling.policy.hazards import HazardModels
from tracker.polling.policy.pace import Pace, known_limit
from tracker.polling.queues.background_requests import SecondLook
from tracker.polling.request_limiter import RequestLimiter
from tracker.polling.watched_run import WatchedRun
from tracker.runtime.clock import Clock
from tracker.sources.answer import Answer, requests_left
from tracker.sources.source import Source

# The first poll of a run that an answer has just shown.
FIRST_POLL_SECONDS = 0.2
# A Date header has whole seconds, cut off: half a second early on average.
_DATE_SECONDS = 0.5
# Wall and monotonic time that move apart by more than this do so because the clock was set.
_CLOCK_SET_SECONDS = 0.05
# A smaller difference between two clocks is ignored.
_SAME_CLOCK_SECONDS = 2.0

# A run that was set aside is looked at again after so long, then each hour, for a day past its
# expiry.
SECOND_LOOK_SECONDS = (60.0, 600.0, 3600.0)
LOOKED_AT_FOR = timedelta(days=1)
# Threads whose owner is looked up, to know the part of all threads that is polled here.
_SAMPLE_THREADS = 1_000

# True if this tracker polls the runs of a thread, by the name of the source and the thread's id.
Owns = Callable[[str, str], bool]


class WatchList:
    """The watched runs: those that this tracker polls, and those that others do.

    `ceiling` is the maximum rate of each source, in requests a second. `jitter` returns numbers
    from 0 to 1. `paces` are those of the sources that were polled before, by name.
    """

    def __init__(
        self,
        clock: Clock,
        cadence: Cadence | None = None,
        ceiling: float | None = None,
        jitter: Callable[[], float] = random.random,
        paces: Mapping[str, Pace] = MappingProxyType({}),
    ) -> None:
        self._clock = clock
        self._cadence = cadence or Cadence()
        self._ceiling = ceiling
        self._jitter = jitter
        self._paces = paces
        self._ours: dict[str, WatchedRun] = {}
        self._elsewhere: dict[str, WatchedRun] = {}
        self._unconfirmed: set[str] = set()
        self._owns: Owns = lambda source, thread_id: True
        self._workers = 1
        self._shares: dict[str, float] = {}
        self._dispatchers: dict[str, SourceDispatcher] = {}

    @property
    def dispatchers(self) -> list[SourceDispatcher]:
        """The dispatchers of all sources so far."""
        return list(self._dispatchers.values())

    @property
    def runs(self) -> list[WatchedRun]:
        """The watched runs, those that other trackers poll included."""
        return [*self._ours.values(), *self._elsewhere.values()]

    def find(self, stream: str) -> WatchedRun | None:
        """Returns the watched run of a stream, if it is watched."""
        return self._ours.get(stream) or self._elsewhere.get(stream)

    def known_version(self, stream: str) -> int:
        """Returns the version at which a run is known here; UNKNOWN_VERSION if it is not watched.

        Safe from any thread.
        """
        watched = self.find(stream)
        return UNKNOWN_VERSION if watched is None else watched.state.version

    def dispatcher(self, source: Source) -> SourceDispatcher:
        """Returns the dispatcher of a source."""
        dispatcher = self._dispatchers.get(source.name)
        if dispatcher is None:
            pace, start = self._paces.get(source.name, Pace(0.0)), self._cadence.start
            limit = known_limit(pace, start, self._ceiling)
            limit = rate_limiter.divided(limit, self._rate_share(source.name))
            models = HazardModels.of_document(pace.hazards, self._clock.monotonic())
            dispatcher = SourceDispatcher(
                self._cadence, RequestLimiter(limit), hazard_models=models
            )
            self._dispatchers[source.name] = dispatcher
        return dispatcher

    def paces(self) -> dict[str, Pace]:
        """Returns the pace of each source that has answered, to begin with at the next start."""
        return {
            name: Pace(
                limit.rate / self._rate_share(name),
                limit.refused_rate and limit.refused_rate / self._rate_share(name),
                dispatcher.hazard_models.to_document(),
            )
            for name, dispatcher in self._dispatchers.items()
            if dispatcher.limiter.answered_at is not None
            for limit in [dispatcher.limiter.limit]
        }

    def owns(self, source: Source, state: RunState) -> bool:
        """True if this tracker polls the runs of the thread that a run is on."""
        return self._owns(source.name, state.division_key)

    def set_ownership(self, owns: Owns, workers: int = 1) -> None:
        """Polls only the runs that `owns` is true for, from now on.

        The states of the others come from the trackers that poll them. A run whose state is not
        known is polled here, since no other tracker knows of it. The rate of each source, and its
        ceiling, is divided as the threads are, or among the `workers` while none is owned here.
        """
        self._owns, self._workers = owns, workers
        self._shares.clear()
        for name, dispatcher in self._dispatchers.items():
            limiter = dispatcher.limiter
            limiter.limit = rate_limiter.divided(limiter.limit, self._rate_share(name))
        for watched in self.runs:
            self._move_to_owner(watched)

    def _rate_share(self, name: str) -> float:
        """Returns the part of the threads of a source that are polled here, by a sample."""
        share = self._shares.get(name)
        if share is None:
            owned = sum(self._owns(name, f"thread_{number}") for number in range(_SAMPLE_THREADS))
            # One that polls none yet may have runs that nobody has seen.
            share = self._shares[name] = owned / _SAMPLE_THREADS or 1.0 / self._workers
        return share

    def take_unconfirmed(self) -> list[str]:
        """Removes and returns the streams of runs that others poll whose state may be an old one.

        A state that was recorded here becomes known a moment later, and others may have recorded
        newer ones by then, whose events are already followed.
        """
        taken = [stream for stream in self._unconfirmed if stream in self._elsewhere]
        self._unconfirmed.clear()
        return taken

    def mark_unconfirmed(self, streams: Iterable[str]) -> None:
        """Returns streams to `take_unconfirmed`."""
        self._unconfirmed.update(streams)

    def watch(
        self,
        source: Source,
        thread_id: str | None,
        run_id: str,
        *,
        state: RunState = initial_state,
        after: float = 0.0,
    ) -> WatchedRun:
        """Watches a run from `after` seconds on; a run that is watched already stays as it is."""
        stream = run_stream(source.name, run_id)
        if (known := self.find(stream)) is not None:
            return known
        second_looks = self.dispatcher(source).second_looks
        held_until = -inf
        if (set_aside := second_looks.find(run_id)) is not None:
            second_looks.remove(set_aside)
            held_until = set_aside.held_until
        # A payload may name an empty thread, or that of another run with this id.
        thread_id = state.thread_id or thread_id or None
        watched = WatchedRun(source, thread_id, run_id, stream, state, held_until=held_until)
        watched.wall_offset = self._wall_offset()
        self.add(watched, after)
        return watched

    def add(self, watched: WatchedRun, after: float) -> None:
        """Adds a run, to be polled first after so many seconds, or when the rate allows it."""
        if self._is_elsewhere(watched):
            self._elsewhere[watched.stream] = watched
            self._unconfirmed.add(watched.stream)
        else:
            self._add_ours(watched, after)

    def remove(self, watched: WatchedRun) -> None:
        """Removes a run."""
        if watched.is_ours:
            watched.is_ours = False
            del self._ours[watched.stream]
            self.dispatcher(watched.source).remove(watched)
        else:
            self._elsewhere.pop(watched.stream, None)

    def set_aside(self, watched: WatchedRun, error: RunfoldError) -> None:
        """Stops watching a run but for a look after 1, 10 and 60 minutes, then each hour."""
        self.remove(watched)
        self.look_again(watched.source, watched.thread_id, watched.run_id, watched.state, error)

    @property
    def set_aside_errors(self) -> dict[str, RunfoldError]:
        """The errors of the runs that are set aside, by their ids."""
        queues = [dispatcher.second_looks for dispatcher in self.dispatchers]
        return {request.key: request.error for queue in queues for request in queue.requests}

    def look_again(
        self,
        source: Source,
        thread_id: str | None,
        run_id: str,
        state: RunState,
        error: RunfoldError,
    ) -> None:
        """Queues the looks at a run that is not watched because of an error."""
        now, lasts = self._clock.monotonic(), LOOKED_AT_FOR
        if state.expires_at is not None:
            lasts += max(state.expires_at - self.service_time(source), timedelta())
        request = SecondLook(
            source=source,
            key=run_id,
            thread_id=thread_id,
            error=error,
            is_recorded=state.status is not None,
            until=now + lasts.total_seconds(),
        )
        queue = self.dispatcher(source).second_looks
        if queue.find(run_id) is None:
            queue.add(request, now + SECOND_LOOK_SECONDS[0])

    def clear(self) -> None:
        """Removes all runs."""
        for watched in self._ours.values():
            watched.is_ours = False
        self._ours.clear()
        self._elsewhere.clear()

    def service_time(self, source: Source) -> datetime:
        """Returns the time by the clock of a service, as far as its answers show it."""
        now, ahead = self._clock.now(), self.seconds_ahead(source.name)
        try:
            return now + timedelta(seconds=ahead) if ahead else now
        except OverflowError:
            # A clock at the end of the year 9999.
            return now

    def seconds_ahead(self, name: str) -> float:
        """Returns the seconds by which the clock of a source is ahead of ours; safe from threads.

        By the stamps of its runs, or else by the headers of its answers.
        """
        dispatcher = self._dispatchers.get(name)
        if dispatcher is None:
            return 0.0
        bounds = dispatcher.clock_offset.bounds(self._clock.monotonic())
        return dispatcher.clock_ahead if bounds is None else sum(bounds) / 2

    def check_clock(self, watched: WatchedRun) -> bool:
        """Returns True if our clock was set since the last call for a run, and notes it there.

        It is told by comparing wall and monotonic time. Times by the clock as it was before say
        nothing any more.
        """
        offset, before = self._wall_offset(), watched.wall_offset
        watched.wall_offset = offset
        if before is None or abs(offset - before) <= _CLOCK_SET_SECONDS:
            return False
        watched.clock_was_set, watched.unchanged_until, watched.stale_read = True, None, None
        for dispatcher in self._dispatchers.values():
            dispatcher.clock_offset.forget()
        return True

    def describe_clocks(self, watched: WatchedRun | None, source: Source) -> dict[str, Any]:
        """Returns the fields of a snapshot that tell of the clocks."""
        fields: dict[str, Any] = {}
        if watched is not None and watched.clock_was_set:
            fields["clock_was_set"] = True
        bounds = self.dispatcher(source).clock_offset.bounds(self._clock.monotonic())
        if bounds is not None:
            # Outwards, to whole microseconds.
            fields["ahead"] = (floor(bounds[0] * 1e6), ceil(bounds[1] * 1e6))
        return fields

    def apply_events(
        self, watched: WatchedRun | None, source: Source, events: Sequence[Event]
    ) -> None:
        """Applies the events of a look that are recorded: what they tell of the clocks."""
        if events:
            self.dispatcher(source).clock_offset.add(events, self._clock.monotonic())
        if watched is not None and watched.clock_was_set:
            watched.clock_was_set = not any(isinstance(it, Change) for it in events)

    def _wall_offset(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()

    def apply_rate_headers(
        self,
        dispatcher: SourceDispatcher,
        answer: Answer,
        subject: str,
        seconds: float | None = None,
    ) -> None:
        """Applies that a source answered, and the headers about its rate limit and its clock.

        `subject` names the run or the request that was answered, as its refusals are counted.
        `seconds`, how long it took, shows whether answers slow down: None for another request than
        that of a single run, since they take their own time.
        """
        now, limiter = self._clock.monotonic(), dispatcher.limiter
        limiter.on_answer(subject, now, seconds)
        limiter.answered_at = answer.observed_at
        limiter.charge(answer.requests - 1, now)
        if answer.date is not None:
            middle = answer.asked_at + (answer.observed_at - answer.asked_at) / 2
            ahead = (answer.date - middle).total_seconds() + _DATE_SECONDS
            dispatcher.clock_ahead = ahead if abs(ahead) > _SAME_CLOCK_SECONDS else 0.0
        left = requests_left(answer.headers)
        if left is not None:
            limiter.limit = rate_limiter.on_remaining(limiter.limit, now, left, limiter.sent)

    def apply_state(self, watched: WatchedRun, state: RunState) -> None:
        """Applies a newly known state of a run; removes the run if it has ended."""
        now = self._clock.monotonic()
        if watched.is_ours:
            dispatcher, is_first = self.dispatcher(watched.source), watched.state.status is None
            ended_ago = None
            if state.ended_at is not None:
                ended_ago = (self.service_time(watched.source) - state.ended_at).total_seconds()
            dispatcher.record_exposure(watched, state, now, ended_ago)
            if is_first:
                dispatcher.start_phase(watched, now, self._since_creation(watched.source, state))
        if state is not watched.state:
            watched.set_state(state)
        if state.is_ended:
            self.remove(watched)
        else:
            # A thread that becomes known may be one that another tracker polls.
            self._move_to_owner(watched)
            if not watched.is_ours:
                self._unconfirmed.add(watched.stream)

    def schedule_next(self, watched: WatchedRun, hint: float | None = None) -> None:
        """Schedules the next poll of a run by the policy, if it is still watched.

        `hint` is the shortest delay that the service asked for.
        """
        if not watched.is_ours:
            return
        if watched.poll_again:
            # The last request was sent before the news, and its answer may not show it yet.
            watched.poll_again = False
            self.schedule(watched, hint or 0.0)
            return
        expires_in, expires_at = None, watched.state.expires_at
        if expires_at is not None:
            expires_in = (expires_at - self.service_time(watched.source)).total_seconds()
        dispatcher, now = self.dispatcher(watched.source), self._clock.monotonic()
        jitter = 2 * self._jitter() - 1
        pause = dispatcher.next_delay(watched, now, jitter, hint=hint, expires_in=expires_in)
        watched.queued = False
        earliest = now + max(hint or 0.0, self._cadence.shortest)
        watched.not_before = max(earliest, watched.held_until)
        dispatcher.timer.add(watched, max(now + pause, watched.held_until))

    def schedule(self, watched: WatchedRun, pause: float) -> None:
        """Schedules the next poll of a run after a pause, if it is still watched.

        It is later if the service asked for a longer one.
        """
        if watched.is_ours:
            watched.queued = False
            watched.not_before = max(self._clock.monotonic() + pause, watched.held_until)
            self.dispatcher(watched.source).timer.add(watched, watched.not_before)

    def poll_now(self, watched: WatchedRun) -> None:
        """Schedules a poll of a run next, because there is news, whichever tracker polls it."""
        if self._elsewhere.pop(watched.stream, None) is not None:
            # Until that poll, which hands it back: the other tracker does not know of the news.
            self._add_ours(watched, 0.0)
        elif isinstance(watched.last_error, RateLimited):
            # It was refused until later, whatever the news.
            return
        elif watched.timer_slot is not None:
            self.schedule(watched, 0.0)
        elif not watched.queued:
            watched.poll_again = True

    def requeue(self, watched: WatchedRun) -> None:
        """Returns a run whose poll could not be sent to its old place in the queue."""
        if watched.is_ours:
            self.dispatcher(watched.source).poll_queue.add(watched)

    def _add_ours(self, watched: WatchedRun, after: float) -> None:
        self._ours[watched.stream], watched.is_ours = watched, True
        now, dispatcher = self._clock.monotonic(), self.dispatcher(watched.source)
        dispatcher.add(watched, now, self._since_creation(watched.source, watched.state))
        if watched.state.status is None:
            after = max(after, dispatcher.initial_delay(now))
        watched.not_before = max(now + after, watched.held_until)
        dispatcher.timer.add(watched, watched.not_before)

    def _move_to_owner(self, watched: WatchedRun) -> None:
        if watched.is_ours is self._is_elsewhere(watched):
            self.remove(watched)
            self.add(watched, 0.0)

    def _is_elsewhere(self, watched: WatchedRun) -> bool:
        state = watched.state
        return state.status is not None and not self.owns(watched.source, state)

    def _since_creation(self, source: Source, state: RunState) -> float:
        if state.created_at is None:
            return 0.0
        return (self.service_time(source) - state.created_at).total_seconds()
