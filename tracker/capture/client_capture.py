"""Finds calls about runs among the requests of an application's client, and has them recorded."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from typing import Any, NamedTuple

from tracker.capture.exchange import CapturedSource, Exchange, Route, find_route
from tracker.capture.exchange_recorder import ExchangeRecorder
from tracker.core.events import run_stream
from tracker.errors import RunfoldError, SettingsError
from tracker.runtime.log_fields import of_run
from tracker.session import Session
from tracker.sources.answer import Answer
from tracker.sources.assistants.resource import Assistants
from tracker.sources.registry import SourceRegistry
from tracker.sources.responses.resource import Responses

logger = logging.getLogger("runfold.capture")

BODY_CAP = 8_000_000


class CapturedRequest(NamedTuple):
    """A request about runs of a source, when it was sent, and the version of its run known then."""

    source: CapturedSource
    route: Route
    sent_at: datetime
    known: int


class ClientCapture:
    """The side of the tracker that the hooks of clients call, whether it is open or not.

    Errors are logged, once per type. Safe for threads. `require_session` returns the open
    tracker's parts, and raises SettingsError if it is not open.
    """

    def __init__(self, sources: SourceRegistry, require_session: Callable[[], Session]) -> None:
        self._sources = sources
        self._require_session = require_session
        self._recorder: ExchangeRecorder | None = None
        # The last recording that a call did not wait for to the end.
        self._late: Future[None] | None = None
        self._warned: set[str] = set()

    def find_sources(self, name: str | None) -> list[CapturedSource]:
        """Returns the sources whose calls are captured: all of them, or the one of a name.

        Raises SettingsError if there are none.
        """
        candidates = self._sources.values() if name is None else [self._sources.named(name)]
        sources = [it for it in candidates if isinstance(it, Assistants | Responses)]
        if not sources:
            raise SettingsError("only calls to Assistants and Responses sources can be captured")
        return sources

    def match(self, request: Any, sources: list[CapturedSource]) -> CapturedRequest | None:
        """Returns a request with its source and call, None if it is not about runs of `sources`."""
        found = [(it, route) for it in sources if (route := find_route(it, request)) is not None]
        if not found:
            return None
        if len(found) > 1:
            self._warn_once(
                "sources", "several sources are at the address of a captured client: say which"
            )
            return None
        session, (source, route) = self._require_session(), found[0]
        stream = run_stream(source.name, route.run_id or "")
        return CapturedRequest(
            source, route, session.clock.now(), session.watch_list.known_version(stream)
        )

    def record(self, request: CapturedRequest, response: Any, body: bytes) -> Future[None]:
        """Records a complete response. The returned future resolves once it is stored.

        On the tracker's event loop it is already resolved if the response shows nothing new.
        """
        session = self._require_session()
        exchange = _make_exchange(request, response, body, session.clock.now())
        done: Future[None] = Future()
        # A caller that waits for it cannot cancel it.
        done.set_running_or_notify_cancel()

        def start() -> None:
            try:
                task = self._recorder_of(session).record(request.source, exchange)
            except Exception as error:
                self.warn_failed(error)
                task = None
            if task is None:
                done.set_result(None)
            else:
                task.add_done_callback(lambda _: done.set_result(None))

        if running_loop() is session.loop:
            start()
        else:
            session.loop.call_soon_threadsafe(start)
        return done

    def should_wait(self, done: Future[None]) -> bool:
        """True if a call should wait for its recording: not while an earlier one is late."""
        return not done.done() and (self._late is None or self._late.done())

    def end_wait(self, done: Future[None]) -> None:
        """Remembers a recording that did not finish in time."""
        if not done.done():
            self._late = done
            self._warn_once("late", "recording is slow: calls are recorded after they return")

    def is_recording_thread(self) -> bool:
        """True on the thread whose event loop records."""
        return running_loop() is self._require_session().loop

    def warn_too_large(self) -> None:
        """Logs that a response was not read."""
        size = f"{BODY_CAP / 1_000_000:g} MB"
        self._warn_once("size", f"an answer of more than {size} is not recorded")

    def warn_failed(self, error: Exception) -> None:
        """Logs that a call was not captured."""
        error_type, reason = type(error).__name__, f"{error}"
        if not isinstance(error, RunfoldError):
            # The message of another error may contain anything.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{error_type} in {frame.name}, line {frame.lineno}"
        self._warn_once(error_type, f"a call is not captured: {reason}")

    def _recorder_of(self, session: Session) -> ExchangeRecorder:
        if self._recorder is None or self._recorder.session is not session:
            self._recorder = ExchangeRecorder(session, self._warn, self.warn_failed)
        return self._recorder

    def _warn(self, stream: str, problem: str, error: RunfoldError) -> None:
        self._warn_once(type(error).__name__, f"{stream}: {problem}: {error}", of_run(stream))

    def _warn_once(self, key: str, message: str, extra: dict[str, str] | None = None) -> None:
        if key not in self._warned:
            self._warned.add(key)
            logger.warning("%s (logged once)", message, extra=extra)


def _make_exchange(
    request: CapturedRequest, response: Any, body: bytes, observed_at: datetime
) -> Exchange:
    sent = response.request
    target = sent.url.raw_path.decode("ascii")
    # Without hints: the application decides when to ask again.
    answer = Answer(body, response.status_code, request.sent_at, observed_at)
    return Exchange(
        request.route,
        f"{sent.method} {target.partition('?')[0]}",
        answer,
        target,
        sent.content if sent.method == "POST" else b"",
        request.known,
    )


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Returns the asyncio event loop that runs in this thread, None if there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
