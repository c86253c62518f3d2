"""Very many runs within minutes: a part of a month goes the whole way, and is copied for the rest.

The events of half a day and more are appended and caught up with. Each copy lies whole hours
later, with the same events, rows and sums, as if it had gone the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from sqlalchemy import Column, Engine, Table, text

from projections import Views
from projections.database import schema
from projections.database.engine import open_engine
from tests.benchmarks.many_runs import fill
from tracker.event_store import open_event_store

HOURS = 15
_ROWS = (schema.runs, schema.run_phases, schema.run_actions, schema.run_steps, schema.run_costs)
_HOURLY = (schema.usage_hourly, schema.timing_buckets, schema.cost_hourly)
_TOTALS = (schema.usage_totals, schema.timing_totals, schema.cost_totals)
# Columns that tell the runs of one copy from those of another.
_NAMES = frozenset(("run_key", "run_id", "thread_id"))
_NUMBERS = "WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < {})"


def fill_multiplied(url: str, runs: int, copies: int) -> None:
    """Makes a database of `runs` runs that began within fifteen hours, and copies of them."""
    with closing(open_event_store(url)) as store, Views(url, store=store) as views:
        views.upgrade()
        fill(store, runs, days=HOURS / 24)
        views.catch_up()
        last = store.last_position()
    engine = open_engine(url)
    try:
        with engine.begin() as connection:
            for statement in _list_statements(engine, copies, last):
                connection.execute(text(statement))
        _settle(engine)
    finally:
        engine.dispose()


def _list_statements(engine: Engine, copies: int, last: int) -> Iterator[str]:
    numbers, is_sqlite = _NUMBERS.format(copies), engine.dialect.name == "sqlite"
    if is_sqlite:
        yield "PRAGMA cache_size = -500000"
    yield (
        f"{numbers} INSERT INTO runfold_events "
        "(position, originator_id, originator_version, topic, state) "
        f"SELECT position + n * {last}, originator_id || '-' || n, originator_version, topic, state"
        " FROM copies CROSS JOIN runfold_events"
    )
    for table in (*_ROWS, *_HOURLY):
        names = ", ".join(it.name for it in table.columns)
        values = ", ".join(_copy(it, is_sqlite=is_sqlite) for it in table.columns)
        yield (
            f"{numbers} INSERT INTO {table.name} ({names}) "
            f"SELECT {values} FROM copies CROSS JOIN {table.name}"
        )
    for table in _TOTALS:
        sums = ", ".join(f"{it} = {it} * {copies + 1}" for it in _list_sums(table))
        yield f"UPDATE {table.name} SET {sums}"
    yield f"UPDATE {schema.checkpoints.name} SET position = {last * (copies + 1)}"
    if not is_sqlite:
        yield "SELECT setval('runfold_events_position_seq', max(position)) FROM runfold_events"


def _copy(column: Column[object], *, is_sqlite: bool) -> str:
    name = column.name
    if name in _NAMES:
        return f"{name} || '-' || n"
    if not isinstance(column.type, schema.UtcDateTime):
        return name
    if is_sqlite:
        return f"strftime('%Y-%m-%d %H', {name}, (n * {HOURS}) || ' hours') || substr({name}, 14)"
    return f"{name} + n * interval '{HOURS} hours'"


def _list_sums(table: Table) -> list[str]:
    return [it.name for it in table.columns if not it.primary_key]


def _settle(engine: Engine) -> None:
    """Does what a database does by itself after some time."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        else:
            connection.execute(text("VACUUM ANALYZE"))
