"""Calls of an application's own client, found among its requests and handed to the tracker."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from typing import Any, NamedTuple

from tracker.capture.exchange import Exchange, Route, response_route, run_route
from tracker.capture.exchange_recorder import Api, ExchangeRecorder
from tracker.errors import RunfoldError, SettingsError
from tracker.runtime.log_fields import of_run
from tracker.session import Session
from tracker.sources.answer import Answer
from tracker.sources.assistants.resource import Assistants
from tracker.sources.registry import SourceRegistry
from tracker.sources.responses.resource import Responses

logger = logging.getLogger("runfold.capture")

BODY_CAP = 8_000_000


class Asked(NamedTuple):
    """A request that is about runs of a source, and when it was sent."""

    api: Api
    route: Route
    at: datetime


class ClientCapture:
    """What the hooks of clients need of one tracker, which may be open or not when they call.

    Errors are logged, once for each kind. Safe for threads. `require_session` returns the open
    tracker's parts, and raises SettingsError if it is not open.
    """

    def __init__(self, sources: SourceRegistry, require_session: Callable[[], Session]) -> None:
        self._sources = sources
        self._require_session = require_session
        self._overhearing: ExchangeRecorder | None = None
        self._late: Future[None] | None = None
        self._told: set[str] = set()

    def apis(self, source: str | None) -> list[Api]:
        """The sources whose calls are captured: all there are, or that of a name.

        Raises SettingsError where there are none.
        """
        named = self._sources.values() if source is None else [self._sources.named(source)]
        apis = [api for api in named if isinstance(api, Assistants | Responses)]
        if not apis:
            raise SettingsError("only calls to Assistants and Responses sources can be captured")
        return apis

    def asked(self, request: Any, apis: list[Api]) -> Asked | None:
        """What a request asks for, where it is about runs of one of the sources `apis`."""
        found = [(api, route) for api in apis if (route := _route(api, request)) is not None]
        if not found:
            return None
        if len(found) > 1:
            self._tell(
                "sources", "several sources are at the address of a captured client: say which"
            )
            return None
        return Asked(*found[0], self._require_session().clock.now())

    def take(self, asked: Asked, response: Any, body: bytes) -> Future[None]:
        """Has a whole answer recorded; what is given is done when it is.

        On the tracker's event loop it is done already where the answer shows nothing new.
        """
        session = self._require_session()
        exchange = _exchange(asked, response, body, session.clock.now())
        done: Future[None] = Future()
        # Whoever waits for it cannot cancel it.
        done.set_running_or_notify_cancel()

        def begin() -> None:
            try:
                task = self._heard(session).take(asked.api, exchange)
            except Exception as error:
                self.failed(error)
                task = None
            if task is None:
                done.set_result(None)
            else:
                task.add_done_callback(lambda _: done.set_result(None))

        if running_loop() is session.loop:
            begin()
        else:
            session.loop.call_soon_threadsafe(begin)
        return done

    def may_wait(self, done: Future[None]) -> bool:
        """Whether the recording is to be waited for: not where an earlier one is still late."""
        return not done.done() and (self._late is None or self._late.done())

    def waited(self, done: Future[None]) -> None:
        """Remembers what did not come in time."""
        if not done.done():
            self._late = done
            self._tell("late", "recording is slow: what calls show is recorded after they return")

    def blocks(self) -> bool:
        """Whether this thread is the one that the tracker records with."""
        return running_loop() is self._require_session().loop

    def too_large(self) -> None:
        """Logs that an answer was let pass unread."""
        self._tell("size", f"an answer of more than {BODY_CAP / 1_000_000:g} MB is not recorded")

    def failed(self, error: Exception) -> None:
        """Logs that a call was not captured."""
        kind, why = type(error).__name__, f"{error}"
        if not isinstance(error, RunfoldError):
            # What others say may hold anything.
            place = traceback.extract_tb(error.__traceback__)[-1]
            why = f"{kind} in {place.name}, line {place.lineno}"
        self._tell(kind, f"a call is not captured: {why}")

    def _heard(self, session: Session) -> ExchangeRecorder:
        if self._overhearing is None or self._overhearing.session is not session:
            self._overhearing = ExchangeRecorder(session, self._warn, self.failed)
        return self._overhearing

    def _warn(self, stream: str, what: str, error: RunfoldError) -> None:
        self._tell(type(error).__name__, f"{stream}: {what}: {error}", of_run(stream))

    def _tell(self, kind: str, message: str, extra: dict[str, str] | None = None) -> None:
        if kind not in self._told:
            self._told.add(kind)
            logger.warning("%s (said once)", message, extra=extra)


def _route(api: Api, request: Any) -> Route | None:
    path = api.path_below(request.url)
    if path is None:
        return None
    route = run_route if isinstance(api, Assistants) else response_route
    return route(request.method, path)


def _exchange(asked: Asked, response: Any, body: bytes, now: datetime) -> Exchange:
    request = response.request
    target = request.url.raw_path.decode("ascii")
    posted = request.method == "POST"
    # When to ask again is for whoever asks; it has the headers.
    answer = Answer(body, response.status_code, asked.at, now)
    method_and_path = f"{request.method} {target.partition('?')[0]}"
    return Exchange(
        asked.route, method_and_path, answer, target, request.content if posted else b""
    )


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread, None where none of asyncio does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
