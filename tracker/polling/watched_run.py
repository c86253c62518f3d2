"""A watched run, and the coroutines that wait for it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tracker.core.stale_reads import StaleRead
from tracker.core.state import RunState, initial_state
from tracker.errors import RunfoldError
from tracker.polling.policy.hazards import HazardModel
from tracker.sources.source import Source

Condition = Callable[[RunState], bool]
_Waiter = tuple[Condition, asyncio.Future[RunState]]


@dataclass(slots=True)
class PollFailures:
    """The failed polls of one run since the last that succeeded."""

    last_error: RunfoldError
    polls: int = 0
    # How many of them the service refused as invalid (RequestRefused), and since when; monotonic
    # seconds.
    refusals: int = 0
    refused_since: float | None = None
    # Since when the service has not known the run; monotonic seconds.
    missing_since: float | None = None
    # The place in the queue that it keeps after it was refused for the first time (429).
    turn: float | None = None


@dataclass(eq=False, slots=True)
class WatchedRun:
    """A run that is watched until it ends. Times without a date are monotonic seconds."""

    source: Source
    thread_id: str | None
    run_id: str
    stream: str
    state: RunState = initial_state

    # False if another tracker polls it, and once it is no longer watched.
    is_ours: bool = False
    # The next poll is not sent before then, even if the rate is not used.
    not_before: float = 0.0
    # The service asked for no request before then: none is sent, whatever the news.
    held_until: float = -math.inf
    # The next poll: in a slot of the timer wheel until it is due, and queued from then on.
    due: float = 0.0
    timer_slot: list[WatchedRun] | None = field(default=None, repr=False)
    queued: bool = False
    # True if there was news during a poll, so that the next follows at once.
    poll_again: bool = False
    # Runs of the same thread, itself included, polled with one page; None if it is alone.
    page_group: list[WatchedRun] | None = field(default=None, repr=False)
    # True if no page shows it, so that it is polled by itself.
    polled_alone: bool = False

    # Hazard model of its assistant and model; None until it is looked up for the state.
    hazard_model: HazardModel | None = field(default=None, repr=False)
    # When it began to work, or to wait for an action.
    phase_started: float = 0.0
    # When it was polled last.
    polled_at: float = 0.0
    # Its part of the request budget, relative to the other runs of its source.
    share: float = 0.0
    # True if our own code submits the outputs of its calls.
    answered_here: bool = False

    # The last answer that is recorded, so that an equal one is not parsed: the body and its
    # glance after a poll of the run alone, the entry after a page.
    body: bytes | None = None
    glance: object = None
    page_entry: Mapping[str, Any] | None = None
    # The start of the last request whose answer showed the present state.
    unchanged_until: datetime | None = None
    # Our wall time less our monotonic time, in seconds, at the last look; None before one.
    wall_offset: float | None = None
    # True if our clock was set since the last change that is recorded.
    clock_was_set: bool = False
    # The polls since then that look stale, and are not recorded.
    stale_read: StaleRead | None = None

    # The failed polls since the last success; None if that was the last poll.
    failures: PollFailures | None = None
    # The error that ended the watching, or that refuses all requests to the source.
    error: RunfoldError | None = None
    # Few runs have any, and an empty tuple is shared.
    _waiters: tuple[_Waiter, ...] = ()

    @property
    def subject(self) -> str:
        """The name by which its refusals (429) are counted: those of a thread are one."""
        return self.thread_id or self.run_id

    def forget_answer(self) -> None:
        """Forgets the last answer: the next may show the same, and be news all the same."""
        self.body = self.glance = self.page_entry = None

    @property
    def last_error(self) -> RunfoldError | None:
        """The error of the last poll, if it failed."""
        return None if self.failures is None else self.failures.last_error

    def set_state(self, state: RunState) -> None:
        """Replaces the state, and wakes the coroutines that wait for it."""
        self.state, self.hazard_model = state, None
        self.error = None
        waiting = self._waiters
        self._waiters = ()
        for condition, future in waiting:
            if future.done():
                continue
            if condition(state):
                future.set_result(state)
            else:
                self._waiters += ((condition, future),)

    def fail(self, error: RunfoldError) -> None:
        """Raises an error in the coroutines that wait."""
        self.error = error
        waiting = self._waiters
        self._waiters = ()
        for _, future in waiting:
            if not future.done():
                future.set_exception(error)

    async def wait_for(self, condition: Condition) -> RunState:
        """Returns the state once `condition` holds. Raises the error that ends the watching."""
        if condition(self.state):
            return self.state
        if self.error is not None:
            raise self.error
        future: asyncio.Future[RunState] = asyncio.get_running_loop().create_future()
        self._waiters += ((condition, future),)
        try:
            return await future
        finally:
            # A wait that was given up leaves nothing behind.
            if future.cancelled():
                self._waiters = tuple(it for it in self._waiters if not it[1].done())
