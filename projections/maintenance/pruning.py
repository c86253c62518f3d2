"""Old runs taken out of the tables, a few at a time; events and rollups stay.

The moment before which ended runs are gone moves on in the transaction that deletes them, so
that it tells the truth at any time: what folds the events later leaves the same runs out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, func, select, update

from projections.database.engine import translated
from projections.database.migrations import locked
from projections.database.run_deletion import BATCH, _delete, _is_pruned, delete_runs
from projections.database.schema import SHADOW_SUFFIX, checkpoints, metadata, runs
from projections.folding.run_row import stored_name
from projections.projectors.projection import Projection
from projections.runner.checkpoint import pruned_before, start
from tracker.errors import ViewsError


class Pruned(NamedTuple):
    """How many runs were taken out of the tables, with how many rows of theirs."""

    runs: int
    phases: int
    actions: int
    steps: int


def prune(
    engine: Engine, projections: Sequence[Projection], before: datetime, batch: int = BATCH
) -> Pruned:
    """Deletes the rows of runs that ended before a moment, about `batch` runs a transaction.

    Those of one and the same moment of ending go together, however many. Raises ViewsError
    where a rebuild has begun, whose shadows would bring them back.
    """
    chosen = [it for it in projections if _is_of_runs(it)]
    others = [it for projection in chosen for it in projection.tables if it is not runs]
    counts = {"runs": 0} | {table.name: 0 for table in others}
    with translated(engine):
        for projection in chosen:
            start(engine, projection)
        while True:
            begun = time.monotonic()
            with locked(engine) as connection:
                _refuse_rebuilds(connection)
                done = pruned_before(connection)
                if done is not None and done >= before:
                    break
                cut = _cut(connection, done, before, batch)
                # Written first and in the order that they are advanced in: runners wait, and
                # what they wrote until now is seen.
                for projection in chosen:
                    mine = checkpoints.c.projection == projection.name
                    connection.execute(update(checkpoints).where(mine).values(pruned_before=cut))
                gone = select(runs.c.run_key).where(*_ended_between(done, cut))
                keys = list(connection.execute(gone).scalars())
                for table in (runs, *others):
                    counts[table.name] += delete_runs(connection, [table], keys)
            if cut < before:
                # As long as it held the lock: on SQLite, who waits only looks now and then.
                time.sleep(time.monotonic() - begun)
    return _pruned(counts)


def remove_thread(engine: Engine, thread_id: str, source: str | None) -> Pruned:
    """Deletes all rows of the runs of a thread, whose events are gone, in one transaction.

    Raises ViewsError where a rebuild has begun.
    """
    tables = [it for it in metadata.tables.values() if "run_key" in it.c]
    mine = select(runs.c.run_key).where(runs.c.thread_id == stored_name(thread_id))
    if source is not None:
        mine = mine.where(runs.c.source == source)
    with translated(engine), locked(engine) as connection:
        _refuse_rebuilds(connection)
        keys = list(connection.execute(mine).scalars())
        return _pruned({it.name: _delete(connection, it, keys) for it in tables})


def count_prunable(engine: Engine, projections: Sequence[Projection], before: datetime) -> Pruned:
    """What `prune` would delete now."""
    counts = {}
    with translated(engine), engine.connect() as connection:
        found = _ended_between(pruned_before(connection), before)
        keys = select(runs.c.run_key).where(*found)
        for table in (it for projection in projections for it in projection.tables):
            if _is_pruned(table):
                query = select(func.count()).select_from(table)
                query = (
                    query.where(*found) if table is runs else query.where(table.c.run_key.in_(keys))
                )
                counts[table.name] = connection.execute(query).scalar_one()
    return _pruned(counts)


def _is_of_runs(projection: Projection) -> bool:
    return any(map(_is_pruned, projection.tables))


def _refuse_rebuilds(connection: Connection) -> None:
    is_shadow = checkpoints.c.projection.endswith(SHADOW_SUFFIX)
    name = connection.execute(select(checkpoints.c.projection).where(is_shadow)).scalars().first()
    if name is not None:
        name = name.removesuffix(SHADOW_SUFFIX)
        raise ViewsError(
            f"a rebuild of {name!r} has begun: let it end, or run `runfold rebuild {name}`, "
            "then try again"
        )


def _cut(connection: Connection, done: datetime | None, before: datetime, batch: int) -> datetime:
    """How far one transaction goes: up to the end of the run that is one too many."""
    ends = select(runs.c.ended_at).where(*_ended_between(done, before)).order_by(runs.c.ended_at)
    first = connection.execute(ends.limit(1)).scalar()
    cut = connection.execute(ends.limit(1).offset(batch)).scalar()
    if cut is not None and cut == first:
        cut = connection.execute(ends.where(runs.c.ended_at > first).limit(1)).scalar()
    return before if cut is None else cut


def _ended_between(since: datetime | None, until: datetime) -> list[ColumnElement[bool]]:
    # What ended before `since` is gone; on PostgreSQL, its dead entries would be read each time.
    ended = runs.c.ended_at
    return [ended < until, *([] if since is None else [ended >= since])]


def _pruned(counts: dict[str, Any]) -> Pruned:
    return Pruned(*(counts[name] for name in ("runs", "run_phases", "run_actions", "run_steps")))
