"""The runs that are watched, by stream and by source, and when each is to be looked at next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from tracker.core.state import RunState
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.policy import rate_limiter
from tracker.polling.policy.cadence import Cadence
from tracker.polling.watched_run import WatchedRun
from tracker.runtime.clock import Clock
from tracker.sources.answer import Answer, requests_left
from tracker.sources.source import Source

# A Date header has whole seconds, cut off: half a second early on average.
_DATE_SECONDS = 0.5
# Clocks that are nearer than this are as good as one.
_IN_STEP_SECONDS = 2.0

# Whether the runs of a thread, of the source of a name, are looked at here.
Owns = Callable[[str, str], bool]


class WatchList:
    """Keeps each run in the gate of its source, and puts it into the wheel of that gate.

    `ceiling` is what a source is asked at most, in requests a second. `jitter` gives numbers
    from 0 to 1.
    """

    def __init__(
        self, clock: Clock, cadence: Cadence, ceiling: float | None, jitter: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._cadence = cadence
        self._ceiling = ceiling
        self._jitter = jitter
        self._watched: dict[str, WatchedRun] = {}
        self._elsewhere: dict[str, WatchedRun] = {}
        self._owns: Owns = lambda source, thread_id: True
        self._gates: dict[str, SourceDispatcher] = {}

    @property
    def gates(self) -> list[SourceDispatcher]:
        """The gates of all sources that were ever asked."""
        return list(self._gates.values())

    @property
    def all(self) -> list[WatchedRun]:
        """The runs that are watched now, here or elsewhere."""
        return [*self._watched.values(), *self._elsewhere.values()]

    def find(self, stream: str) -> WatchedRun | None:
        """The watched run of a stream, if it is watched."""
        return self._watched.get(stream) or self._elsewhere.get(stream)

    def owns(self, source: Source, state: RunState) -> bool:
        """Whether the runs of the thread that a run is on are looked at here."""
        return self._owns(source.name, state.thread_id or state.run_id)

    def divide(self, owns: Owns) -> None:
        """Looks only at the runs of threads that are owned here, from now on.

        Those of others are watched elsewhere, and their states come from there; but a run of
        which nothing is known yet is looked at here, as nobody else knows of it.
        """
        self._owns = owns
        for watched in self.all:
            if watched.is_here is self._is_elsewhere(watched, watched.state):
                self.drop(watched)
                self.add(watched, 0.0)

    def add(self, watched: WatchedRun, after: float) -> None:
        """Watches a run, which is looked at first after so many seconds, or when its turn comes."""
        if self._is_elsewhere(watched, watched.state):
            self._elsewhere[watched.stream] = watched
        else:
            self._here(watched, after)

    def drop(self, watched: WatchedRun) -> None:
        """Watches a run no longer."""
        if watched.is_here:
            watched.is_here = False
            del self._watched[watched.stream]
            self.gate(watched.source).left(watched)
        else:
            self._elsewhere.pop(watched.stream, None)

    def clear(self) -> None:
        """Watches nothing any more."""
        for watched in self._watched.values():
            watched.is_here = False
        self._watched.clear()
        self._elsewhere.clear()

    def gate(self, source: Source) -> SourceDispatcher:
        """The gate of a source."""
        gate = self._gates.get(source.name)
        if gate is None:
            limit = rate_limiter.begin(self._cadence.start, self._ceiling)
            gate = self._gates[source.name] = SourceDispatcher(self._cadence, limit)
        return gate

    def time_at(self, source: Source) -> datetime:
        """The time by the clock of a service, as far as its answers tell."""
        now, ahead = self._clock.now(), self.gate(source).ahead
        return now + timedelta(seconds=ahead) if ahead else now

    def heed(self, gate: SourceDispatcher, answer: Answer) -> None:
        """Takes in an answer of a source: that it came, and what it says of the limit."""
        now = self._clock.monotonic()
        gate.answered()
        gate.answered_at = answer.observed_at
        gate.charge(answer.requests - 1, now)
        if answer.date is not None:
            middle = answer.asked_at + (answer.observed_at - answer.asked_at) / 2
            ahead = (answer.date - middle).total_seconds() + _DATE_SECONDS
            gate.ahead = ahead if abs(ahead) > _IN_STEP_SECONDS else 0.0
        left = requests_left(answer.headers)
        if left is not None:
            gate.limit = rate_limiter.told(gate.limit, now, left, gate.sent)

    def learn(self, watched: WatchedRun, state: RunState) -> None:
        """Takes in what is known of a run after a look; one that has ended is dropped."""
        now = self._clock.monotonic()
        if watched.is_here:
            gate, first = self.gate(watched.source), watched.state.status is None
            ago = None
            if state.ended_at is not None:
                ago = (self.time_at(watched.source) - state.ended_at).total_seconds()
            gate.learn(watched, state, now, ago)
            if first:
                gate.met(watched, now, self._since_creation(watched.source, state))
        if state is not watched.state:
            watched.learn(state)
        if state.is_ended:
            self.drop(watched)
        elif watched.is_here and self._is_elsewhere(watched, state):
            self.drop(watched)
            self.add(watched, 0.0)

    def plan(self, watched: WatchedRun, hint: float | None = None) -> None:
        """Has a run looked at again when its share has earned that, if it is still watched."""
        if not watched.is_here:
            return
        if watched.hastened:
            # What was asked before there was news of it may not show that yet.
            watched.hastened = False
            self.schedule(watched, hint or 0.0)
            return
        left, expires_at = None, watched.state.expires_at
        if expires_at is not None:
            left = (expires_at - self.time_at(watched.source)).total_seconds()
        gate, now = self.gate(watched.source), self._clock.monotonic()
        jitter = 2 * self._jitter() - 1
        pause = gate.plan(watched, now, jitter, hint=hint, expires_in=left)
        watched.in_line = False
        gate.wheel.add(watched, now + pause)

    def schedule(self, watched: WatchedRun, pause: float) -> None:
        """Has a run looked at after a pause, if it is still watched."""
        if watched.is_here:
            watched.in_line = False
            self.gate(watched.source).wheel.add(watched, self._clock.monotonic() + pause)

    def hasten(self, watched: WatchedRun) -> None:
        """Has a run looked at here next, as there is news of it, wherever it is watched."""
        if self._elsewhere.pop(watched.stream, None) is not None:
            # Until that look, which hands it back: whoever watches it has not heard of this.
            self._here(watched, 0.0)
        elif watched.slot is not None:
            self.schedule(watched, 0.0)
        elif not watched.in_line:
            watched.hastened = True

    def requeue(self, watched: WatchedRun) -> None:
        """Gives a run that could not be looked at its place in the line again."""
        if watched.is_here:
            self.gate(watched.source).lines.add(watched)

    def _here(self, watched: WatchedRun, after: float) -> None:
        self._watched[watched.stream], watched.is_here = watched, True
        now, gate = self._clock.monotonic(), self.gate(watched.source)
        gate.joined(watched, now, self._since_creation(watched.source, watched.state))
        if watched.state.status is None:
            after = max(after, gate.first_wait(now))
        gate.wheel.add(watched, now + after)

    def _is_elsewhere(self, watched: WatchedRun, state: RunState) -> bool:
        return state.status is not None and not self._owns(
            watched.source.name, watched.thread_id or watched.run_id
        )

    def _since_creation(self, source: Source, state: RunState) -> float:
        if state.created_at is None:
            return 0.0
        return (self.time_at(source) - state.created_at).total_seconds()


# What was shown just now need not be asked for at once.
FIRST_POLL_SECONDS = 0.2
