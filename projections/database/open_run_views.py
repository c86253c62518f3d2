"""The views `open_runs` and `stuck_runs`, as SQL for each database.

A run is stuck where its `expires_at` is past and no end was seen (`overdue`), or where it has
been open for three times as long as 99 of 100 runs of its assistant took (`slow`), given that
twenty of them have ended.
"""

from __future__ import annotations

# The moment that ages are measured at: the database's own, unless a parameter says another.
NOW = {"sqlite": "'now'", "postgresql": "now()"}
PARAMETER = {"sqlite": ":now", "postgresql": "CAST(:now AS timestamptz)"}

_AGE = {
    "sqlite": "(julianday({now}) - julianday({since})) * 86400.0",
    "postgresql": "CAST(EXTRACT(epoch FROM {now} - {since}) AS double precision)",
}
_PAST = {
    "sqlite": "julianday({moment}) < julianday({now})",
    "postgresql": "{moment} < {now}",
}
_KIND = "run_key, source, run_id, thread_id, assistant_id, model, status"

_KINDS = tuple(_KIND.split(", "))
OPEN_COLUMNS = (
    *_KINDS,
    "created_at",
    "started_at",
    "expires_at",
    "last_changed_at",
    "age_seconds",
    "silent_seconds",
)
STUCK_COLUMNS = (
    *_KINDS,
    "reason",
    "created_at",
    "expires_at",
    "last_changed_at",
    "age_seconds",
    "usual_seconds",
    "silent_seconds",
)


def open_runs(dialect: str, now: str) -> str:
    """The runs that have not ended, with how long they have been open and nothing was new."""
    return (
        f"SELECT {_KIND}, created_at, started_at, expires_at, last_changed_at, "
        f"{_age(dialect, now, 'created_at')} AS age_seconds, "
        f"{_age(dialect, now, 'last_changed_at')} AS silent_seconds "
        "FROM runs WHERE outcome IS NULL"
    )


def stuck_runs(dialect: str, now: str) -> str:
    """Those of them that are stuck, why, and how long runs of their assistant usually take."""
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
    overdue = _PAST[dialect].format(moment="expires_at", now=now)
    columns = ", ".join(f"aged.{name}" for name in _KINDS)
    return (
        f"WITH usual AS ({usual}), aged AS ({open_runs(dialect, now)}) "
        f"SELECT {columns}, "
        f"CASE WHEN {overdue} THEN 'overdue' ELSE 'slow' END AS reason, "
        "aged.created_at, aged.expires_at, aged.last_changed_at, "
        "aged.age_seconds, usual.usual_seconds, aged.silent_seconds "
        "FROM aged LEFT JOIN usual ON usual.source = aged.source "
        "AND usual.assistant_id = coalesce(aged.assistant_id, '') "
        f"WHERE {overdue} OR aged.age_seconds > 3 * usual.usual_seconds"
    )


def _age(dialect: str, now: str, since: str) -> str:
    return _AGE[dialect].format(now=now, since=since)
