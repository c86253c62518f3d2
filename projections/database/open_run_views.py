"""The views `open_runs` and `stuck_runs`, as subqueries with the ages at a given time.

A run is stuck if its `expires_at` has passed and no end was observed (`overdue`), if its
environment cannot go on (`environment failed` and the like), or if it has been open for three
times as long as 99 of 100 runs of its assistant took (`slow`), provided that at least twenty of
them have ended.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float, Subquery, Text, bindparam, column, text
from sqlalchemy.types import TypeEngine

from projections.database.schema import runs
from projections.folding.micros import micros, text_format

# The time at which ages are measured.
_NOW = {"sqlite": ":now", "postgresql": "CAST(:now AS timestamptz)"}
_AGE = {
    "sqlite": "(julianday({now}) - julianday({since})) * 86400.0",
    "postgresql": "CAST(EXTRACT(epoch FROM {now} - {since}) AS double precision)",
}
_PAST = {
    "sqlite": "julianday({moment}) < julianday({now})",
    "postgresql": "{moment} < {now}",
}
_HINDERED = "aged.environment_status IN ('failed', 'expired', 'suspended')"
_IDENTITY = ("run_key", "source", "run_id", "thread_id", "assistant_id", "model", "status")
_COLUMNS = {
    "open_runs": (
        *_IDENTITY,
        "created_at",
        "started_at",
        "expires_at",
        "last_changed_at",
        "environment_status",
        "age_seconds",
        "silent_seconds",
    ),
    "stuck_runs": (
        *_IDENTITY,
        "reason",
        "created_at",
        "expires_at",
        "last_changed_at",
        "age_seconds",
        "usual_seconds",
        "silent_seconds",
    ),
}
OPEN_RUN_VIEWS = tuple(_COLUMNS)


def view_at(name: str, dialect: str, now: datetime) -> Subquery:
    """Returns a view, one of `OPEN_RUN_VIEWS`, with the ages at `now`."""
    query = _open_runs(dialect) if name == "open_runs" else _stuck_runs(dialect)
    found = text(query).bindparams(bindparam("now", text_format(dialect)(micros(now)), type_=Text))
    return found.columns(*(column(it, _type_of(it)) for it in _COLUMNS[name])).subquery(name)


def _type_of(name: str) -> TypeEngine[Any]:
    if name in runs.c:
        return runs.c[name].type
    return Text() if name == "reason" else Float()


def _open_runs(dialect: str) -> str:
    return (
        f"SELECT {', '.join(_IDENTITY)}, created_at, started_at, expires_at, last_changed_at, "
        "environment_status, "
        f"{_age(dialect, 'created_at')} AS age_seconds, "
        f"{_age(dialect, 'last_changed_at')} AS silent_seconds "
        "FROM runs WHERE outcome IS NULL"
    )


def _stuck_runs(dialect: str) -> str:
    counted = (
        "SELECT source, assistant_id, bucket, "
        "sum(sum(count)) OVER (PARTITION BY source, assistant_id ORDER BY bucket) AS upto, "
        "sum(sum(count)) OVER (PARTITION BY source, assistant_id) AS ended "
        "FROM timing_totals WHERE phase = 'total' GROUP BY source, assistant_id, bucket"
    )
    usual = (
        "SELECT source, assistant_id, min(bucket) AS usual_seconds "
        f"FROM ({counted}) AS counted WHERE upto >= 0.99 * ended AND ended >= 20 "
        "GROUP BY source, assistant_id"
    )
    overdue = _PAST[dialect].format(moment="expires_at", now=_NOW[dialect])
    return (
        f"WITH usual AS ({usual}), aged AS ({_open_runs(dialect)}) "
        f"SELECT {', '.join(f'aged.{it}' for it in _IDENTITY)}, "
        f"CASE WHEN {overdue} THEN 'overdue' WHEN {_HINDERED} "
        "THEN 'environment ' || aged.environment_status ELSE 'slow' END AS reason, "
        "aged.created_at, aged.expires_at, aged.last_changed_at, "
        "aged.age_seconds, usual.usual_seconds, aged.silent_seconds "
        "FROM aged LEFT JOIN usual ON usual.source = aged.source "
        "AND usual.assistant_id = coalesce(aged.assistant_id, '') "
        f"WHERE {overdue} OR {_HINDERED} OR aged.age_seconds > 3 * usual.usual_seconds"
    )


def _age(dialect: str, since: str) -> str:
    return _AGE[dialect].format(now=_NOW[dialect], since=since)
