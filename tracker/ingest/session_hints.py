"""Webhooks about a session of the Agents API: hints at its newest turns, which they do not show."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from tracker.core.identifiers import is_identifier
from tracker.core.state import UNKNOWN_VERSION, RunState
from tracker.errors import RunfoldError, WaitTimeout
from tracker.polling.requests.backfill_pages import ListPage
from tracker.polling.watch_list import FIRST_POLL_SECONDS
from tracker.recording.observation import Observation
from tracker.session import Session
from tracker.sources.agents.resource import AgentTurns

logger = logging.getLogger("runfold.webhooks")

_PREFIX = "agent.session."
# A session has one open turn, and sub-agents have lists of their own.
_TURNS = 20


def session_in(payload: Mapping[str, Any]) -> str | None:
    """Returns the session that a webhook is about, None if it is about something else."""
    event_type, data = payload.get("type"), payload.get("data")
    if not isinstance(event_type, str) or not event_type.startswith(_PREFIX):
        return None
    session_id = data.get("id") if isinstance(data, dict) else None
    return session_id if is_identifier(session_id) else None


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

    They are asked for at once, in the rate of the source. Returns the state of the newest one,
    None if there is none. Raises WaitTimeout after `timeout` seconds, and the SourceError that
    keeps them from being read.
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
        state = result.state
        if not state.is_ended:
            session.watch_list.watch(
                origin, session_id, state.run_id, state=state, after=FIRST_POLL_SECONDS
            )
        session.updates.on_recorded(origin, result)
    return state
