"""The tables beside the events, which are created together with theirs.

So the role that owns a schema creates all of them, and no other one needs the right to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracker.event_store.open_runs import CREATE_OPEN_RUNS, OPEN_RUNS

HEARTBEATS = "runfold_sources"
PACES = "runfold_paces"
CHECKPOINTS = "runfold_deliveries"
UNDELIVERED = "runfold_undelivered"
TOOL_CALLS = "runfold_tool_calls"

# Those whose rows name streams, and are forgotten with them.
_OF_STREAMS = (UNDELIVERED, TOOL_CALLS)

_TABLES = {
    OPEN_RUNS: CREATE_OPEN_RUNS,
    HEARTBEATS: f"CREATE TABLE IF NOT EXISTS {HEARTBEATS} (source text, worker text, "
    "written_at {moment} NOT NULL, rate double precision NOT NULL, breaker text NOT NULL, "
    "held_until {moment}, refusing text, refusing_since {moment}, denied text, "
    "watched bigint NOT NULL, due bigint NOT NULL, waiting bigint NOT NULL, "
    "asked bigint NOT NULL, refused bigint NOT NULL, failed bigint NOT NULL, "
    "last_error text, last_error_at {moment}, answered_at {moment}, detected bigint NOT NULL, "
    "detection_seconds double precision, clock_ahead double precision NOT NULL, "
    "peculiarities text NOT NULL, set_aside bigint NOT NULL, given_up bigint NOT NULL, "
    "clock_ahead_at_least double precision, clock_ahead_at_most double precision, "
    "PRIMARY KEY (source, worker))",
    PACES: f"CREATE TABLE IF NOT EXISTS {PACES} (source text PRIMARY KEY, "
    "rate double precision NOT NULL, refused_rate double precision, hazards text NOT NULL)",
    CHECKPOINTS: f"CREATE TABLE IF NOT EXISTS {CHECKPOINTS} "
    "(name text, shard integer, position bigint NOT NULL, holder text, "
    "held_until double precision, PRIMARY KEY (name, shard))",
    UNDELIVERED: f"CREATE TABLE IF NOT EXISTS {UNDELIVERED} "
    "(name text, stream text, shard integer NOT NULL, version bigint NOT NULL, "
    "position bigint NOT NULL, attempts bigint NOT NULL, error text, "
    "failing_since double precision, is_parked integer NOT NULL, PRIMARY KEY (name, stream))",
    TOOL_CALLS: f"CREATE TABLE IF NOT EXISTS {TOOL_CALLS} "
    "(stream text, call_id text, output text, PRIMARY KEY (stream, call_id))",
}


def list_side_tables(moment: str) -> dict[str, str]:
    """Returns the statement that creates each table; `moment` is the type of a time."""
    return {name: it.replace("{moment}", moment) for name, it in _TABLES.items()}


def forget_rows(cursor: Any, placeholder: str, streams: Sequence[str]) -> None:
    """Deletes the rows of streams."""
    for table in _OF_STREAMS:
        statement = f"DELETE FROM {table} WHERE stream = {placeholder}"
        cursor.executemany(statement, [(stream,) for stream in streams])
