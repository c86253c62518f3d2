"""The requests of backfills, which somebody awaits: in the source's rate, behind its polls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from tracker.errors import PollAgain, RateLimited, RunfoldError, SettingsError, Unreachable
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.error_policy import ErrorPolicy
from tracker.polling.queues.background_queue import BackgroundRequest
from tracker.polling.watch_list import WatchList
from tracker.runtime.clock import Clock
from tracker.runtime.log_fields import of_source
from tracker.sources.answer import Answer
from tracker.sources.source import Source

logger = logging.getLogger("runfold.backfill")

TRIES = 6

# A page of a list, and where to go on after it.
Listed = tuple[Answer, Sequence[Mapping[str, Any]], str | None]


@dataclass(eq=False, slots=True, kw_only=True)
class BackfillRequest(BackgroundRequest):
    """One request, and whoever waits for what comes of it."""

    ask: Callable[[], Awaitable[Listed]]
    answered: asyncio.Future[Listed]


class BackfillRequests:
    """Sends each request when no poll is due, and again where a later try may do.

    A refusal for now (429) is no try: it says only when to come again.
    """

    def __init__(self, roster: WatchList, clock: Clock, failures: ErrorPolicy) -> None:
        self._roster = roster
        self._clock = clock
        self._failures = failures
        self._numbers = count()
        self._awaited: set[asyncio.Future[Listed]] = set()
        self._is_closed = False

    async def ask(self, source: Source, ask: Callable[[], Awaitable[Listed]]) -> Listed:
        """What a request brings once it came through.

        Raises the SourceError after which no later try would do, or that of the last of several
        tries, and SettingsError where the tracker is left meanwhile.
        """
        if self._is_closed:
            raise _left()
        answered: asyncio.Future[Listed] = asyncio.get_running_loop().create_future()
        errands = self._roster.gate(source).backfill
        errand = BackfillRequest(source, str(next(self._numbers)), ask=ask, answered=answered)
        errands.add(errand, self._clock.monotonic())
        self._awaited.add(answered)
        try:
            return await answered
        finally:
            self._awaited.discard(answered)
            errands.drop(errand)

    async def go(self, errand: BackfillRequest, gate: SourceDispatcher) -> None:
        """Sends a request once, and tells who waits for it or has it sent again later."""
        try:
            listed = await errand.ask()
            self._roster.heed(gate, listed[0])
        except RunfoldError as error:
            self._failed(errand, gate, error)
        except Exception as error:
            name = errand.source.name
            logger.exception("%s: the source failed", name, extra=of_source(name))
            self._failed(errand, gate, Unreachable(f"{type(error).__name__}: {error}"))
        else:
            if not errand.answered.done():
                errand.answered.set_result(listed)

    def close(self) -> None:
        """Lets nobody wait any longer."""
        self._is_closed = True
        for answered in self._awaited:
            if not answered.done():
                answered.set_exception(_left())

    def _failed(self, errand: BackfillRequest, gate: SourceDispatcher, error: RunfoldError) -> None:
        if not isinstance(error, RateLimited):
            errand.failures += 1
        pause = self._failures.of_source(gate, error, max(errand.failures, 1))
        if errand.answered.done():
            return
        if isinstance(error, PollAgain) and errand.failures < TRIES:
            gate.backfill.add(errand, self._clock.monotonic() + pause)
        else:
            errand.answered.set_exception(error)
            # Whoever waited may be gone; the error was theirs to see.
            errand.answered.exception()


def _left() -> SettingsError:
    return SettingsError("the tracker was left during a backfill: enter it and call it again")
