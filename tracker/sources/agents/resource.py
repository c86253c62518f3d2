"""The source of turns of sessions of the Agents API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Unpack

from pydantic_core import to_json

from tracker.core.state import RunState
from tracker.errors import RequestRefused
from tracker.sources.agents import snapshots
from tracker.sources.agents.snapshots import TURN_OBJECT, WAITING, with_session
from tracker.sources.answer import Answer, count_requests
from tracker.sources.asked import check_answer
from tracker.sources.http.address import path_of
from tracker.sources.http.api_keys import ApiKey
from tracker.sources.http.requests import ask_for_entries, page_query
from tracker.sources.http.source import HttpSettings, HttpSource
from tracker.sources.http.transport import AuthHeader
from tracker.sources.source import SETTLING_SECONDS
from tracker.sources.wire import check_entity

_SESSION = {"object": "agent.session"}


class AgentTurns(HttpSource):
    """A service with the Agents API. Nothing is opened before the first call.

    A turn of a session is a run, and its session is the thread. The calls that a turn waits for,
    and the model of its agent, are fields of the session. So the session is requested too with
    the first poll of a turn, with each page, and while a turn waits. A turn that is first seen more
    than a minute after its end has no model, since its session may have another one since. The
    usage of a turn may be corrected after its end: it is polled again ten seconds, a minute and
    ten minutes later.

    `beta` is the version of the API, None for a service that wants no such header.
    """

    payload_format = snapshots.FORMAT
    needs_thread = True

    def __init__(
        self,
        base_url: str,
        api_key: ApiKey = None,
        *,
        name: str = "agents",
        beta: str | None = "agents=v1",
        auth_header: AuthHeader = "bearer",
        headers: Mapping[str, str] | None = None,
        **settings: Unpack[HttpSettings],
    ) -> None:
        sent = {**({"OpenAI-Beta": beta} if beta else {}), **(headers or {})}
        super().__init__(
            base_url, api_key, name=name, auth_header=auth_header, headers=sent, **settings
        )

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        """Returns the answer about one turn of the session `thread_id`, with the session's fields.

        Raises RequestRefused if the session is not known.
        """
        if not thread_id:
            raise RequestRefused(f"{run_id} is not asked about: say which session it is in")
        path = _turns_path(thread_id, run_id)
        answer, turn = await self._transport.ask_about(path, known)
        if answer.body is known:
            return answer
        expected = {"object": TURN_OBJECT, "session_id": thread_id}
        answer, turn = check_answer(f"GET {path}", answer, turn, run_id, expected)
        if known is not None and turn.get("status") != WAITING:
            return answer
        with count_requests(answer):
            second, session = await self._session(thread_id)
        return answer.then(second, to_json(with_session(turn, session, _now(second))))

    async def fetch_page(
        self, thread_id: str, limit: int
    ) -> tuple[Answer, Sequence[Mapping[str, Any]]]:
        """Returns the newest turns of a session, at most `limit` (up to 100), with its fields."""
        expected = {"object": TURN_OBJECT, "session_id": thread_id}
        query = page_query(after=None, before=None, limit=limit, order="desc")
        path = _turns_path(thread_id)
        answer, turns, _ = await ask_for_entries(self._transport, path, expected, query)
        with count_requests(answer):
            second, session = await self._session(thread_id)
        now = _now(second)
        return answer.then(second), [with_session(turn, session, now) for turn in turns]

    async def fetch_runs(
        self, thread_id: str, after: str | None = None
    ) -> tuple[Answer, Sequence[Mapping[str, Any]], str | None]:
        """Returns up to 100 of a session's turns, oldest first, and the id to go on after."""
        expected = {"object": TURN_OBJECT, "session_id": thread_id}
        query = page_query(after=after, before=None, limit=100, order="asc")
        path = _turns_path(thread_id)
        answer, turns, more = await ask_for_entries(
            self._transport, path, expected, query, keeps_others=True
        )
        with count_requests(answer):
            second, session = await self._session(thread_id)
        now = _now(second)
        return answer.then(second), [with_session(turn, session, now) for turn in turns], more

    def usage_settles_after(self, state: RunState) -> Sequence[float]:
        """Returns the seconds after its end at which to ask again about a turn."""
        return SETTLING_SECONDS

    async def _session(self, session_id: str) -> tuple[Answer, dict[str, Any]]:
        path = path_of("agents", "sessions", session_id)
        answer, session = await self._transport.ask("GET", path)
        check_entity(f"GET {path}", session, {**_SESSION, "id": session_id})
        return answer, session


def _now(answer: Answer) -> datetime:
    """Returns when an answer was given, by the clock of the service if it tells that."""
    return answer.date or answer.observed_at


def _turns_path(session_id: str, *more: str) -> str:
    return path_of("agents", "sessions", session_id, "turns", *more)
