"""Pruning: deletes old runs from the tables in small batches; events and rollups stay.

`pruned_before` in the checkpoints is raised in the transaction that deletes the runs, so that a
later fold of their events leaves out exactly these.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, func, select, update

from projections.database.conflicts import retry_conflicts
from projections.database.engine import translate_errors
from projections.database.migrations import begin_exclusive
from projections.database.run_deletion import (
    RUNS_PER_BATCH,
    delete_rows,
    delete_runs,
    is_pruned,
)
from projections.database.schema import SHADOW_SUFFIX, checkpoints, metadata, runs
from projections.folding.run_row import stored_name
from projections.projectors.projection import Projection
from projections.runner.checkpoint import (
    ensure_checkpoint,
    lock_checkpoints,
    read_pruned_before,
)
from tracker.errors import ViewsError
from tracker.event_store.store import EventStore


@dataclass(frozen=True, slots=True)
class Pruned:
    """The numbers of deleted runs, and of deleted rows that belong to them."""

    runs: int
    phases: int
    actions: int
    steps: int


def prune(
    engine: Engine, projections: Sequence[Projection], before: datetime, batch: int = RUNS_PER_BATCH
) -> Pruned:
    """Deletes the rows of runs that ended before a moment, about `batch` runs per transaction.

    Runs that ended at the same moment are deleted together, however many. Raises ViewsError
    during a rebuild, whose shadow tables would restore them.
    """
    chosen = [it for it in projections if any(map(is_pruned, it.tables))]
    counts = Counter[str]()
    with translate_errors(engine):
        for projection in chosen:
            ensure_checkpoint(engine, projection)
        while True:
            started = time.monotonic()
            cut, deleted = retry_conflicts(partial(_prune_batch, engine, chosen, before, batch))
            if cut is None:
                break
            counts.update(deleted)
            if cut < before:
                # As long as it held the lock: on SQLite, waiting writers only retry at intervals.
                time.sleep(time.monotonic() - started)
    return _make_result(counts)


def _prune_batch(
    engine: Engine, projections: Sequence[Projection], before: datetime, batch: int
) -> tuple[datetime | None, dict[str, int]]:
    """Prunes about `batch` runs in one transaction.

    Returns the moment before which runs are pruned now, None if they were before, and the numbers
    of deleted rows by table.
    """
    others = [it for projection in projections for it in projection.tables if it is not runs]
    with begin_exclusive(engine) as connection:
        _check_no_rebuild(connection)
        done = read_pruned_before(connection)
        if done is not None and done >= before:
            return None, {}
        cut = _find_cut(connection, done, before, batch)
        # The runners wait from here on, and all that they have written so far is visible.
        names = [it.name for it in projections]
        lock_checkpoints(connection, names)
        mine = checkpoints.c.projection.in_(names)
        connection.execute(update(checkpoints).where(mine).values(pruned_before=cut))
        ended = select(runs.c.run_key).where(*_ended_between(done, cut))
        keys = list(connection.execute(ended).scalars())
        return cut, {it.name: delete_runs(connection, [it], keys) for it in (runs, *others)}


def remove_thread(
    engine: Engine,
    store: EventStore,
    thread_id: str,
    source: str | None,
    own: Sequence[Table] = (),
) -> Pruned:
    """Deletes the rows of the runs of a thread whose events are deleted.

    Raises ViewsError during a rebuild.
    """
    mine = select(runs.c.run_key).where(runs.c.thread_id == stored_name(thread_id))
    if source is not None:
        mine = mine.where(runs.c.source == source)
    with translate_errors(engine), engine.connect() as connection:
        keys = list(connection.execute(mine).scalars())
    return remove_runs(engine, store, keys, own)


def remove_runs(
    engine: Engine, store: EventStore, keys: Sequence[str], own: Sequence[Table] = ()
) -> Pruned:
    """Deletes all rows of runs whose events are deleted; those of other runs stay.

    `own` are tables of the application, of which those with rows of runs lose them too.
    Raises ViewsError during a rebuild.
    """
    counts = Counter[str]()
    with translate_errors(engine):
        for at in range(0, len(keys), RUNS_PER_BATCH):
            some = keys[at : at + RUNS_PER_BATCH]
            counts.update(retry_conflicts(partial(_remove_batch, engine, store, some, own)))
    return _make_result(counts)


def _remove_batch(
    engine: Engine, store: EventStore, keys: Sequence[str], own: Sequence[Table]
) -> dict[str, int]:
    with begin_exclusive(engine) as connection:
        _check_no_rebuild(connection)
        lock_checkpoints(connection)
        # Read here, since a run may be observed again after it was forgotten.
        found = store.read_many(keys)
        gone = [key for key, events in found.items() if not events]
        tables = [it for it in (*metadata.tables.values(), *own) if "run_key" in it.c]
        return {it.name: delete_rows(connection, it, gone) for it in tables}


def count_prunable(engine: Engine, projections: Sequence[Projection], before: datetime) -> Pruned:
    """Returns the numbers that `prune` would delete now."""
    counts = {}
    with translate_errors(engine), engine.connect() as connection:
        conditions = _ended_between(read_pruned_before(connection), before)
        keys = select(runs.c.run_key).where(*conditions)
        for table in (it for projection in projections for it in projection.tables):
            if is_pruned(table):
                query = select(func.count()).select_from(table)
                if table is runs:
                    query = query.where(*conditions)
                else:
                    query = query.where(table.c.run_key.in_(keys))
                counts[table.name] = connection.execute(query).scalar_one()
    return _make_result(counts)


def _check_no_rebuild(connection: Connection) -> None:
    is_shadow = checkpoints.c.projection.endswith(SHADOW_SUFFIX)
    name = connection.execute(select(checkpoints.c.projection).where(is_shadow)).scalars().first()
    if name is not None:
        name = name.removesuffix(SHADOW_SUFFIX)
        raise ViewsError(
            f"a rebuild of {name!r} is not finished: wait for it, or run `runfold rebuild {name}`, "
            "then try again"
        )


def _find_cut(
    connection: Connection, done: datetime | None, before: datetime, batch: int
) -> datetime:
    """Returns the moment before which one transaction prunes: the end of run `batch` + 1."""
    ends = select(runs.c.ended_at).where(*_ended_between(done, before)).order_by(runs.c.ended_at)
    first = connection.execute(ends.limit(1)).scalar()
    cut = connection.execute(ends.limit(1).offset(batch)).scalar()
    if cut is not None and cut == first:
        cut = connection.execute(ends.where(runs.c.ended_at > first).limit(1)).scalar()
    return before if cut is None else cut


def _ended_between(since: datetime | None, until: datetime) -> list[ColumnElement[bool]]:
    # Runs before `since` are deleted already; PostgreSQL would read their dead index entries.
    ended = runs.c.ended_at
    return [ended < until, *([] if since is None else [ended >= since])]


def _make_result(counts: Mapping[str, Any]) -> Pruned:
    return Pruned(*(counts[name] for name in ("runs", "run_phases", "run_actions", "run_steps")))
