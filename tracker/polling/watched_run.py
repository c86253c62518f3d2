"""One run that is being watched, and those who wait for it."""

from __future__ import annotations

import asyncio
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
class Failing:
    """Looks in a row that did not come through, of which the last met `trouble`.

    `refusals` were of the request itself. The service has not known the run since `missing_since`.
    """

    trouble: RunfoldError
    looks: int = 0
    refusals: int = 0
    missing_since: float | None = None


@dataclass(eq=False, slots=True)
class WatchedRun:
    """A run between two looks. Times without a date are monotonic seconds.

    It `is_here` while it is looked at, not done with and not left to another tracker.
    It is `due` at a moment, kept in a `slot` of the wheel until then and `in_line` from then on.
    `kind` is what is known of its like, None until that is looked up for its state. Its `fellows`
    are the runs that a page of its thread shows, itself among them, None where it is the only one.
    It `began` to work, or to wait for an action, at a moment, and was `looked` at last at another;
    `share` is the part of what may be asked that it takes, and `answered_here` says that our own
    code answers its calls. It is `hastened` where there was news of it while it was looked at.

    `body` and `glance` are the last answer that is recorded, so that the next that says the
    same need not be worked through; `entry` is the same of a page. `doubt` is about the looks
    since, which are not recorded. A run that no page shows is asked about `alone`. It is `failing`
    while looks do not come through; `error` is what keeps the run from being looked at any more.
    """

    source: Source
    thread_id: str
    run_id: str
    stream: str
    state: RunState = initial_state
    kind: HazardModel | None = field(default=None, repr=False)
    due: float = 0.0
    slot: list[WatchedRun] | None = field(default=None, repr=False)
    fellows: list[WatchedRun] | None = field(default=None, repr=False)
    in_line: bool = False
    is_here: bool = False
    began: float = 0.0
    looked: float = 0.0
    share: float = 0.0
    answered_here: bool = False
    hastened: bool = False
    body: bytes | None = None
    glance: object = None
    entry: Mapping[str, Any] | None = None
    alone: bool = False
    unchanged_until: datetime | None = None
    failing: Failing | None = None
    doubt: StaleRead | None = None
    error: RunfoldError | None = None
    # Few runs have any, and an empty tuple is shared.
    _waiters: tuple[_Waiter, ...] = ()

    @property
    def trouble(self) -> RunfoldError | None:
        """What the last look met, if it failed."""
        return None if self.failing is None else self.failing.trouble

    def learn(self, state: RunState) -> None:
        """Takes in a state that is recorded, and wakes those who waited for it."""
        self.state, self.kind = state, None
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
        """Tells those who wait that it cannot go on."""
        self.error = error
        waiting = self._waiters
        self._waiters = ()
        for _, future in waiting:
            if not future.done():
                future.set_exception(error)

    async def until(self, condition: Condition) -> RunState:
        """The state once `condition` holds. Raises what keeps the run from being watched."""
        if condition(self.state):
            return self.state
        if self.error is not None:
            raise self.error
        future: asyncio.Future[RunState] = asyncio.get_running_loop().create_future()
        self._waiters += ((condition, future),)
        return await future
