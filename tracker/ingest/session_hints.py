"""Webhooks about a session of the Agents API, or the environment that it works in.

Both are hints at the newest turns of sessions, which they do not show.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from tracker.core.identifiers import is_identifier
from tracker.core.other_decisions import decide_environment
from tracker.core.state import UNKNOWN_VERSION, RunState
from tracker.errors import RunfoldError, WaitTimeout
from tracker.polling.requests.backfill_pages import ListPage
from tracker.polling.watch_list import FIRST_POLL_SECONDS
from tracker.recording.observation import Observation
from tracker.session import Session
from tracker.sources.agents.resource import AgentTurns

logger = logging.getLogger("runfold.webhooks")

_PREFIX = "agent.session."
_ENVIRONMENT = "agent.environment."
# A session has one open turn, and so has each of its sub-agents.
_TURNS = 20


def session_in(payload: Mapping[str, Any]) -> str | None:
    """Returns the session that a webhook is about, None if it is about something else."""
    event_type, data = payload.get("type"), payload.get("data")
    if not isinstance(event_type, str) or not event_type.startswith(_PREFIX):
        return None
    session_id = data.get("id") if isinstance(data, dict) else None
    return session_id if is_identifier(session_id) else None


def environment_in(payload: Mapping[str, Any]) -> tuple[str, str] | None:
    """Returns the environment that a webhook is about, and its status; None for something else."""
    event_type, data = payload.get("type"), payload.get("data")
    if not isinstance(event_type, str) or not event_type.startswith(_ENVIRONMENT):
        return None
    environment_id = data.get("id") if isinstance(data, dict) else None
    status = event_type.removeprefix(_ENVIRONMENT)
    if not isinstance(environment_id, str) or not is_identifier(environment_id):
        return None
    return (environment_id, status) if is_identifier(status) else None


def sessions_in(session: Session, origin: AgentTurns, environment_id: str) -> list[str]:
    """Returns the sessions in an environment of which a turn is watched."""
    runs = [it for it in session.watch_list.runs if it.source is origin]
    found = (it.thread_id for it in runs if it.state.environment_id == environment_id)
    return list(dict.fromkeys(filter(None, found)))


def is_watched(session: Session, origin: AgentTurns, session_id: str) -> bool:
    """True if a turn of a session is watched, or the session itself for new turns."""
    if session.watch_list.dispatcher(origin).discovery.find(session_id) is not None:
        return True
    runs = session.watch_list.runs
    return any(it.source is origin and it.thread_id == session_id for it in runs)


async def read_session(
    session: Session, origin: AgentTurns, session_id: str, timeout: float
) -> RunState | None:
    """Records the newest turns of a session, and watches those that are open.

    They are asked for at once, in the rate of the source. Returns the state of the newest one, of
    the session itself if there is one, and None if there is none. Raises WaitTimeout after
    `timeout` seconds, and the SourceError that keeps them from being read.
    """

    async def ask() -> ListPage:
        answer, turns = await origin.fetch_page(session_id, _TURNS)
        return answer, turns, None

    try:
        async with asyncio.timeout(timeout):
            answer, turns, _ = await session.backfill_pages.fetch(origin, ask)
    except TimeoutError:
        raise WaitTimeout(
            f"the turns of {session_id} that a webhook was about were not read within {timeout} s"
        ) from None
    state = None
    for turn in reversed(turns):
        try:
            snapshot = origin.snapshot(
                turn, observed_at=answer.observed_at, asked_at=answer.asked_at
            )
            result = await session.commits.record(Observation.of(snapshot, UNKNOWN_VERSION))
        except RunfoldError as error:
            logger.warning("%s: a turn of it is not recorded: %s", session_id, error)
            continue
        seen = result.state
        if seen.subagent_id is None or state is None or state.subagent_id is not None:
            state = seen
        if not seen.is_ended:
            session.watch_list.watch(
                origin, session_id, seen.run_id, state=seen, after=FIRST_POLL_SECONDS
            )
        session.updates.on_recorded(origin, result)
    return state


async def record_environment(
    session: Session, origin: AgentTurns, session_id: str, environment_id: str, status: str
) -> RunState | None:
    """Records the status of the environment with the open turns of a session that are watched.

    Returns the state of the one that was recorded last, None if there is none.
    """
    state, now = None, session.clock.now()
    for watched in session.watch_list.runs:
        if watched.source is not origin or watched.thread_id != session_id:
            continue
        observation = Observation(
            watched.stream, lambda state: decide_environment(state, environment_id, status, now)
        )
        result = await session.commits.record(observation)
        session.updates.on_recorded(origin, result)
        state = result.state
    return state
