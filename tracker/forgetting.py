"""Deletion of everything that was recorded of a thread or a run, for a person who asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tracker.core.events import Event, RunCreated, RunIdentified, is_run_stream, run_stream
from tracker.core.state import RunState, evolve, initial_state
from tracker.errors import NotEnded, SettingsError, UnknownRun
from tracker.event_store.store import EventStore

__all__ = ["Forgotten", "forget_run", "forget_thread"]

# Called with the streams of runs whose events were deleted.
OnForgotten = Callable[[Sequence[str]], object]

# About so many: a run is deleted in one transaction.
_EVENTS_PER_DELETION = 1000
_PAGE_SIZE = 1000
_NAMED_RUNS = 5


class Forgotten(NamedTuple):
    """The numbers of runs and of events that a call deleted."""

    runs: int
    events: int


class _FoundRun(NamedTuple):
    """A run that is to be forgotten, and the number of its events."""

    state: RunState
    events: int
    # False if an event of it cannot be read or applied, after which its state is not known.
    is_readable: bool = True


def forget_thread(
    store: EventStore,
    thread_id: str,
    source: str | None = None,
    *,
    force: bool = False,
    on_forgotten: OnForgotten = lambda streams: None,
) -> Forgotten:
    """Deletes all events of the runs of a thread, or only of those of one `source`.

    Reads the whole store to find the runs, and keeps those of the thread in memory. Deletes in
    transactions of about 1,000 events, each run in one: after a kill, or to be sure, call it
    again. Runs of the thread that appear meanwhile are deleted too. `on_forgotten` is called with
    the streams of each transaction: `Views.remove_runs` deletes their rows.

    Not deleted are: the instructions and tools of the runs (`configuration.recorded`, shared by
    all runs that had the same); rows of the tables (on SQLite their bytes stay until `VACUUM`);
    backups; and what `EventStore.forget` names. A run whose first event cannot be read has no
    thread: `forget_run` deletes it.

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
            _refuse_open_runs(found, f"of {thread_id}")
        for streams in _split_into_transactions(found):
            events += store.forget(streams)
            runs += len(streams)
            on_forgotten(streams)
        if not found:
            # Completes the clean-up of the file if a kill right after a commit prevented it.
            store.forget([])
            return Forgotten(runs, events)


def forget_run(
    store: EventStore,
    run_id: str,
    source: str | None = None,
    *,
    force: bool = False,
    on_forgotten: OnForgotten = lambda streams: None,
) -> Forgotten:
    """Deletes all events of one run, whether they can be read or not.

    `run_id` is the id of the run, or its source, a colon and its id. Otherwise as `forget_thread`.
    Raises UnknownRun if nothing is recorded of it, SettingsError if several sources have it,
    and NotEnded if it can be read and has neither ended nor vanished.
    """
    stream = _find_stream(store, run_id, source)
    events = store.read(stream)
    if not force:
        run = _FoundRun(initial_state, 0)
        for entry in events:
            run = _apply(run, entry.event)
        _refuse_open_runs({stream: run}, "")
    count = store.forget([stream])
    on_forgotten([stream])
    return Forgotten(int(count > 0), count)


def _find_stream(store: EventStore, run_id: str, source: str | None) -> str:
    """Returns the stream of a run; reads the whole store if only its id is known."""
    exact = run_id if source is None else run_stream(source, run_id)
    if is_run_stream(exact) and store.read(exact):
        return exact
    found: set[str] = set()
    position = 0
    while source is None and (page := store.read_all(position, _PAGE_SIZE)):
        position = page[-1].position
        found |= {it.stream for it in page if it.stream.partition(":")[2] == run_id}
    streams = sorted(filter(is_run_stream, found))
    if len(streams) > 1:
        raise SettingsError(f"several sources have a run {run_id}: name one of {streams}")
    if not streams:
        raise UnknownRun(f"nothing is recorded of {exact}: check the id and the database")
    return streams[0]


def _find_runs(
    store: EventStore, thread_id: str, source: str | None, position: int
) -> tuple[dict[str, _FoundRun], int]:
    found: dict[str, _FoundRun] = {}
    while page := store.read_all(position, _PAGE_SIZE):
        position = page[-1].position
        for place, stream, _, event in page:
            if isinstance(event, RunCreated) and (
                event.thread_id == thread_id and source in (None, event.source)
            ):
                found[stream] = _FoundRun(initial_state, 0)
            elif isinstance(event, RunIdentified) and event.thread_id == thread_id:
                run = _FoundRun(initial_state, 0)
                for entry in store.read(stream):
                    run = _apply(run, entry.event) if entry.position < place else run
                if source in (None, run.state.source):
                    found.setdefault(stream, run)
            if stream in found:
                found[stream] = _apply(found[stream], event)
    return found, position


def _apply(run: _FoundRun, event: Event) -> _FoundRun:
    state, number, is_readable = run
    try:
        return _FoundRun(evolve(state, event), number + 1, is_readable)
    except Exception:
        # A history that cannot be applied is deleted like any other.
        return _FoundRun(state, number + 1, is_readable=False)


def _refuse_open_runs(found: dict[str, _FoundRun], described: str) -> None:
    not_ended = [
        state.run_id
        for state, _, is_readable in found.values()
        if is_readable and not (state.is_ended or state.vanished)
    ]
    if not_ended:
        more = len(not_ended) - _NAMED_RUNS
        names = ", ".join(not_ended[:_NAMED_RUNS]) + (f" and {more} more" if more > 0 else "")
        raise NotEnded(
            f"{f'runs {described}'.strip()} have not ended: {names}; cancel them or wait for them, "
            "or stop the trackers that watch them and pass force=True"
        )


def _split_into_transactions(found: dict[str, _FoundRun]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for stream, (_, events, _) in found.items():
        if part and size + events > _EVENTS_PER_DELETION:
            yield part
            part, size = [], 0
        part.append(stream)
        size += events
    if part:
        yield part
