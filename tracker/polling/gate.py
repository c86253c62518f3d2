"""One source as the poller sees it: its limit, its breaker, its runs' shares, and who is due."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tracker.core.state import RunState
from tracker.errors import RunfoldError
from tracker.polling import breaker, limiter
from tracker.polling.breaker import Breaker
from tracker.polling.cadence import Cadence, step, wait, weight
from tracker.polling.errands import E, Errands
from tracker.polling.hazards import Counts, Curve, learned, prior
from tracker.polling.limiter import Limit
from tracker.polling.watched import Watched
from tracker.polling.wheel import Lines, Wheel
from tracker.sources.source import PageSource

_REFRESH_SECONDS = 5.0
# A stamp of whole seconds lies half a second early, on average.
_STAMP_SECONDS = 0.5
_FIRST_SECONDS = 5.0

Phase = tuple[str | None, str | None, bool]


class Kind:
    """What is known of the runs of one assistant and model, while they work or while they wait."""

    __slots__ = ("counts", "curve", "drawn", "pooled")

    def __init__(self, curve: Curve, now: float) -> None:
        self.counts = Counts()
        self.pooled = Counts()
        self.curve = curve
        self.drawn = now


@dataclass(slots=True)
class Gate:
    """What a source may be asked and what is to be asked of it. Times are monotonic seconds.

    While `refusing`, for a wrong key (`refusal` says why), nothing is asked before `opens` and
    then one thing, as it is while the breaker is open. Its clock is `ahead` of ours by so many
    seconds. `trouble` is what failed last; `refusals`
    (429) are among the `failures` of the requests `sent`. `refused_at`, `troubled_at` and
    `answered_at` are moments by our clock.
    """

    cadence: Cadence
    limit: Limit
    breaker: Breaker = field(default_factory=Breaker)
    refusing: bool = False
    opens: float = -math.inf
    limited: int = 0
    asking: int = 0
    ahead: float = 0.0
    sent: int = 0
    refusals: int = 0
    failures: int = 0
    refusal: RunfoldError | None = None
    trouble: RunfoldError | None = None
    refused_at: datetime | None = None
    troubled_at: datetime | None = None
    answered_at: datetime | None = None
    arrival: float = -math.inf
    total: float = 0.0
    runs: int = 0
    wheel: Wheel = field(default_factory=Wheel)
    lines: Lines = field(default_factory=Lines)
    pauses: Errands[Any] = field(default_factory=lambda: Errands(share=1.0, claims=0.1))
    steps: Errands[Any] = field(default_factory=lambda: Errands(share=1.0, claims=0.02))
    discovery: Errands[Any] = field(default_factory=lambda: Errands(share=0.1, claims=0.1))
    backfill: Errands[Any] = field(default_factory=lambda: Errands(share=1.0, claims=0.25))
    late: Errands[Any] = field(default_factory=lambda: Errands(share=0.1, claims=0.02))
    threads: dict[str, Watched | list[Watched]] = field(default_factory=dict)
    page_limits: dict[str, int] = field(default_factory=dict)
    kinds: dict[Phase, Kind] = field(default_factory=dict)
    pools: dict[bool, Counts] = field(default_factory=lambda: {False: Counts(), True: Counts()})

    @property
    def errands(self) -> tuple[Errands[Any], ...]:
        """All that can wait until no poll is due, what is most wanted first.

        `pauses` are the steps of runs that may have waited for an action while nobody looked,
        `steps` those of the others, `late` looks at runs that have ended.
        """
        return self.pauses, self.steps, self.discovery, self.backfill, self.late

    def next(self, now: float) -> Watched | None:
        """The run to ask about now, if one is due and the source may be asked."""
        if not self._may_ask(now):
            return None
        watched = self.lines.take(now, self.limit.rate)
        if watched is not None:
            self._count(now)
        return watched

    def next_errand(self, errands: Errands[E], now: float) -> E | None:
        """The errand to go on now, if one is due and the source may be asked.

        Where polls are due too, they go first, but for what the errands claim.
        """
        if not errands.is_due(now) or not self._may_ask(now):
            return None
        errand = errands.take(now, self.limit.rate, before_polls=bool(self.lines))
        if errand is not None:
            self._count(now)
        return errand

    def taken_together(self, watched: Watched) -> Sequence[Watched]:
        """The runs that a page shows at once with one that was just taken, if any.

        It is the first of them; they are taken out of the wheel and the lines with it.
        """
        fellows = self.threads.get(watched.thread_id)
        if watched.alone or not isinstance(fellows, list):
            return ()
        # One that is neither in the wheel nor in line is being asked about.
        together = [watched]
        for each in fellows:
            if each is not watched and not each.alone and (each.in_line or each.slot is not None):
                together.append(each)
        if len(together) < 2:
            return ()
        for each in together:
            each.slot, each.in_line = None, False
        return together

    def joined(self, watched: Watched, now: float, since_creation: float) -> None:
        """Counts a run in."""
        self.runs += 1
        if isinstance(watched.source, PageSource):
            fellows = self.threads.setdefault(watched.thread_id, watched)
            if isinstance(fellows, list):
                fellows.append(watched)
            elif fellows is not watched:
                self.threads[watched.thread_id] = [fellows, watched]
        self.met(watched, now, since_creation)

    def met(self, watched: Watched, now: float, since_creation: float) -> None:
        """Takes a run to have been in its phase since its creation, by the stamp of that."""
        watched.began = now - max(since_creation - _STAMP_SECONDS, 0.0)
        watched.looked = now

    def left(self, watched: Watched) -> None:
        """Counts a run out."""
        self.runs -= 1
        fellows = self.threads.get(watched.thread_id)
        if isinstance(fellows, list) and len(fellows) > 2:
            fellows.remove(watched)
        elif isinstance(fellows, list):
            self.threads[watched.thread_id] = fellows[fellows[0] is watched]
            self.page_limits.pop(watched.thread_id, None)
        else:
            self.threads.pop(watched.thread_id, None)
        self.total = max(self.total - watched.share, 0.0) if self.runs else 0.0
        watched.share, watched.slot, watched.in_line = 0.0, None, False

    def learn(self, watched: Watched, state: RunState, now: float, ended_ago: float | None) -> None:
        """Takes in a look that came through, before the run learns the new state itself.

        `ended_ago` is how long ago the run ended by the stamp of its end.
        """
        known = watched.state
        if known.status is None:
            return
        began, at = watched.began, now
        counts = self._kind(known, now).counts
        changed = state is not known and (
            state.is_ended or state.needs_action != known.needs_action
        )
        if changed and ended_ago is None:
            at = (watched.looked + now) / 2
        elif changed and ended_ago is not None:
            # A stamp of another clock cannot lead out of the time between the two looks.
            at = min(max(now - ended_ago + _STAMP_SECONDS, watched.looked), now)
        age = max(at - began, 0.0)
        counts.survived(max(watched.looked - began, 0.0), age)
        watched.looked = now
        if changed:
            counts.changed(age)
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
            waits = watched.state.needs_action
            kind.counts.pour(self.pools[waits], kind.pooled)
            kind.curve = self._curve(waits, kind.counts)
            kind.drawn = now
        age = max(now - watched.began, 0.0)
        share, heed, rate = kind.curve.share(age), 1.0, self._rate(now)
        if watched.state.needs_action:
            changes = step(self.cadence, self.total, rate) * self.total / self.runs
            heed = weight(changes, answered_here=watched.answered_here) ** 0.5
            share *= heed
        fellows = self.threads.get(watched.thread_id)
        if isinstance(fellows, list) and not watched.alone:
            # One request looks at all of them, so each has to earn a part of it. Shares that
            # grow with the root of what a look brings make that the root of their number.
            share /= len(fellows) ** 0.5
            heed *= len(fellows) ** 0.5
        self.total += share - watched.share
        watched.share = share
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

    def first_wait(self, now: float) -> float:
        """How long a run that nobody has seen yet waits for its first look.

        Not at all where the rate is enough for all; else as long as one that has just begun,
        as most have, for up to five seconds.
        """
        rate = self._rate(now)
        earned = step(self.cadence, self.total, rate)
        if earned <= self.cadence.step:
            return 0.0
        return min(self._curve(False, Counts()).after(0.0, earned), _FIRST_SECONDS)

    def charge(self, requests: int, now: float) -> None:
        """Counts requests that a source sent by itself, beyond the one that it was let send."""
        for _ in range(requests):
            self._count(now)

    def answered(self) -> None:
        """Takes in that the source answered, whatever it said of the run."""
        self.refusing, self.limited = False, 0
        self.breaker = breaker.succeeded(self.breaker)

    def _rate(self, now: float) -> float:
        """What is left of the rate for polls, in requests a second."""
        return self.limit.rate * (1.0 - sum(errands.claim(now) for errands in self.errands))

    def _may_ask(self, now: float) -> bool:
        probing = self.refusing or self.breaker.is_open
        if probing and (self.asking or now < max(self.opens, self.breaker.opens)):
            return False
        if now < self.limit.held_until:
            return False
        self.limit = limiter.grown(self.limit, now, self.sent)
        rate = self.limit.rate
        return limiter.wait(self.arrival, now, rate, limiter.burst(rate)) <= 0

    def _count(self, now: float) -> None:
        self.arrival = limiter.taken(self.arrival, now, self.limit.rate)
        self.sent += 1

    def _kind(self, state: RunState, now: float) -> Kind:
        key = (state.assistant_id, state.model, state.needs_action)
        kind = self.kinds.get(key)
        if kind is None:
            curve = self._curve(state.needs_action, Counts())
            kind = self.kinds[key] = Kind(curve, now)
        return kind

    def _curve(self, waits: bool, counts: Counts) -> Curve:
        return Curve(learned(counts, prior(self.pools[waits])))
