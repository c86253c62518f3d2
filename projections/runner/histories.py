"""Histories of single runs, and folds over all events, read from the event store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, select, union

from projections.database.schema import runs, usage_totals
from projections.folding.rates import PriceList
from projections.projectors.run_history import RunHistory
from projections.queries.runs import find_run
from tracker.core.events import is_run_stream, run_stream
from tracker.errors import SettingsError, UnknownRun
from tracker.event_store.store import EventStore, RecordedEvent

_EVENTS_PER_PAGE = 1000

T = TypeVar("T")


def read_history(
    connection: Connection,
    store: EventStore,
    run_id: str,
    source: str | None,
    prices: PriceList | None,
) -> RunHistory:
    """Returns the history of a run, by its id or its key, also of one that the tables lack.

    Raises UnknownRun, or SettingsError without `source` if several sources have a run of that id.
    """
    keys = _find_keys(connection, run_id) if source is None else [run_stream(source, run_id)]
    found = {key: events for key, events in store.read_many(keys).items() if events}
    if not found:
        raise UnknownRun(f"no run {run_id!r} has events: check the id, and --db or the URL")
    if len(found) > 1:
        raise SettingsError(
            f"several sources have a run {run_id!r}: {', '.join(sorted(found))}; name one of them "
            "with `source`, or with --source on the command line"
        )
    [(key, events)] = found.items()
    return RunHistory(key, events, prices=prices)


def _find_keys(connection: Connection, run_id: str) -> Sequence[str]:
    try:
        return [find_run(connection, run_id, None).run_key]
    except UnknownRun:
        # Pruned, or newer than the tables.
        known = union(select(usage_totals.c.source), select(runs.c.source))
        sources = connection.execute(known).scalars()
        keys = [run_id, *(run_stream(it, run_id) for it in sources)]
        return [it for it in dict.fromkeys(keys) if is_run_stream(it)]


def fold_events(
    store: EventStore,
    step: Callable[[T, RecordedEvent], T],
    initial: T,
    since: datetime | int | None,
) -> T:
    """Returns a state after all events in order of position; a thousand are in memory at once.

    `since` is a position, after which it begins, or a moment of our clock, and events that were
    observed earlier are left out. Raises SettingsError for a moment without a time zone.
    """
    if isinstance(since, datetime) and since.utcoffset() is None:
        raise SettingsError(f"a moment needs a time zone: {since.isoformat()} has none")
    position = since if isinstance(since, int) else 0
    moment = since if isinstance(since, datetime) else None
    state = initial
    while page := store.read_all(position, _EVENTS_PER_PAGE):
        for recorded in page:
            if moment is None or recorded.event.observed_at >= moment:
                state = step(state, recorded)
        position = page[-1].position
    return state
