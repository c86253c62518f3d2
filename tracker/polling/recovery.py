"""Resumes the pending work of an earlier tracker: open runs, and ended runs without steps."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime

from tracker.core.state import RunState
from tracker.errors import NotFound
from tracker.polling.run_updates import RECHECKS_WITHIN, STEPS_WITHIN, RunUpdates
from tracker.polling.watch_list import LOOKED_AT_FOR, WatchList
from tracker.recording.pending_runs import Pending
from tracker.runtime.clock import Clock
from tracker.sources.source import SettlingSource, Source, StepSource

logger = logging.getLogger("runfold")

# Runs are polled in the order in which they are due.
_ORDER_SECONDS = 1e-6


def resume(
    watch_list: WatchList, updates: RunUpdates, sources: Mapping[str, Source], pending: Pending
) -> None:
    """Watches the open runs of `sources` again, and queues the requests for ended runs.

    The first polls are due at once, those likeliest to have changed first; the rate decides.
    Vanished runs are looked at again until a day past their expiry.
    """
    open_runs = [state for state in pending.open if state.source in sources]
    known = sorted((state for state in open_runs if not state.vanished), key=_turn)
    for number, state in enumerate(known):
        watch_list.watch(
            sources[state.source],
            state.thread_id,
            state.run_id,
            state=state,
            after=number * _ORDER_SECONDS,
        )
    for state in open_runs:
        if state.vanished:
            resume_looks(watch_list, sources[state.source], state)
    if known:
        logger.info("resuming %d open runs", len(known))
    resume_ended_runs(updates, sources, pending.without_steps)


def pending_since(sources: Mapping[str, Source], clock: Clock, name: str) -> datetime | None:
    """Returns the time from which on the end of a run of a source counts; None if none does."""
    if name not in sources:
        return None
    source, now = sources[name], clock.now()
    if isinstance(source, StepSource):
        return now - STEPS_WITHIN
    return now - RECHECKS_WITHIN if isinstance(source, SettlingSource) else None


def resume_looks(watch_list: WatchList, source: Source, state: RunState) -> None:
    """Queues the looks at a vanished run again, unless it was given up: a day past its expiry."""
    known_until = state.expires_at or state.created_at
    if known_until is None or watch_list.service_time(source) - known_until < LOOKED_AT_FOR:
        error = unknown_run(state.run_id)
        watch_list.look_again(source, state.thread_id, state.run_id, state, error)


def unknown_run(run_id: str) -> NotFound:
    """Returns the error of a run that has vanished."""
    return NotFound(f"{run_id}: the service knows no such run")


def _turn(state: RunState) -> tuple[bool, float]:
    """Returns the sort key by which runs at work come first, the youngest of them at the front."""
    created = state.created_at
    return state.needs_action, 0.0 if created is None else -created.timestamp()


def resume_ended_runs(
    updates: RunUpdates, sources: Mapping[str, Source], ended: Iterable[RunState]
) -> None:
    """Queues step reads and usage re-checks for runs of `sources` that ended a while ago."""
    for state in ended:
        if state.source in sources:
            updates.on_ended(sources[state.source], state.thread_id, state)
