"""The runs that are watched, by stream and by source, and when each is to be looked at next."""

from __future__ import annotations

from collections.abc import Callable

from tracker.clock import Clock
from tracker.core.state import RunState
from tracker.polling import limiter
from tracker.polling.cadence import Cadence
from tracker.polling.gate import Gate
from tracker.polling.watched import Watched
from tracker.sources.answer import Answer, requests_left

# Whether the runs of a thread, of the source of a name, are looked at here.
Owns = Callable[[str, str], bool]


class Roster:
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
        self._watched: dict[str, Watched] = {}
        self._elsewhere: dict[str, Watched] = {}
        self._owns: Owns = lambda source, thread_id: True
        self._gates: dict[str, Gate] = {}

    @property
    def gates(self) -> list[Gate]:
        """The gates of all sources that were ever asked."""
        return list(self._gates.values())

    @property
    def all(self) -> list[Watched]:
        """The runs that are watched now, here or elsewhere."""
        return [*self._watched.values(), *self._elsewhere.values()]

    def find(self, stream: str) -> Watched | None:
        """The watched run of a stream, if it is watched."""
        return self._watched.get(stream) or self._elsewhere.get(stream)

    def holds(self, watched: Watched) -> bool:
        """Whether a run is still watched here."""
        return self._watched.get(watched.stream) is watched

    def divide(self, owns: Owns) -> None:
        """Looks only at the runs of threads that are owned here, from now on.

        Those of others are watched elsewhere, and their states come from there; but a run of
        which nothing is known yet is looked at here, as nobody else knows of it.
        """
        self._owns = owns
        for watched in self.all:
            if self.holds(watched) is self._is_elsewhere(watched, watched.state):
                self.drop(watched)
                self.add(watched, 0.0)

    def add(self, watched: Watched, after: float) -> None:
        """Watches a run, which is looked at first after so many seconds."""
        if self._is_elsewhere(watched, watched.state):
            self._elsewhere[watched.stream] = watched
            return
        self._watched[watched.stream] = watched
        now, gate = self._clock.monotonic(), self.gate(watched)
        gate.joined(watched, now, self._since_creation(watched.state))
        gate.wheel.add(watched, now + after)

    def drop(self, watched: Watched) -> None:
        """Watches a run no longer."""
        if self.holds(watched):
            del self._watched[watched.stream]
            self.gate(watched).left(watched)
        else:
            self._elsewhere.pop(watched.stream, None)

    def clear(self) -> None:
        """Watches nothing any more."""
        self._watched.clear()
        self._elsewhere.clear()

    def gate(self, watched: Watched) -> Gate:
        """The gate of a run's source."""
        gate = self._gates.get(watched.source.name)
        if gate is None:
            limit = limiter.begin(self._cadence.start, self._ceiling)
            gate = self._gates[watched.source.name] = Gate(self._cadence, limit)
        return gate

    def heed(self, gate: Gate, answer: Answer) -> None:
        """Takes in an answer of a source: that it came, and what it says of the limit."""
        gate.answered()
        left = requests_left(answer.headers)
        if left is not None:
            gate.limit = limiter.told(gate.limit, self._clock.monotonic(), left, gate.sent)

    def learn(self, watched: Watched, state: RunState) -> None:
        """Takes in what is known of a run after a look; one that has ended is dropped."""
        now = self._clock.monotonic()
        if self.holds(watched):
            gate, first = self.gate(watched), watched.state.status is None
            ago = None
            if state.ended_at is not None:
                ago = (self._clock.now() - state.ended_at).total_seconds()
            gate.learn(watched, state, now, ago)
            if first:
                gate.met(watched, now, self._since_creation(state))
        if state is not watched.state:
            watched.learn(state)
        if state.is_ended:
            self.drop(watched)
        elif self.holds(watched) and self._is_elsewhere(watched, state):
            self.drop(watched)
            self.add(watched, 0.0)

    def plan(self, watched: Watched, hint: float | None = None) -> None:
        """Has a run looked at again when its share has earned that, if it is still watched."""
        if not self.holds(watched):
            return
        left, expires_at = None, watched.state.expires_at
        if expires_at is not None:
            left = (expires_at - self._clock.now()).total_seconds()
        now, jitter = self._clock.monotonic(), 2 * self._jitter() - 1
        pause = self.gate(watched).plan(watched, now, jitter, hint=hint, expires_in=left)
        self.schedule(watched, pause)

    def schedule(self, watched: Watched, pause: float) -> None:
        """Has a run looked at after a pause, if it is still watched."""
        if self.holds(watched):
            watched.in_line = False
            self.gate(watched).wheel.add(watched, self._clock.monotonic() + pause)

    def requeue(self, watched: Watched) -> None:
        """Gives a run that could not be looked at its place in the line again."""
        if self.holds(watched):
            self.gate(watched).lines.add(watched)

    def _is_elsewhere(self, watched: Watched, state: RunState) -> bool:
        return state.status is not None and not self._owns(watched.source.name, watched.thread_id)

    def _since_creation(self, state: RunState) -> float:
        if state.created_at is None:
            return 0.0
        return (self._clock.now() - state.created_at).total_seconds()
