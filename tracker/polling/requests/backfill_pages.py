"""The requests of backfills: sent at the source's rate, behind its polls, and awaited."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from tracker.errors import PollAgain, RateLimited, RunfoldError, SettingsError
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.error_policy import ErrorPolicy
from tracker.polling.queues.background_queue import BackgroundRequest
from tracker.polling.requests.source_errors import unexpected_as_unreachable
from tracker.polling.watch_list import WatchList
from tracker.runtime.clock import Clock
from tracker.runtime.log_fields import of_source
from tracker.sources.answer import Answer
from tracker.sources.source import Source

logger = logging.getLogger("runfold.backfill")

# A 429 does not count: it only says when to send the request again.
MAX_BACKFILL_TRIES = 6

# A page of a list, and the cursor of the next page.
ListPage = tuple[Answer, Sequence[Mapping[str, Any]], str | None]


@dataclass(eq=False, slots=True, kw_only=True)
class BackfillRequest(BackgroundRequest):
    """One request for a page, and the future of its result."""

    fetch_page: Callable[[], Awaitable[ListPage]]
    result: asyncio.Future[ListPage]


class BackfillPages:
    """The pages that backfills wait for: each is requested when no poll is due, with retries."""

    def __init__(self, watch_list: WatchList, clock: Clock, error_policy: ErrorPolicy) -> None:
        self._watch_list = watch_list
        self._clock = clock
        self._error_policy = error_policy
        self._numbers = count()
        self._awaited: set[asyncio.Future[ListPage]] = set()
        self._is_closed = False

    async def fetch(
        self, source: Source, fetch_page: Callable[[], Awaitable[ListPage]]
    ) -> ListPage:
        """Returns a page once its request has succeeded.

        Raises the SourceError that makes a retry pointless, or that of the last try, and
        SettingsError if the tracker is closed meanwhile.
        """
        if self._is_closed:
            raise _closed_error()
        result: asyncio.Future[ListPage] = asyncio.get_running_loop().create_future()
        queue = self._watch_list.dispatcher(source).backfill
        key = str(next(self._numbers))
        request = BackfillRequest(source, key, fetch_page=fetch_page, result=result)
        queue.add(request, self._clock.monotonic())
        self._awaited.add(result)
        try:
            return await result
        finally:
            self._awaited.discard(result)
            queue.remove(request)

    async def send(self, request: BackfillRequest, dispatcher: SourceDispatcher) -> None:
        """Sends a request once; resolves its future, or queues it again."""
        try:
            with unexpected_as_unreachable(logger, request.source.name, of_source):
                page = await request.fetch_page()
                self._watch_list.apply_rate_headers(dispatcher, page[0], request.subject)
        except RunfoldError as error:
            self._on_error(request, dispatcher, error)
        else:
            if not request.result.done():
                request.result.set_result(page)

    def close(self) -> None:
        """Raises SettingsError in all backfills."""
        self._is_closed = True
        for result in self._awaited:
            if not result.done():
                result.set_exception(_closed_error())

    def _on_error(
        self, request: BackfillRequest, dispatcher: SourceDispatcher, error: RunfoldError
    ) -> None:
        if not isinstance(error, RateLimited):
            request.failures += 1
        failures = max(request.failures, 1)
        pause = self._error_policy.on_source_error(dispatcher, error, failures, request.subject)
        if request.result.done():
            return
        if isinstance(error, PollAgain) and request.failures < MAX_BACKFILL_TRIES:
            dispatcher.backfill.add(request, self._clock.monotonic() + pause)
        else:
            request.result.set_exception(error)
            # The backfill may have been cancelled; without this, asyncio logs the error.
            request.result.exception()


def _closed_error() -> SettingsError:
    return SettingsError("the tracker was left during a backfill: enter it and call it again")
