"""Deletion of everything that was recorded of a thread, for a person who asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tracker.core.events import RunCreated
from tracker.core.state import RunState, evolve, initial_state
from tracker.errors import NotEnded
from tracker.event_store.store import EventStore

__all__ = ["ForgottenThread", "forget_thread"]

# About so many: a run is deleted in one transaction.
_EVENTS_PER_DELETION = 1000
_PAGE_SIZE = 1000
_NAMED_RUNS = 5


class ForgottenThread(NamedTuple):
    """The numbers of runs and of events that a call deleted."""

    runs: int
    events: int


class _RunOfThread(NamedTuple):
    """A run of the thread, and the number of its events."""

    state: RunState
    events: int


def forget_thread(
    store: EventStore, thread_id: str, source: str | None = None, *, force: bool = False
) -> ForgottenThread:
    """Deletes all events of the runs of a thread, or only of those of one `source`.

    Reads the whole store to find the runs, and keeps those of the thread in memory. Deletes in
    transactions of about 1,000 events, each run in one: after a kill, or to be sure, call it
    again. Runs of the thread that appear meanwhile are deleted too.

    Not deleted are: the instructions and tools of the runs (`configuration.recorded`, shared by
    all runs that had the same); rows of the tables, which `runfold forget` and
    `Views.remove_thread` delete (on SQLite their bytes stay until `VACUUM`); backups; and what
    `EventStore.forget` names.

    A run that is observed again after it was forgotten, by a poll or in a file, is a new run with
    a new history: delete it at the service first. A tracker that watches such a run would observe
    it again at once, so runs that have not ended are refused without `force`.

    Raises NotEnded if a run of the thread has neither ended nor vanished; then nothing was
    deleted, unless that run appeared during the deletion.
    """
    position, runs, events = 0, 0, 0
    while True:
        found, position = _find_runs(store, thread_id, source, position)
        if not force:
            _refuse_open_runs(found, thread_id)
        for streams in _split_into_transactions(found):
            events += store.forget(streams)
            runs += len(streams)
        if not found:
            # Completes the clean-up of the file if a kill right after a commit prevented it.
            store.forget([])
            return ForgottenThread(runs, events)


def _find_runs(
    store: EventStore, thread_id: str, source: str | None, position: int
) -> tuple[dict[str, _RunOfThread], int]:
    found: dict[str, _RunOfThread] = {}
    while page := store.read_all(position, _PAGE_SIZE):
        position = page[-1].position
        for _, stream, _, event in page:
            if isinstance(event, RunCreated) and (
                event.thread_id == thread_id and source in (None, event.source)
            ):
                found[stream] = _RunOfThread(initial_state, 0)
            if stream in found:
                state, number = found[stream]
                found[stream] = _RunOfThread(evolve(state, event), number + 1)
    return found, position


def _refuse_open_runs(found: dict[str, _RunOfThread], thread_id: str) -> None:
    not_ended = [
        state.run_id for state, _ in found.values() if not (state.is_ended or state.vanished)
    ]
    if not_ended:
        more = len(not_ended) - _NAMED_RUNS
        names = ", ".join(not_ended[:_NAMED_RUNS]) + (f" and {more} more" if more > 0 else "")
        raise NotEnded(
            f"runs of {thread_id} have not ended: {names}; cancel them or wait for them, "
            "or stop the trackers that watch them and pass force=True"
        )


def _split_into_transactions(found: dict[str, _RunOfThread]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for stream, (_, events) in found.items():
        if part and size + events > _EVENTS_PER_DELETION:
            yield part
            part, size = [], 0
        part.append(stream)
        size += events
    if part:
        yield part
