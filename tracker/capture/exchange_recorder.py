"""Records the calls of an application's own client as if the tracker had made them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from tracker.capture.exchange import CapturedSource, Exchange
from tracker.capture.recorder import Call, ResponseCallRecorder, RunCallRecorder, Warn
from tracker.core.events import run_stream
from tracker.core.recent_dict import RecentDict
from tracker.core.state import RunState
from tracker.session import Session
from tracker.sources.assistants.resource import Assistants
from tracker.sources.documents import objects_in
from tracker.sources.responses.resource import Responses
from tracker.sources.responses.snapshots import answers_in

_REMEMBERED = 10_000


@dataclass(slots=True)
class _RecordedBody:
    """A recorded body, the time of its last request, and the run's state after it."""

    digest: bytes
    asked_at: datetime
    state: RunState | None


class ExchangeRecorder:
    """Records exchanges on the event loop of an open tracker.

    A body that equals the last one of the same run is not decoded: a run that is requested again
    and again costs one decoding per change. `on_error` is called with unexpected errors.
    """

    def __init__(self, session: Session, warn: Warn, on_error: Callable[[Exception], None]) -> None:
        self.session = session
        self._warn = warn
        self._on_error = on_error
        # By stream, or by the target of a list.
        self._bodies: RecentDict[str, _RecordedBody] = RecentDict(_REMEMBERED)

    def record(self, source: CapturedSource, exchange: Exchange) -> asyncio.Task[None] | None:
        """Starts to record an exchange. Returns None if it shows nothing new."""
        call = exchange.route.call
        key = _key(source, exchange)
        digest = blake2b(exchange.answer.body, digest_size=16).digest()
        last, watched = self._bodies.get(key), self.session.watch_list.find(key)
        if last is not None and watched is not None and watched.state is not last.state:
            # The run changed since, and may have returned to the state of this body.
            last = None
        asked_at = exchange.answer.asked_at
        times = [last.asked_at] if last else []
        times += [watched.unchanged_until] if watched and watched.unchanged_until else []
        earlier = [time for time in times if time <= asked_at]
        if last is not None and last.digest == digest and call in ("retrieve", "list"):
            last.asked_at = max(last.asked_at, asked_at)
            if watched is not None:
                watched.unchanged_until = max([*earlier, asked_at])
            return None
        recording = self._record(source, exchange, digest, max(earlier, default=None))
        return self.session.commits.start(recording)

    async def _record(
        self,
        source: CapturedSource,
        exchange: Exchange,
        digest: bytes,
        unchanged_until: datetime | None,
    ) -> None:
        try:
            if isinstance(source, Assistants):
                await self._record_run(source, exchange, digest, unchanged_until)
            else:
                await self._record_response(source, exchange, digest, unchanged_until)
        except Exception as error:
            self._on_error(error)

    async def _record_run(
        self,
        source: Assistants,
        exchange: Exchange,
        digest: bytes,
        unchanged_until: datetime | None,
    ) -> None:
        recorder = RunCallRecorder(source, self.session, self._warn)
        route = exchange.route
        if route.call == "list":
            if await recorder.record_all(exchange.read_runs().data, route.thread_id):
                self._remember(_key(source, exchange), digest, exchange, None)
            return
        if route.call in ("step", "steps"):
            is_one = route.call == "step"
            steps = [exchange.read_step()] if is_one else exchange.read_steps().data
            await recorder.record_steps(route.run_id or "", steps)
            return
        run = exchange.read_run()
        thread_id = route.thread_id or run.thread_id
        if route.call == "submit_tool_outputs":
            sent = exchange.sent_document
            given = [*objects_in(sent.get("tool_outputs")), *objects_in(sent.get("tool_approvals"))]
            state = await recorder.record_submission(run, thread_id, given, exchange.known)
        else:
            call = _changing_call(route.call)
            state = await recorder.record(
                run,
                exchange.known,
                watch=call is not None,
                thread_id=thread_id,
                unchanged_until=unchanged_until,
                call=call,
            )
        if state is not None:
            self._remember(run_stream(source.name, state.run_id), digest, exchange, state)

    async def _record_response(
        self,
        source: Responses,
        exchange: Exchange,
        digest: bytes,
        unchanged_until: datetime | None,
    ) -> None:
        recorder = ResponseCallRecorder(source, self.session, self._warn)
        response = exchange.read_response()
        sent = exchange.sent_document
        if exchange.route.call == "create":
            previous = sent.get("previous_response_id")
            await recorder.end_waits(answers_in(sent.get("input")), previous, response)
        background = sent.get("background") if response.background is None else response.background
        # Other responses are complete when they arrive, and are not tracked.
        if background is False or (exchange.route.call == "create" and not background):
            return
        watch = exchange.route.call != "retrieve"
        state = await recorder.record(
            response,
            exchange.known,
            watch=watch,
            unchanged_until=unchanged_until,
            call=_changing_call(exchange.route.call),
        )
        if state is not None:
            self._remember(run_stream(source.name, state.run_id), digest, exchange, state)

    def _remember(
        self, key: str, digest: bytes, exchange: Exchange, state: RunState | None
    ) -> None:
        asked_at = exchange.answer.asked_at
        known = self._bodies.get(key)
        if known is not None and known.asked_at > asked_at:
            return
        self._bodies.put(key, _RecordedBody(digest, asked_at, state))


def _changing_call(call: str) -> Call | None:
    return "create" if call == "create" else "cancel" if call == "cancel" else None


def _key(source: CapturedSource, exchange: Exchange) -> str:
    """Returns the stream of the requested run, or the target of another request."""
    run_id = exchange.route.run_id
    return f"{source.name} {exchange.target}" if run_id is None else run_stream(source.name, run_id)
