"""What an application's own calls showed, recorded as if the tracker had made them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from tracker.capture.exchange import Exchange
from tracker.capture.recorder import ResponseAnswers, RunAnswers, Warn
from tracker.core.events import run_stream
from tracker.core.state import RunState
from tracker.session import Session
from tracker.sources.assistants.resource import Assistants
from tracker.sources.documents import objects_in
from tracker.sources.responses.resource import Responses
from tracker.sources.responses.snapshots import answers_in

_REMEMBERED = 10_000

Api = Assistants | Responses


@dataclass(slots=True)
class _Seen:
    """A body that is recorded, when it was last asked for, and the state that came of it."""

    digest: bytes
    asked_at: datetime
    state: RunState | None


class ExchangeRecorder:
    """Takes in the calls that an application made, on the event loop of an open tracker.

    A body that shows what the last one showed is not read: a run that is asked about again and
    again is decoded once for each change.
    """

    def __init__(self, session: Session, warn: Warn, failed: Callable[[Exception], None]) -> None:
        self.session = session
        self._warn = warn
        self._failed = failed
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    def take(self, api: Api, exchange: Exchange) -> asyncio.Task[None] | None:
        """Begins to record what a call showed; None where it showed nothing new."""
        call = exchange.route.call
        key = _key(api, exchange)
        digest = blake2b(exchange.answer.body, digest_size=16).digest()
        seen, watched = self._seen.get(key), self.session.watch_list.find(key)
        if seen is not None and watched is not None and watched.state is not seen.state:
            # It was looked at otherwise since, and may have come back to what it was.
            seen = None
        asked_at = exchange.answer.asked_at
        moments = [seen.asked_at] if seen else []
        moments += [watched.unchanged_until] if watched and watched.unchanged_until else []
        since = [moment for moment in moments if moment <= asked_at]
        if seen is not None and seen.digest == digest and call in ("retrieve", "list"):
            seen.asked_at = max(seen.asked_at, asked_at)
            if watched is not None:
                watched.unchanged_until = max([*since, asked_at])
            return None
        record = self._record(api, exchange, digest, max(since, default=None))
        return self.session.commits.start(record)

    async def _record(
        self, api: Api, exchange: Exchange, digest: bytes, since: datetime | None
    ) -> None:
        try:
            if isinstance(api, Assistants):
                await self._record_run(api, exchange, digest, since)
            else:
                await self._record_response(api, exchange, digest, since)
        except Exception as error:
            self._failed(error)

    async def _record_run(
        self, api: Assistants, exchange: Exchange, digest: bytes, since: datetime | None
    ) -> None:
        answers = RunAnswers(api, self.session, self._warn)
        route = exchange.route
        if route.call == "list":
            if await answers.all_seen(exchange.runs().data):
                self._remember(_key(api, exchange), digest, exchange, None)
            return
        if route.call in ("step", "steps"):
            steps = [exchange.step()] if route.call == "step" else exchange.steps().data
            await answers.steps_seen(route.run_id or "", steps)
            return
        run = exchange.run()
        thread_id = route.thread_id or run.thread_id
        if route.call == "submit_tool_outputs":
            sent = exchange.request
            given = [*objects_in(sent.get("tool_outputs")), *objects_in(sent.get("tool_approvals"))]
            state = await answers.submitted(run, thread_id, given)
        else:
            watch = route.call in ("create", "cancel")
            state = await answers.seen(run, watch=watch, thread_id=thread_id, unchanged_until=since)
        if state is not None:
            self._remember(run_stream(api.name, state.run_id), digest, exchange, state)

    async def _record_response(
        self, api: Responses, exchange: Exchange, digest: bytes, since: datetime | None
    ) -> None:
        answers = ResponseAnswers(api, self.session, self._warn)
        response = exchange.response()
        sent = exchange.request
        if exchange.route.call == "create":
            previous = sent.get("previous_response_id")
            answered = answers_in(sent.get("input"))
            await answers.ended_waits(answered, previous, response)
        background = sent.get("background") if response.background is None else response.background
        # One that was not made in the background came whole: there is nothing to follow.
        if background is False or (exchange.route.call == "create" and not background):
            return
        watch = exchange.route.call != "retrieve"
        state = await answers.seen(response, watch=watch, unchanged_until=since)
        if state is not None:
            self._remember(run_stream(api.name, state.run_id), digest, exchange, state)

    def _remember(
        self, key: str, digest: bytes, exchange: Exchange, state: RunState | None
    ) -> None:
        asked_at = exchange.answer.asked_at
        known = self._seen.get(key)
        if known is not None and known.asked_at > asked_at:
            return
        self._seen[key] = _Seen(digest, asked_at, state)
        self._seen.move_to_end(key)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)


def _key(api: Api, exchange: Exchange) -> str:
    """The stream of the run that is asked about, or what else is."""
    run_id = exchange.route.run_id
    return f"{api.name} {exchange.target}" if run_id is None else run_stream(api.name, run_id)
