"""The dispatcher of one source: its runs and its queues of requests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tracker.core.state import RunState
from tracker.errors import RunfoldError
from tracker.polling.clock_offset import ClockOffset
from tracker.polling.policy.cadence import Cadence, poll_delay, step, weight
from tracker.polling.policy.hazards import REFRESH_SECONDS, HazardModel, HazardModels, bin_of
from tracker.polling.queues.background_queue import BackgroundQueue, BackgroundRequest, RequestT
from tracker.polling.queues.fair_queue import FairQueue
from tracker.polling.queues.timer_wheel import TimerWheel
from tracker.polling.request_limiter import RequestLimiter
from tracker.polling.source_status import SourceStatus
from tracker.polling.watched_run import WatchedRun
from tracker.sources.source import PageSource, Source

# A timestamp in whole seconds is half a second early, on average.
_STAMP_SECONDS = 0.5
_LONGEST_INITIAL_DELAY = 5.0
# Runs that were refused and are passed over to find another one for a probe.
_MOST_PASSED_OVER = 20
# Seconds between two calls of `enqueue_early`.
TICK_SECONDS = 0.05
# Polls that are sent before they are due, in one tick.
_MOST_EARLY = 20.0

# A run whose poll may be sent, and the runs that a page shows with it, if any.
DuePoll = tuple[WatchedRun, Sequence[WatchedRun]]


@dataclass(slots=True)
class SourceDispatcher:
    """Decides which request to one source is sent next, and when. Times are monotonic seconds."""

    cadence: Cadence

    # How many requests may be sent.
    limiter: RequestLimiter
    # Seconds by which the service's clock is ahead of ours: by the headers of its answers, and the
    # bounds by the stamps of its runs.
    clock_ahead: float = 0.0
    clock_offset: ClockOffset = field(default_factory=ClockOffset)

    # Runs: their number, the sum of their shares, and the models of how often they change.
    run_count: int = 0
    total_share: float = 0.0
    hazard_models: HazardModels = field(default_factory=HazardModels)
    # Their polls: on a timer until they are due, then queued.
    timer: TimerWheel = field(default_factory=TimerWheel)
    poll_queue: FairQueue = field(default_factory=FairQueue)

    # Pages: the source, once it has a run; one run of each thread, if the source has pages; and
    # the length of a thread's next page, if it is not the longest.
    source: Source | None = None
    has_pages: bool = False
    threads: dict[str, WatchedRun] = field(default_factory=dict)
    page_limits: dict[str, int] = field(default_factory=dict)

    # Background requests: steps of runs that may have waited for an action unseen, other steps,
    # threads, backfills, ended runs; each with its maximum and its reserved share of the rate.
    urgent_steps: BackgroundQueue[Any] = field(default_factory=partial(BackgroundQueue, 1.0, 0.1))
    steps: BackgroundQueue[Any] = field(default_factory=partial(BackgroundQueue, 1.0, 0.15))
    discovery: BackgroundQueue[Any] = field(default_factory=partial(BackgroundQueue, 0.1, 0.1))
    backfill: BackgroundQueue[Any] = field(default_factory=partial(BackgroundQueue, 1.0, 0.25))
    usage_rechecks: BackgroundQueue[Any] = field(
        default_factory=partial(BackgroundQueue, 0.1, 0.02)
    )
    # Runs that were set aside, to be looked at again.
    second_looks: BackgroundQueue[Any] = field(default_factory=partial(BackgroundQueue, 0.1, 0.02))
    # The part of the rate that is reserved for them now.
    reserved: float = 0.0
    # Requests about runs that were denied or failed too often, and are tried again later, with the
    # error of the last try; and the number of those that were given up in the end.
    postponed: dict[BackgroundRequest, RunfoldError] = field(default_factory=dict)
    given_up: int = 0

    @property
    def background_queues(self) -> tuple[BackgroundQueue[Any], ...]:
        """All background queues, the most urgent first."""
        return (
            self.urgent_steps,
            self.steps,
            self.discovery,
            self.backfill,
            self.usage_rechecks,
            self.second_looks,
        )

    def steps_queue(self, *, hides_pause: bool) -> BackgroundQueue[Any]:
        """Returns the queue for the steps of a run."""
        return self.urgent_steps if hides_pause else self.steps

    def enqueue_due(self, now: float) -> None:
        """Queues the polls that are due. Called several times a second."""
        self.reserved = sum(queue.reserved_part(now) for queue in self.background_queues)
        for watched in self.timer.pop_due(now):
            failures = watched.failures
            if failures is not None and failures.turn is not None:
                watched.due, failures.turn = failures.turn, None
            self.poll_queue.add(watched)

    def enqueue_early(self, now: float) -> None:
        """Queues the polls that are due next, if the rate is short and nothing else uses it.

        Shares are estimates, and those of runs that nobody has seen yet are missing: what they
        leave unused would be lost.
        """
        if self.poll_queue or self.limiter.limit.held_until > now or self.limiter.needs_probe:
            return
        if step(self.cadence, self.total_share, self._poll_rate) <= self.cadence.step:
            return
        # Whatever is earned until the next tick: else the rest of each tick would be lost.
        unused = (now + TICK_SECONDS - self.limiter.arrival) * self.limiter.rate
        if unused > 0.0:
            for watched in self.timer.pop_early(now, math.ceil(min(unused, _MOST_EARLY))):
                watched.due = now
                self.poll_queue.add(watched)

    def next_polls(self, now: float, most: int) -> list[DuePoll]:
        """Removes and returns the polls that may be sent now, at most `most`."""
        if not self.poll_queue:
            return []
        allowed = min(self.limiter.allowance(now), most)
        is_probe = self.limiter.needs_probe and allowed > 0
        polls = [
            (watched, () if watched.page_group is None else self._take_page_group(watched, now))
            for watched in (
                self._pop_probe(now)
                if is_probe
                else self.poll_queue.pop(now, self.limiter.rate, allowed)
            )
        ]
        self.limiter.count(now, len(polls))
        return polls

    def _pop_probe(self, now: float) -> list[WatchedRun]:
        """Removes and returns the next run, of another subject than those refused last if it can.

        It is to tell whether the source refuses, or only these. They keep their places.
        """
        passed_over: list[WatchedRun] = []
        chosen: list[WatchedRun] = []
        while not chosen and len(passed_over) < _MOST_PASSED_OVER:
            popped = list(self.poll_queue.pop(now, self.limiter.rate, 1))
            if not popped:
                break
            if self.limiter.refusals.is_in_a_row(popped[0].subject):
                passed_over += popped
            else:
                chosen = popped
        if passed_over and not chosen:
            chosen = [passed_over.pop(0)]
        for watched in passed_over:
            self.poll_queue.add(watched)
        return chosen

    def next_background(self, queue: BackgroundQueue[RequestT], now: float) -> RequestT | None:
        """Removes and returns the request of a queue that may be sent now, if any.

        Where polls are queued too, they go first, except for what is reserved.
        """
        if not queue.is_due(now) or self.limiter.allowance(now) == 0:
            return None
        request = queue.pop_due(now, self.limiter.rate, before_polls=bool(self.poll_queue))
        if request is not None:
            self.limiter.count(now)
        return request

    def finish(self, queue: BackgroundQueue[RequestT], request: RequestT) -> None:
        """Removes a background request that is done."""
        queue.remove(request)
        self.postponed.pop(request, None)

    def give_up(self, queue: BackgroundQueue[RequestT], request: RequestT) -> None:
        """Removes a background request that failed for too long."""
        self.finish(queue, request)
        self.given_up += 1

    def add(self, watched: WatchedRun, now: float, since_creation: float) -> None:
        """Adds a run."""
        self.run_count += 1
        if watched.source is not self.source:
            # Checking a protocol takes as long as all the rest, and the source is always the same.
            self.source, self.has_pages = watched.source, isinstance(watched.source, PageSource)
        if self.has_pages and watched.thread_id is not None:
            known = self.threads.setdefault(watched.thread_id, watched)
            if known is not watched:
                known.page_group = watched.page_group = known.page_group or [known]
                known.page_group.append(watched)
        self.start_phase(watched, now, since_creation)

    def remove(self, watched: WatchedRun) -> None:
        """Removes a run."""
        self.run_count -= 1
        self.limiter.refusals.forget(watched.subject)
        thread_id, group = watched.thread_id, watched.page_group
        if thread_id is not None and group is None:
            self.threads.pop(thread_id, None)
        elif thread_id is not None and group is not None:
            group.remove(watched)
            self.threads[thread_id] = group[0]
            if len(group) == 1:
                group[0].page_group = None
                self.page_limits.pop(thread_id, None)
        self.total_share = max(self.total_share - watched.share, 0.0) if self.run_count else 0.0
        watched.share, watched.timer_slot, watched.queued, watched.page_group = (
            0.0,
            None,
            False,
            None,
        )

    def start_phase(self, watched: WatchedRun, now: float, since_creation: float) -> None:
        """Dates the phase of a run from its creation, `since_creation` seconds before `now`."""
        watched.phase_started = now - max(since_creation - _STAMP_SECONDS, 0.0)
        watched.polled_at = now

    def record_exposure(
        self, watched: WatchedRun, state: RunState, now: float, ended_ago: float | None
    ) -> None:
        """Counts in the hazard model that a run did, or did not, change since its last poll.

        To be called before the run gets the new state. `ended_ago` is how many seconds ago the
        run ended, by the timestamp of its end.
        """
        known = watched.state
        if known.status is None:
            return
        counts = (watched.hazard_model or self._hazard_model(watched, now)).counts
        started, polled, watched.polled_at = watched.phase_started, watched.polled_at, now
        if state is known or not (state.is_ended or state.needs_action != known.needs_action):
            counts.add_exposure(polled - started, now - started)
            return
        at = (polled + now) / 2
        if ended_ago is not None:
            # A timestamp by another clock cannot lead out of the time between the two polls.
            at = min(max(now - ended_ago + _STAMP_SECONDS, polled), now)
        counts.add_exposure(polled - started, at - started)
        counts.add_change(at - started)
        watched.phase_started = at

    def next_delay(
        self,
        watched: WatchedRun,
        now: float,
        jitter: float,
        *,
        hint: float | None = None,
        expires_in: float | None = None,
    ) -> float:
        """Returns the delay until the next poll of a run; updates its share."""
        model = watched.hazard_model or self._hazard_model(watched, now)
        if now - model.refreshed_at > REFRESH_SECONDS:
            self.hazard_models.refresh(model, now)
        age, factor, rate = now - watched.phase_started, 1.0, self._poll_rate
        place = bin_of(age)
        share = model.curve.shares[place]
        if model.needs_action:
            changes = step(self.cadence, self.total_share, rate) * self.total_share / self.run_count
            factor = weight(changes, answered_here=watched.answered_here) ** 0.5
            share *= factor
        group = watched.page_group
        if group is not None and not watched.polled_alone:
            # One request polls all of them, so each has to earn only a part of it. Shares grow
            # with the root of the benefit of a poll: here, with the root of their number.
            share /= len(group) ** 0.5
            factor *= len(group) ** 0.5
        self.total_share += share - watched.share
        watched.share = share
        earned = step(self.cadence, self.total_share, rate) / factor
        return poll_delay(
            self.cadence,
            model.curve.delay(age, place, earned),
            runs=self.run_count,
            rate=rate,
            jitter=jitter,
            hint=hint,
            expires_in=expires_in,
        )

    def initial_delay(self, now: float) -> float:
        """Returns the delay of the first poll of a run whose state is not known.

        Zero where the rate is enough for all runs; otherwise that of a run that has just started,
        as most have, up to five seconds.
        """
        earned = step(self.cadence, self.total_share, self._poll_rate)
        if earned <= self.cadence.step:
            return 0.0
        model = self.hazard_models.for_unknown(now)
        if now - model.refreshed_at > REFRESH_SECONDS:
            self.hazard_models.refresh(model, now)
        return min(model.curve.delay(0.0, 0, earned), _LONGEST_INITIAL_DELAY)

    @property
    def _poll_rate(self) -> float:
        return self.limiter.rate * (1.0 - self.reserved)

    def _take_page_group(self, watched: WatchedRun, now: float) -> Sequence[WatchedRun]:
        """Removes the other runs of a page from the timer and the queue, and returns all of them.

        Empty if no other run can be polled with the one that was removed from the queue.
        """
        group = watched.page_group
        if group is None or watched.polled_alone:
            return ()
        taken = [watched]
        for each in group:
            # A run that is neither on the timer nor queued is being polled.
            is_free = each.queued or (each.timer_slot is not None and each.held_until <= now)
            if each is not watched and not each.polled_alone and is_free:
                taken.append(each)
        if len(taken) < 2:
            return ()
        for each in taken:
            each.timer_slot, each.queued = None, False
        return taken

    def _hazard_model(self, watched: WatchedRun, now: float) -> HazardModel:
        """Looks up the hazard model of a run, once for each of its states."""
        model = watched.hazard_model = self.hazard_models.for_state(watched.state, now)
        return model


def source_status(dispatcher: SourceDispatcher, now: float) -> SourceStatus:
    """Returns the status of the dispatcher's source; `now` is in monotonic seconds."""
    limiter = dispatcher.limiter
    until = limiter.limit.held_until
    if limiter.is_refusing or limiter.breaker.is_open:
        until = max(until, limiter.breaker.probe_at, limiter.probe_at)
    is_refusing = limiter.is_refusing and limiter.refusal is not None
    queues = dispatcher.background_queues
    denied = next(
        (queue.denied for queue in queues if queue.denied and queue.held_until > now), None
    )
    last_error, bounds = limiter.last_error, dispatcher.clock_offset.bounds(now)
    set_aside = len(dispatcher.second_looks) + len(dispatcher.postponed)
    return SourceStatus(
        rate=limiter.limit.rate,
        breaker="open" if limiter.breaker.is_open else "closed",
        held_for=max(until - now, 0.0),
        refusing=str(limiter.refusal) if is_refusing else None,
        watched=dispatcher.run_count,
        due=dispatcher.poll_queue.run_count,
        waiting=sum(map(len, queues)) - set_aside,
        asked=limiter.sent,
        refused=limiter.refused,
        failed=limiter.failures - limiter.refused,
        last_error=None if last_error is None else str(last_error),
        refusing_since=limiter.refusing_since if is_refusing else None,
        denied=None if denied is None else str(denied),
        last_error_at=limiter.last_error_at,
        answered_at=limiter.answered_at,
        clock_ahead=dispatcher.clock_ahead,
        clock_ahead_at_least=None if bounds is None else bounds[0],
        clock_ahead_at_most=None if bounds is None else bounds[1],
        set_aside=set_aside,
        given_up=dispatcher.given_up,
    )
