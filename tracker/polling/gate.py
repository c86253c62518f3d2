"""One source as the poller sees it: its limit, its breaker, its runs' shares, and who is due."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tracker.core.state import RunState
from tracker.polling import breaker, limiter
from tracker.polling.breaker import Breaker
from tracker.polling.cadence import Cadence, step, wait, weight
from tracker.polling.hazards import Counts, Curve, learned, prior
from tracker.polling.limiter import Limit
from tracker.polling.watched import Watched
from tracker.polling.wheel import Lines, Wheel

_REFRESH_SECONDS = 5.0
# A stamp of whole seconds lies half a second early, on average.
_STAMP_SECONDS = 0.5

Phase = tuple[str | None, str | None, bool]


class Kind:
    """What is known of the runs of one assistant and model, while they work or while they wait."""

    __slots__ = ("counts", "curve", "drawn")

    def __init__(self, curve: Curve, now: float) -> None:
        self.counts = Counts()
        self.curve = curve
        self.drawn = now


@dataclass(slots=True)
class Gate:
    """What a source may be asked and what is to be asked of it. Times are monotonic seconds.

    While `refusing`, for a wrong key, nothing is asked before `opens` and then one thing, as it
    is while the breaker is open.
    """

    cadence: Cadence
    limit: Limit
    breaker: Breaker = Breaker()
    refusing: bool = False
    opens: float = -math.inf
    limited: int = 0
    asking: int = 0
    sent: int = 0
    arrival: float = -math.inf
    total: float = 0.0
    runs: int = 0
    wheel: Wheel = field(default_factory=Wheel)
    lines: Lines = field(default_factory=Lines)
    kinds: dict[Phase, Kind] = field(default_factory=dict)
    pools: dict[bool, Counts] = field(default_factory=lambda: {False: Counts(), True: Counts()})

    def next(self, now: float) -> Watched | None:
        """The run to ask about now, if one is due and the source may be asked."""
        if self.refusing or self.breaker.is_open:
            if self.asking or now < max(self.opens, self.breaker.opens):
                return None
        if now < self.limit.held_until:
            return None
        self.limit = limiter.grown(self.limit, now, self.sent)
        rate = self.limit.rate
        if limiter.wait(self.arrival, now, rate, limiter.burst(rate)) > 0:
            return None
        watched = self.lines.take(now, rate)
        if watched is not None:
            self.arrival = limiter.taken(self.arrival, now, rate)
            self.sent += 1
        return watched

    def joined(self, watched: Watched, now: float, since_creation: float) -> None:
        """Counts a run in."""
        self.runs += 1
        self.met(watched, now, since_creation)

    def met(self, watched: Watched, now: float, since_creation: float) -> None:
        """Takes a run to have been in its phase since its creation, by the stamp of that."""
        watched.began = now - max(since_creation - _STAMP_SECONDS, 0.0)
        watched.looked = now

    def left(self, watched: Watched) -> None:
        """Counts a run out."""
        self.runs -= 1
        self.total = max(self.total - watched.share, 0.0) if self.runs else 0.0
        watched.share, watched.slot, watched.in_line = 0.0, None, False

    def learn(self, watched: Watched, state: RunState, now: float, ended_ago: float | None) -> None:
        """Takes in a look that came through, before the run learns the new state itself.

        `ended_ago` is how long ago the run ended by the stamp of its end.
        """
        if watched.state.status is None:
            return
        waits = watched.state.needs_action
        changed = state.is_ended or state.needs_action != waits
        # Between two looks at the latest; a stamp of another clock cannot lead out of there.
        at = now if not changed else (watched.looked + now) / 2
        if ended_ago is not None:
            at = min(max(now - ended_ago + _STAMP_SECONDS, watched.looked), now)
        since, until = watched.looked - watched.began, at - watched.began
        for counts in (self._kind(watched.state, now).counts, self.pools[waits]):
            counts.survived(max(since, 0.0), max(until, 0.0))
            if changed:
                counts.changed(max(until, 0.0))
        watched.looked = now
        if changed:
            watched.began = at

    def plan(
        self,
        watched: Watched,
        now: float,
        jitter: float,
        *,
        hint: float | None = None,
        expires_in: float | None = None,
    ) -> float:
        """How long to wait until the next look at a run; counts its share anew."""
        kind = self._kind(watched.state, now)
        if now - kind.drawn > _REFRESH_SECONDS:
            kind.curve = self._curve(watched.state.needs_action, kind.counts)
            kind.drawn = now
        heed = weight(watched.state.status, answered_here=watched.answered_here) ** 0.5
        age = max(now - watched.began, 0.0)
        share = heed * kind.curve.share(age)
        self.total += share - watched.share
        watched.share = share
        rate = self.limit.rate
        earned = step(self.cadence, self.total, rate) / heed
        return wait(
            self.cadence,
            kind.curve.after(age, earned) - age,
            runs=self.runs,
            rate=rate,
            jitter=jitter,
            hint=hint,
            expires_in=expires_in,
        )

    def answered(self) -> None:
        """Takes in that the source answered, whatever it said of the run."""
        self.refusing, self.limited = False, 0
        self.breaker = breaker.succeeded(self.breaker)

    def _kind(self, state: RunState, now: float) -> Kind:
        key = (state.assistant_id, state.model, state.needs_action)
        kind = self.kinds.get(key)
        if kind is None:
            curve = self._curve(state.needs_action, Counts())
            kind = self.kinds[key] = Kind(curve, now)
        return kind

    def _curve(self, waits: bool, counts: Counts) -> Curve:
        return Curve(learned(counts, prior(self.pools[waits])))
