"""One source as the poller sees it: its limit, its breaker, its runs' shares, and who is due."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tracker.core.state import RunState
from tracker.errors import RunfoldError
from tracker.polling.policy import circuit_breaker, rate_limiter
from tracker.polling.policy.cadence import Cadence, step, wait, weight
from tracker.polling.policy.circuit_breaker import CircuitBreaker
from tracker.polling.policy.hazards import REFRESH_SECONDS, HazardModel, HazardModels, bin_of
from tracker.polling.policy.rate_limiter import RateLimit
from tracker.polling.queues.background_queue import BackgroundQueue, E
from tracker.polling.queues.fair_queue import FairQueue
from tracker.polling.queues.timer_wheel import TimerWheel
from tracker.polling.source_status import SourceStatus
from tracker.polling.watched_run import WatchedRun
from tracker.sources.source import PageSource, Source

# A stamp of whole seconds lies half a second early, on average.
_STAMP_SECONDS = 0.5
_FIRST_SECONDS = 5.0

Turn = tuple[WatchedRun, Sequence[WatchedRun]]


@dataclass(slots=True)
class SourceDispatcher:
    """What a source may be asked and what is to be asked of it. Times are monotonic seconds.

    While `refusing`, for a wrong key (`refusal` says why), nothing is asked before `opens` and
    then one thing, as it is while the breaker is open. Its clock is `ahead` of ours by so many
    seconds. `trouble` is what failed last; `refusals`
    (429) are among the `failures` of the requests `sent`. `refused_at`, `troubled_at` and
    `answered_at` are moments by our clock.
    """

    cadence: Cadence
    limit: RateLimit
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
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
    source: Source | None = None
    has_pages: bool = False
    total: float = 0.0
    claims: float = 0.0
    runs: int = 0
    wheel: TimerWheel = field(default_factory=TimerWheel)
    lines: FairQueue = field(default_factory=FairQueue)
    pauses: BackgroundQueue[Any] = field(
        default_factory=lambda: BackgroundQueue(share=1.0, claims=0.1)
    )
    steps: BackgroundQueue[Any] = field(
        default_factory=lambda: BackgroundQueue(share=1.0, claims=0.02)
    )
    discovery: BackgroundQueue[Any] = field(
        default_factory=lambda: BackgroundQueue(share=0.1, claims=0.1)
    )
    backfill: BackgroundQueue[Any] = field(
        default_factory=lambda: BackgroundQueue(share=1.0, claims=0.25)
    )
    late: BackgroundQueue[Any] = field(
        default_factory=lambda: BackgroundQueue(share=0.1, claims=0.02)
    )
    threads: dict[str, WatchedRun] = field(default_factory=dict)
    page_limits: dict[str, int] = field(default_factory=dict)
    kinds: HazardModels = field(default_factory=HazardModels)

    @property
    def errands(self) -> tuple[BackgroundQueue[Any], ...]:
        """All that can wait until no poll is due, what is most wanted first.

        `pauses` are the steps of runs that may have waited for an action while nobody looked,
        `steps` those of the others, `late` looks at runs that have ended.
        """
        return self.pauses, self.steps, self.discovery, self.backfill, self.late

    def turn(self, now: float) -> None:
        """Has the runs get in line that are due; to be called several times a second."""
        self.claims = sum(errands.claim(now) for errands in self.errands)
        for watched in self.wheel.take(now):
            self.lines.add(watched)

    def turns(self, now: float, most: int) -> list[Turn]:
        """Whose turn it is now: runs in line, as far as the source may be asked, at most `most`.

        Each has with it the runs that a page shows at once with it, if any.
        """
        if not self.lines:
            return []
        allowed = min(self._allowed(now), most)
        turns = [
            (watched, () if watched.fellows is None else self._taken_together(watched))
            for watched in self.lines.take(now, self.limit.rate, allowed)
        ]
        self._count(now, len(turns))
        return turns

    def next_errand(self, errands: BackgroundQueue[E], now: float) -> E | None:
        """The errand to go on now, if one is due and the source may be asked.

        Where polls are due too, they go first, but for what the errands claim.
        """
        if not errands.is_due(now) or not self._may_ask(now):
            return None
        errand = errands.take(now, self.limit.rate, before_polls=bool(self.lines))
        if errand is not None:
            self._count(now)
        return errand

    def _taken_together(self, watched: WatchedRun) -> Sequence[WatchedRun]:
        """The runs that a page shows at once with one that was just taken, if any.

        It is the first of them; they are taken out of the wheel and the lines with it.
        """
        fellows = watched.fellows
        if fellows is None or watched.alone:
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

    def joined(self, watched: WatchedRun, now: float, since_creation: float) -> None:
        """Counts a run in."""
        self.runs += 1
        if watched.source is not self.source:
            # It takes as long as all the rest, and a gate is of one source.
            self.source, self.has_pages = watched.source, isinstance(watched.source, PageSource)
        if self.has_pages:
            known = self.threads.setdefault(watched.thread_id, watched)
            if known is not watched:
                known.fellows = watched.fellows = known.fellows or [known]
                known.fellows.append(watched)
        self.met(watched, now, since_creation)

    def met(self, watched: WatchedRun, now: float, since_creation: float) -> None:
        """Takes a run to have been in its phase since its creation, by the stamp of that."""
        watched.began = now - max(since_creation - _STAMP_SECONDS, 0.0)
        watched.looked = now

    def left(self, watched: WatchedRun) -> None:
        """Counts a run out."""
        self.runs -= 1
        fellows = watched.fellows
        if fellows is None:
            self.threads.pop(watched.thread_id, None)
        else:
            fellows.remove(watched)
            self.threads[watched.thread_id] = fellows[0]
            if len(fellows) == 1:
                fellows[0].fellows = None
                self.page_limits.pop(watched.thread_id, None)
        self.total = max(self.total - watched.share, 0.0) if self.runs else 0.0
        watched.share, watched.slot, watched.in_line, watched.fellows = 0.0, None, False, None

    def learn(
        self, watched: WatchedRun, state: RunState, now: float, ended_ago: float | None
    ) -> None:
        """Takes in a look that came through, before the run learns the new state itself.

        `ended_ago` is how long ago the run ended by the stamp of its end.
        """
        known = watched.state
        if known.status is None:
            return
        kind = watched.kind or self._kind(watched, now)
        began, looked, watched.looked = watched.began, watched.looked, now
        if state is known or not (state.is_ended or state.needs_action != known.needs_action):
            kind.counts.survived(looked - began, now - began)
            return
        at = (looked + now) / 2
        if ended_ago is not None:
            # A stamp of another clock cannot lead out of the time between the two looks.
            at = min(max(now - ended_ago + _STAMP_SECONDS, looked), now)
        kind.counts.survived(looked - began, at - began)
        kind.counts.changed(at - began)
        watched.began = at

    def plan(
        self,
        watched: WatchedRun,
        now: float,
        jitter: float,
        *,
        hint: float | None = None,
        expires_in: float | None = None,
    ) -> float:
        """How long to wait until the next look at a run; counts its share anew."""
        kind = watched.kind or self._kind(watched, now)
        if now - kind.drawn > REFRESH_SECONDS:
            self.kinds.refresh(kind, now)
        age, heed, rate = now - watched.began, 1.0, self.limit.rate * (1.0 - self.claims)
        place = bin_of(age)
        share = kind.curve.shares[place]
        if kind.waits:
            changes = step(self.cadence, self.total, rate) * self.total / self.runs
            heed = weight(changes, answered_here=watched.answered_here) ** 0.5
            share *= heed
        fellows = watched.fellows
        if fellows is not None and not watched.alone:
            # One request looks at all of them, so each has to earn a part of it. Shares that
            # grow with the root of what a look brings make that the root of their number.
            share /= len(fellows) ** 0.5
            heed *= len(fellows) ** 0.5
        self.total += share - watched.share
        watched.share = share
        earned = step(self.cadence, self.total, rate) / heed
        return wait(
            self.cadence,
            kind.curve.wait(age, place, earned),
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
        earned = step(self.cadence, self.total, self.limit.rate * (1.0 - self.claims))
        if earned <= self.cadence.step:
            return 0.0
        kind = self.kinds.unknown(now)
        if now - kind.drawn > REFRESH_SECONDS:
            self.kinds.refresh(kind, now)
        return min(kind.curve.wait(0.0, 0, earned), _FIRST_SECONDS)

    def charge(self, requests: int, now: float) -> None:
        """Counts requests that a source sent by itself, beyond the one that it was let send."""
        for _ in range(requests):
            self._count(now)

    def answered(self) -> None:
        """Takes in that the source answered, whatever it said of the run."""
        self.refusing, self.limited = False, 0
        if self.breaker.recent:
            self.breaker = circuit_breaker.succeeded(self.breaker)

    def _may_ask(self, now: float) -> bool:
        return self._allowed(now) > 0

    def _allowed(self, now: float) -> int:
        """How many requests may go now."""
        probing = self.refusing or self.breaker.is_open
        if probing and (self.asking or now < max(self.opens, self.breaker.opens)):
            return 0
        if now < self.limit.held_until:
            return 0
        self.limit = rate_limiter.grown(self.limit, now, self.sent)
        rate = self.limit.rate
        allowed = rate_limiter.allowed(self.arrival, now, rate, rate_limiter.burst(rate))
        return min(allowed, 1) if probing else allowed

    def _count(self, now: float, requests: int = 1) -> None:
        self.arrival = rate_limiter.taken(self.arrival, now, self.limit.rate, requests)
        self.sent += requests

    def _kind(self, watched: WatchedRun, now: float) -> HazardModel:
        """Looks up the kind of a run, once for each of its states."""
        kind = watched.kind = self.kinds.of(watched.state, now)
        return kind


def standing(gate: SourceDispatcher, now: float) -> SourceStatus:
    """How the source of a gate stands at a moment in monotonic seconds."""
    until = gate.limit.held_until
    if gate.refusing or gate.breaker.is_open:
        until = max(until, gate.breaker.opens, gate.opens)
    is_refusing = gate.refusing and gate.refusal is not None
    denied = next((it.denied for it in gate.errands if it.denied and it.held_until > now), None)
    return SourceStatus(
        rate=gate.limit.rate,
        breaker="open" if gate.breaker.is_open else "closed",
        held_for=max(until - now, 0.0),
        refusing=str(gate.refusal) if is_refusing else None,
        watched=gate.runs,
        due=gate.lines.runs,
        waiting=sum(len(errands) for errands in gate.errands),
        asked=gate.sent,
        refused=gate.refusals,
        failed=gate.failures - gate.refusals,
        last_error=None if gate.trouble is None else str(gate.trouble),
        refusing_since=gate.refused_at if is_refusing else None,
        denied=None if denied is None else str(denied),
        last_error_at=gate.troubled_at,
        answered_at=gate.answered_at,
        clock_ahead=gate.ahead,
    )
