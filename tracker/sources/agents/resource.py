"""The source of turns of sessions of the Agents API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Unpack

from pydantic_core import from_json, to_json

from tracker.core.recent_dict import RecentDict
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import RunState
from tracker.core.status import ENDED
from tracker.errors import (
    Misconfigured,
    NotFound,
    PollAgain,
    RateLimited,
    RequestRefused,
    SettingsError,
    UnusableAnswer,
)
from tracker.sources.agents import snapshots
from tracker.sources.agents.snapshots import (
    TURN_OBJECT,
    WAITING,
    closed_at,
    may_have_subagents,
    newest_first,
    with_session,
)
from tracker.sources.answer import Answer, count_requests
from tracker.sources.asked import check_answer
from tracker.sources.http.address import path_of
from tracker.sources.http.api_keys import ApiKey
from tracker.sources.http.requests import ask_for_entries, page_query, warn_once
from tracker.sources.http.source import HttpSettings, HttpSource
from tracker.sources.http.transport import AuthHeader
from tracker.sources.source import SETTLING_SECONDS
from tracker.sources.wire import check_entity

_SESSION = {"object": "agent.session"}
_SUBAGENT = {"object": "agent.session.subagent"}

# Turns whose sub-agents are known, and closed sub-agents whose turns were read.
_REMEMBERED = 10_000
# The newest sub-agents that are looked at, and those of them whose turns are read for one page.
_SUBAGENTS = 100
_SUBAGENTS_PER_PAGE = 20
# The turns of a sub-agent that was closed longer ago are read once.
_CLOSED = timedelta(minutes=10)
# Begins a cursor that goes on with the turns of a sub-agent.
_BELOW = "subagents:"
_REFUSALS = (NotFound, Misconfigured, RequestRefused, UnusableAnswer)


class AgentTurns(HttpSource):
    """A service with the Agents API. Nothing is opened before the first call.

    A turn of a session is a run, and its session is the thread; so are the turns of its sub-agents,
    which have their `subagent_id`. The calls that a turn waits for, the model of its agent and the
    tokens of the whole session are fields of the session. So the session is requested too with the
    first poll of a turn, with each page, while a turn waits, and once it has ended. A turn that is
    first seen more than a minute after its end has no model, since its session may have another
    one since. The usage of a turn may be corrected after its end: it is polled again ten seconds, a
    minute and ten minutes later.

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
        # The sub-agents of turns; the others are the session's own, or are searched for.
        self._subagent_of: RecentDict[str, str] = RecentDict(_REMEMBERED)
        # By session and sub-agent, its closing after which all its turns were read.
        self._closed: RecentDict[tuple[str, str], datetime] = RecentDict(_REMEMBERED)

    def snapshot(
        self,
        body: Any,
        *,
        observed_at: datetime,
        asked_at: datetime | None = None,
        unchanged_until: datetime | None = None,
    ) -> RunSnapshot:
        """Returns a turn as a snapshot, as `HttpSource.snapshot`; remembers its sub-agent."""
        found = super().snapshot(
            body, observed_at=observed_at, asked_at=asked_at, unchanged_until=unchanged_until
        )
        if found.subagent_id is not None:
            self._subagent_of.put(found.run_id, found.subagent_id)
        return found

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        """Returns the answer about one turn of the session `thread_id`, with the session's fields.

        A turn that the session does not have is searched for among those of its sub-agents. Raises
        RequestRefused if the session is not known.
        """
        if not thread_id:
            raise RequestRefused(f"{run_id} is not asked about: say which session it is in")
        answer, turn = await self._turn(thread_id, run_id, known)
        if answer.body is known:
            return answer
        has_ended = turn.get("status") in ENDED
        if known is not None and not has_ended and turn.get("status") != WAITING:
            return answer
        try:
            with count_requests(answer):
                second, session = await self._session(thread_id)
        except (PollAgain, *_REFUSALS) as error:
            # The end itself is known, whatever the session has to add.
            if not has_ended or isinstance(error, RateLimited):
                raise
            return replace(answer, requests=error.requests)
        document = with_session(turn, session, _now(second), is_newest=True)
        return answer.then(second, to_json(document))

    async def fetch_page(
        self, thread_id: str, limit: int
    ) -> tuple[Answer, Sequence[Mapping[str, Any]]]:
        """Returns the newest turns of a session and its sub-agents, at most `limit` (up to 100)."""
        query = page_query(after=None, before=None, limit=limit, order="desc")
        path, expected = _turns_path(thread_id, None), _expected(thread_id)
        answer, own, _ = await ask_for_entries(self._transport, path, expected, query)
        with count_requests(answer):
            second, session = await self._session(thread_id)
        answer, now = answer.then(second), _now(second)
        answer, others = await self._turns_of_subagents(thread_id, session, answer, now, limit)
        turns = newest_first([*own, *others]) if others else own
        return answer, [
            with_session(turn, session, now, is_newest=number == 0)
            for number, turn in enumerate(turns[:limit])
        ]

    async def fetch_runs(
        self, thread_id: str, after: str | None = None
    ) -> tuple[Answer, Sequence[Mapping[str, Any]], str | None]:
        """Returns up to 100 of a session's turns, oldest first, and a cursor to go on after.

        Those of its sub-agents follow, one sub-agent after the other.
        """
        if after is not None and after.startswith(_BELOW):
            subagent_id, after = from_json(after.removeprefix(_BELOW))
        else:
            subagent_id = None
        query = page_query(after=after, before=None, limit=100, order="asc")
        path = _turns_path(thread_id, subagent_id)
        answer, turns, more = await ask_for_entries(
            self._transport, path, _expected(thread_id), query, keeps_others=True
        )
        turns = _of_subagent(turns, subagent_id)
        with count_requests(answer):
            second, session = await self._session(thread_id)
        answer, now, is_last = answer.then(second), _now(second), more is None
        if more is not None and subagent_id is not None:
            more = _below(subagent_id, more)
        elif more is None and may_have_subagents(session):
            answer, following = await self._subagent_after(thread_id, subagent_id, answer)
            more = None if following is None else _below(following, None)
        newest = len(turns) - 1 if is_last and subagent_id is None else None
        shown = [
            with_session(turn, session, now, is_newest=number == newest)
            for number, turn in enumerate(turns)
        ]
        return answer, shown, more

    def usage_settles_after(self, state: RunState) -> Sequence[float]:
        """Returns the seconds after its end at which to ask again about a turn."""
        return SETTLING_SECONDS

    async def _session(self, session_id: str) -> tuple[Answer, dict[str, Any]]:
        path = path_of("agents", "sessions", session_id)
        answer, session = await self._transport.ask("GET", path)
        check_entity(f"GET {path}", session, {**_SESSION, "id": session_id})
        return answer, session

    async def _turn(
        self, session_id: str, turn_id: str, known: bytes | None
    ) -> tuple[Answer, Mapping[str, Any]]:
        """Returns the answer about a turn of a session or of one of its sub-agents, and the turn.

        Raises NotFound if neither has it.
        """
        subagent_id = self._subagent_of.get(turn_id)
        try:
            return await self._turn_of(session_id, subagent_id, turn_id, known)
        except NotFound as error:
            if subagent_id is not None:
                raise
            missing = error
        try:
            listed, subagents = await self._subagents(session_id)
        except _REFUSALS as error:
            # A service without sub-agents.
            missing.requests += error.requests
            raise missing from None
        missing.requests += listed.requests
        for subagent in subagents:
            try:
                answer, turn = await self._turn_of(session_id, subagent["id"], turn_id, known)
            except NotFound as error:
                missing.requests += error.requests
                continue
            self._subagent_of.put(turn_id, subagent["id"])
            return replace(answer, requests=answer.requests + missing.requests), turn
        raise missing

    async def _turn_of(
        self, session_id: str, subagent_id: str | None, turn_id: str, known: bytes | None
    ) -> tuple[Answer, Mapping[str, Any]]:
        path = _turns_path(session_id, subagent_id, turn_id)
        probes = [path_of("agents", "sessions", session_id)]
        answer, turn = await self._transport.ask_about(path, known, probes=probes)
        if answer.body is known:
            return answer, turn
        answer, turn = check_answer(f"GET {path}", answer, turn, turn_id, _expected(session_id))
        if subagent_id is not None and not turn.get("subagent_id"):
            turn = {**turn, "subagent_id": subagent_id}
            answer = replace(answer, body=to_json(turn))
        return answer, turn

    async def _turns_of_subagents(
        self, session_id: str, session: Mapping[str, Any], answer: Answer, now: datetime, limit: int
    ) -> tuple[Answer, list[dict[str, Any]]]:
        """Returns the newest turns of the sub-agents of a session, and `answer` with these too.

        They are those of active sub-agents, of those that were closed a moment ago, and once of
        each other. A sub-agent that cannot be read costs only itself.
        """
        if not may_have_subagents(session):
            return answer, []
        query = page_query(after=None, before=None, limit=min(limit, 20), order="desc")
        found: list[dict[str, Any]] = []
        try:
            with count_requests(answer):
                second, subagents = await self._subagents(session_id)
        except _REFUSALS as error:
            return replace(answer, requests=error.requests), []
        answer = answer.then(second)
        for subagent in self._choose(session_id, subagents, now):
            path = _turns_path(session_id, subagent["id"])
            try:
                with count_requests(answer):
                    second, turns, _ = await ask_for_entries(
                        self._transport, path, _expected(session_id), query
                    )
            except _REFUSALS as error:
                warn_once(str(error))
                answer = replace(answer, requests=error.requests)
                continue
            answer = answer.then(second)
            found += _of_subagent(turns, subagent["id"])
            if (closed := closed_at(subagent)) is not None:
                self._closed.put((session_id, subagent["id"]), closed)
        return answer, found

    def _choose(
        self, session_id: str, subagents: Iterable[dict[str, Any]], now: datetime
    ) -> list[dict[str, Any]]:
        """Returns the sub-agents that may have new turns, those that are active first."""
        active, closed = [], []
        for subagent in subagents:
            moment = closed_at(subagent)
            if moment is None:
                active.append(subagent)
            elif now - moment < _CLOSED or (
                self._closed.get((session_id, subagent["id"])) != moment
            ):
                closed.append(subagent)
        return [*active, *closed][:_SUBAGENTS_PER_PAGE]

    async def _subagents(
        self, session_id: str, *, after: str | None = None, order: str = "desc"
    ) -> tuple[Answer, list[dict[str, Any]]]:
        """Returns the newest sub-agents of a session, or in the order "asc" the oldest."""
        path = path_of("agents", "sessions", session_id, "subagents")
        expected = {**_SUBAGENT, "session_id": session_id}
        query = page_query(after=after, before=None, limit=_SUBAGENTS, order=order)
        answer, subagents, _ = await ask_for_entries(self._transport, path, expected, query)
        return answer, [it for it in subagents if _can_be_asked(it["id"])]

    async def _subagent_after(
        self, session_id: str, subagent_id: str | None, answer: Answer
    ) -> tuple[Answer, str | None]:
        """Returns the sub-agent that follows, the first one after None; None if there is none."""
        try:
            with count_requests(answer):
                second, found = await self._subagents(session_id, after=subagent_id, order="asc")
        except _REFUSALS as error:
            return replace(answer, requests=error.requests), None
        ids = [it["id"] for it in found]
        # Where the service does not know `after`, the list has those before it too.
        following = ids[ids.index(subagent_id) + 1 :] if subagent_id in ids else ids
        return answer.then(second), next(iter(following), None)


def _now(answer: Answer) -> datetime:
    """Returns when an answer was given, by the clock of the service if it tells that."""
    return answer.date or answer.observed_at


def _turns_path(session_id: str, subagent_id: str | None, *more: str) -> str:
    below = () if subagent_id is None else ("subagents", subagent_id)
    return path_of("agents", "sessions", session_id, *below, "turns", *more)


def _expected(session_id: str) -> dict[str, str]:
    return {"object": TURN_OBJECT, "session_id": session_id}


def _of_subagent(turns: list[dict[str, Any]], subagent_id: str | None) -> list[dict[str, Any]]:
    """Returns turns with the id of the sub-agent below which they are listed."""
    if subagent_id is None:
        return turns
    return [
        turn if turn.get("subagent_id") else turn | {"subagent_id": subagent_id} for turn in turns
    ]


def _can_be_asked(subagent_id: str) -> bool:
    try:
        path_of(subagent_id)
    except SettingsError:
        return False
    return True


def _below(subagent_id: str, after: str | None) -> str:
    return f"{_BELOW}{to_json([subagent_id, after]).decode()}"
