"""Records payloads from outside, and watches their runs."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from tracker.core.events import Event
from tracker.core.state import RunState, initial_state
from tracker.errors import RunfoldError
from tracker.ingest.payloads import ResolvedPayload, resolve_payload
from tracker.polling.watch_list import FIRST_POLL_SECONDS
from tracker.session import Session
from tracker.sources.documents import as_document
from tracker.sources.stream_events import find_payload


def observe(
    session: Session,
    payload: object,
    source: str | None,
    observed_at: datetime | None,
) -> list[Event]:
    """Records a document or an event of a stream; returns the events that were added.

    Its run is watched if it is open and its service stores it. Blocks until the events are
    durable. Safe from any thread: updates are applied on the loop that polls.
    """
    found = find_payload(as_document(payload))
    if found is None:
        return []
    now = session.clock.now()
    resolved = resolve_payload(session.sources, found, source, observed_at or now, observed_at)
    if resolved.is_undecided:
        session.loop.call_soon_threadsafe(_poll_now, session, resolved)
        return []
    events: list[Event] = []
    results = session.repository.record(resolved.observations)
    stream = resolved.observations[0].stream
    for result in results:
        if isinstance(result, RunfoldError):
            raise result
        # A thread may outlive the loop, after which there are no watched runs to update.
        with suppress(RuntimeError):
            session.loop.call_soon_threadsafe(session.updates.on_recorded, resolved.origin, result)
            is_open = result.state.status is not None and not result.state.is_ended
            if is_open and result.stream == stream:
                session.loop.call_soon_threadsafe(watch, session, resolved, result.state)
        events += result.events
    return events


async def record(session: Session, resolved: ResolvedPayload) -> RunState:
    """Records a payload, and watches its run unless it has ended. Returns the run's state.

    A payload that does not tell whether its run is done only has the run polled at once.
    """
    if resolved.is_undecided:
        _poll_now(session, resolved)
        return await session.state(resolved.observations[0].stream)
    first, state = resolved.observations[0].stream, initial_state
    for observation in resolved.observations:
        result = await session.commits.record(observation)
        if observation.stream == first:
            state = result.state
            is_known = session.watch_list.find(first) is not None
            if not state.is_ended:
                watch(session, resolved, state)
            watched = session.watch_list.find(first)
            if watched is not None and not is_known:
                # The stream has just shown what a poll would show.
                session.watch_list.schedule_next(watched)
        session.updates.on_recorded(resolved.origin, result)
    return state


def watch(session: Session, resolved: ResolvedPayload, state: RunState = initial_state) -> None:
    """Watches the run of a payload if its service stores it, on the thread that it is known on."""
    if resolved.is_stored:
        thread_id = state.thread_id or resolved.thread_id
        session.watch_list.watch(
            resolved.origin, thread_id, resolved.run_id, state=state, after=FIRST_POLL_SECONDS
        )


def _poll_now(session: Session, resolved: ResolvedPayload) -> None:
    watched = session.watch_list.watch(resolved.origin, resolved.thread_id, resolved.run_id)
    session.watch_list.poll_now(watched)
