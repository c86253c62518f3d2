"""Webhooks: verified once, then recorded or followed to the run that they name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from tracker.core.events import run_stream
from tracker.core.identifiers import is_identifier
from tracker.core.state import RunState
from tracker.errors import PayloadError, SettingsError
from tracker.ingest.payloads import resolve_payload
from tracker.ingest.recorder import record
from tracker.ingest.session_hints import (
    environment_in,
    is_watched,
    read_session,
    record_environment,
    session_in,
    sessions_in,
)
from tracker.session import Session
from tracker.sources.agents.resource import AgentTurns
from tracker.sources.assistants.resource import Assistants
from tracker.sources.assistants.snapshots import RUN_OBJECT
from tracker.sources.documents import decode
from tracker.sources.langgraph.resource import LangGraph
from tracker.sources.registry import recognises
from tracker.sources.responses.resource import Responses
from tracker.sources.responses.snapshots import RESPONSE_OBJECT
from tracker.sources.source import Source
from tracker.sources.stream_events import StreamPayload
from tracker.webhooks import Headers, Secret, verify

logger = logging.getLogger("runfold.webhooks")

WEBHOOK_SECONDS = 10.0
# The runs that webhooks are taken for: all, those that are recorded or watched already, or those
# for whose id a function returns true.
Only = Literal["known"] | Callable[[str], bool] | None
# The type of a webhook is one of these object types, a dot, and what happened.
_SENDERS: dict[str, type[Any]] = {RESPONSE_OBJECT: Responses, RUN_OBJECT: Assistants}
# Sources that have runs of their own API alone; one of your own may have any.
_APIS = (Assistants, Responses, AgentTurns, LangGraph)
_ENDS = ("completed", "failed", "cancelled", "incomplete", "expired")


class Hint(NamedTuple):
    """A webhook that names a run without showing it."""

    object_type: str
    run_id: str
    thread_id: str | None
    # The condition that the run has reached: see `Session.wait_until`.
    until: Literal["ended", "actionable", "seen"]


def hint_in(payload: Mapping[str, Any]) -> Hint | None:
    """Returns the run that a webhook names, None if it names none.

    Raises PayloadError for a name that cannot be the id of a run.
    """
    event_type, data = payload.get("type"), payload.get("data")
    if not isinstance(event_type, str) or not isinstance(data, dict):
        return None
    object_type, _, change = event_type.rpartition(".")
    run_id, thread_id = data.get("id"), data.get("thread_id")
    if object_type not in _SENDERS or not isinstance(run_id, str) or not run_id:
        return None
    if not is_identifier(run_id):
        raise PayloadError(f"a webhook {event_type[:80]} names a run, but data.id cannot be its id")
    thread = thread_id if is_identifier(thread_id) else None
    if object_type == RESPONSE_OBJECT:
        # A response may complete with calls to answer, and then has not ended.
        return Hint(object_type, run_id, thread, "actionable" if change in _ENDS else "seen")
    conditions: dict[str, Literal["ended", "actionable"]] = {
        **dict.fromkeys(_ENDS, "ended"),
        "requires_action": "actionable",
    }
    return Hint(object_type, run_id, thread, conditions.get(change, "seen"))


async def receive_webhook(
    session: Session,
    body: bytes,
    headers: Headers,
    secret: Secret | Sequence[Secret],
    source: str | None,
    timeout: float,
    only: Only = None,
) -> RunState | None:
    """Verifies a webhook and records what it says; documented at `Tracker.webhook`."""
    if only not in (None, "known") and not callable(only):
        raise SettingsError('only has to be "known", a function of the id of a run, or None')
    webhook = verify(body, headers, secret, session.clock.now())
    async with session.replays.once(webhook, session.clock.now()):
        try:
            return await _record_payload(session, decode(body), source, timeout, only)
        except PayloadError as error:
            # It is signed, and would be the same if it were sent again.
            logger.warning("the webhook %.80r is not recorded: %s", webhook.id, error)
            return None


async def follow_hint(session: Session, origin: Source, hint: Hint, timeout: float) -> RunState:
    """Polls the run that a hint names at once; returns its state once it is as the hint says."""
    state = await session.state(run_stream(origin.name, hint.run_id))
    if state.is_ended:
        return state
    thread_id = hint.thread_id or state.thread_id
    watched = session.watch_list.watch(origin, thread_id, hint.run_id, state=state)
    session.watch_list.poll_now(watched)
    missed = f"the state of {hint.run_id} that a webhook reported was not seen"
    return await session.wait_until(watched, hint.until, timeout, missed)


async def _record_payload(
    session: Session, payload: Mapping[str, Any], source: str | None, timeout: float, only: Only
) -> RunState | None:
    body = _find_run(session, payload, source)
    if body is not None:
        found, now = StreamPayload("run", body), session.clock.now()
        resolved = resolve_payload(session.sources, found, source, now)
        if await _is_chosen(session, resolved.origin, resolved.run_id, only):
            return await record(session, resolved)
        return None
    if (session_id := session_in(payload)) is not None:
        return await _follow_session(session, session_id, source, timeout, only)
    if (environment := environment_in(payload)) is not None:
        return await _follow_environment(session, *environment, source, timeout, only)
    hint = hint_in(payload)
    sender = None if hint is None else _SENDERS[hint.object_type]
    origin = None if sender is None else _find_source(session, sender, source)
    if hint is None or origin is None:
        return None
    if not await _is_chosen(session, origin, hint.run_id, only):
        return None
    return await follow_hint(session, origin, hint, timeout)


async def _is_chosen(session: Session, origin: Source, run_id: str, only: Only) -> bool:
    """True if the webhooks of a run are taken in."""
    if only is None:
        return True
    if callable(only):
        return bool(only(run_id))
    stream = run_stream(origin.name, run_id)
    is_watched = session.watch_list.find(stream) is not None
    return is_watched or (await session.state(stream)).status is not None


def _find_run(
    session: Session, payload: Mapping[str, Any], source: str | None
) -> Mapping[str, Any] | None:
    """Returns the whole run that a webhook contains, None if it contains none."""
    sources = [*session.sources.values()] if source is None else [session.sources.named(source)]
    for body in (payload, payload.get("data"), payload.get("response")):
        if not isinstance(body, Mapping) or "status" not in body:
            continue
        if any(recognises(each, body) for each in sources):
            return body
    return None


async def _follow_session(
    session: Session, session_id: str, source: str | None, timeout: float, only: Only
) -> RunState | None:
    origin = _find_source(session, AgentTurns, source)
    if not isinstance(origin, AgentTurns):
        return None
    if callable(only):
        is_chosen = bool(only(session_id))
    else:
        is_chosen = only is None or is_watched(session, origin, session_id)
    return await read_session(session, origin, session_id, timeout) if is_chosen else None


async def _follow_environment(
    session: Session,
    environment_id: str,
    status: str,
    source: str | None,
    timeout: float,
    only: Only,
) -> RunState | None:
    """Records why sessions hang that work in an environment, and reads their turns."""
    origin = _find_source(session, AgentTurns, source)
    if not isinstance(origin, AgentTurns):
        return None
    state = None
    for session_id in sessions_in(session, origin, environment_id):
        if callable(only) and not only(session_id):
            continue
        state = await read_session(session, origin, session_id, timeout) or state
        state = (
            await record_environment(session, origin, session_id, environment_id, status) or state
        )
    return state


def _find_source(session: Session, sender: type[Any], source: str | None) -> Source | None:
    """Returns the source of the API that sent a webhook; None if none has such runs.

    Raises SettingsError if several have.
    """
    sources = session.sources
    found = [*sources.values()] if source is None else [sources.named(source)]
    able = [it for it in found if isinstance(it, sender) or not isinstance(it, _APIS)]
    senders = [it for it in able if isinstance(it, sender)]
    chosen = senders or able
    if len(chosen) > 1:
        names = sorted(it.name for it in chosen)
        raise SettingsError(f"a webhook may be about a run of {names}: say which, with source='…'")
    return chosen[0] if chosen else None
