"""Webhooks: verified once, then recorded or followed to the run that they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from tracker.core.events import run_stream
from tracker.core.state import RunState
from tracker.ingest.payloads import resolve_payload
from tracker.ingest.recorder import record
from tracker.ingest.stream_events import StreamPayload
from tracker.session import Session
from tracker.sources.assistants.resource import Assistants
from tracker.sources.documents import decoded
from tracker.sources.responses.resource import Responses
from tracker.sources.source import Source
from tracker.webhooks import verify

WEBHOOK_SECONDS = 10.0
_SPEAKERS: dict[str, type[Any]] = {"response": Responses, "thread.run": Assistants}
_ENDS = ("completed", "failed", "cancelled", "incomplete", "expired")


class Hint(NamedTuple):
    """That something became of a run: it has `ended`, is `actionable`, or can be `seen`."""

    kind: Literal["response", "thread.run"]
    run_id: str
    thread_id: str | None
    until: Literal["ended", "actionable", "seen"]


def hint_in(payload: Mapping[str, Any]) -> Hint | None:
    """The hint at a run that a webhook is which does not show the run; None where it is none."""
    kind, data = payload.get("type"), payload.get("data")
    if not isinstance(kind, str) or not isinstance(data, dict):
        return None
    about, _, what = kind.rpartition(".")
    run_id, thread_id = data.get("id"), data.get("thread_id")
    if about not in ("response", "thread.run") or not isinstance(run_id, str) or not run_id:
        return None
    thread = thread_id if isinstance(thread_id, str) else None
    if about == "response":
        # One that completed may do so with calls.
        return Hint("response", run_id, thread, "actionable" if what in _ENDS else "seen")
    stops: dict[str, Literal["ended", "actionable"]] = {
        **dict.fromkeys(_ENDS, "ended"),
        "requires_action": "actionable",
    }
    return Hint("thread.run", run_id, thread, stops.get(what, "seen"))


async def receive_webhook(
    session: Session,
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    source: str | None,
    timeout: float,
) -> RunState | None:
    """Verifies a webhook and records what it says; documented at `Tracker.webhook`."""
    webhook = verify(body, headers, secret, session.clock.now())
    async with session.replays.once(webhook, session.clock.now()):
        return await _record_payload(session, decoded(body), source, timeout)


async def follow_hint(session: Session, origin: Source, hint: Hint, timeout: float) -> RunState:
    """Polls the run that a hint names at once; returns its state once it is as the hint says."""
    state = await session.state(run_stream(origin.name, hint.run_id))
    if state.is_ended:
        return state
    thread_id = hint.thread_id or state.thread_id
    watched = session.watch_list.watch(origin, thread_id, hint.run_id, state=state)
    session.watch_list.poll_now(watched)
    missed = f"what a webhook said of {hint.run_id} was not seen"
    return await session.wait_until(watched, hint.until, timeout, missed)


async def _record_payload(
    session: Session, payload: Mapping[str, Any], source: str | None, timeout: float
) -> RunState | None:
    body = _run_in(session, payload, source)
    if body is not None:
        shown, now = StreamPayload("run", body), session.clock.now()
        return await record(session, resolve_payload(session.sources, shown, source, now))
    hint = hint_in(payload)
    if hint is None:
        return None
    return await follow_hint(session, _origin(session, hint, source), hint, timeout)


def _run_in(
    session: Session, payload: Mapping[str, Any], source: str | None
) -> Mapping[str, Any] | None:
    """Returns the whole run that a webhook contains, if it contains one."""
    sources = [*session.sources.values()] if source is None else [session.sources.named(source)]
    for body in (payload, payload.get("data"), payload.get("response")):
        if not isinstance(body, Mapping) or "status" not in body:
            continue
        if any(each.recognises(body) for each in sources):
            return body
    return None


def _origin(session: Session, hint: Hint, source: str | None) -> Source:
    known = tuple(_SPEAKERS.values())
    if source is None and any(isinstance(each, known) for each in session.sources.values()):
        source = session.sources.only(_SPEAKERS[hint.kind], "source='…'")
    return session.sources.named(source)
