"""Forgetting what was recorded of a thread, for a person who asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tracker.core.events import RunCreated
from tracker.core.state import RunState, evolve, initial_state
from tracker.errors import NotEnded
from tracker.event_store.store import EventStore

__all__ = ["ForgottenThread", "forget_thread"]

EVENTS_PER_TRANSACTION = 1000
_PAGE = 1000
_NAMED_RUNS = 5


class ForgottenThread(NamedTuple):
    """How many runs were forgotten by this call, and how many events they had."""

    runs: int
    events: int


class _Found(NamedTuple):
    """A run of the thread, and how many events it has."""

    state: RunState
    events: int


def forget_thread(
    store: EventStore, thread_id: str, source: str | None = None, *, force: bool = False
) -> ForgottenThread:
    """Deletes all events of the runs of a thread; of one source's runs only, where it is named.

    Reads the whole store to find them, and keeps of it in memory the runs of the thread. They go
    in transactions of about 1,000 events, no run halfway: after a kill, or to be sure, call it
    again. Runs of the thread that appear meanwhile go too.

    What stays: the instructions and tools that a run had (`configuration.recorded`, shared by
    all runs that had the same); rows of tables folded from the events, which `runfold forget`
    deletes too, and `Views.remove_thread` (on SQLite their bytes stay until
    `VACUUM`); backups; and what `EventStore.forget` says.

    A run that is seen again after it was forgotten, in a poll or a file, is a new run with a new
    history: delete it at the service first. A tracker that watches one of them would see it again
    at once, which is why runs that have not ended are refused without `force`.

    Raises NotEnded where a run of the thread has neither ended nor vanished; then nothing was
    deleted, unless that run appeared while others were.
    """
    position, runs, events = 0, 0, 0
    while True:
        found, position = _find(store, thread_id, source, position)
        if not force:
            _check(found, thread_id)
        for part in _transactions(found):
            events += store.forget(part)
            runs += len(part)
        if not found:
            # Of nothing: finishes what a kill right after a commit left undone.
            store.forget([])
            return ForgottenThread(runs, events)


def _find(
    store: EventStore, thread_id: str, source: str | None, position: int
) -> tuple[dict[str, _Found], int]:
    found: dict[str, _Found] = {}
    while page := store.read_all(position, _PAGE):
        position = page[-1].position
        for _, stream, _, event in page:
            if isinstance(event, RunCreated) and (
                event.thread_id == thread_id and source in (None, event.source)
            ):
                found[stream] = _Found(initial_state, 0)
            if stream in found:
                state, number = found[stream]
                found[stream] = _Found(evolve(state, event), number + 1)
    return found, position


def _check(found: dict[str, _Found], thread_id: str) -> None:
    going_on = [
        state.run_id for state, _ in found.values() if not (state.is_ended or state.vanished)
    ]
    if going_on:
        more = len(going_on) - _NAMED_RUNS
        names = ", ".join(going_on[:_NAMED_RUNS]) + (f" and {more} more" if more > 0 else "")
        raise NotEnded(
            f"runs of {thread_id} have not ended: {names}; cancel them or wait for them, "
            "or say force=True and stop the trackers that watch them"
        )


def _transactions(found: dict[str, _Found]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for stream, (_, events) in found.items():
        if part and size + events > EVENTS_PER_TRANSACTION:
            yield part
            part, size = [], 0
        part.append(stream)
        size += events
    if part:
        yield part
