"""The tables of the read side. Their names and columns are public.

All times are UTC: `timestamptz` on PostgreSQL, on SQLite ISO text without a zone and with six
digits of a second, aware in Python.
All `*_seconds` are seconds. NULL means unknown or not applicable; it never stands for zero.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine

from projections.folding.micros import micros_or_none, utc_text
from tracker.core.usage import TOKEN_COUNTS

REVISION = "0001"
VERSION_TABLE = "runfold_alembic_version"
# Prefix of the tables that a rebuild fills beside the public ones.
SHADOW_PREFIX = "runfold_shadow_"
# Suffix of the checkpoints of these tables.
SHADOW_SUFFIX = " (rebuild)"


class UtcDateTime(TypeDecorator[datetime]):
    """A time: aware and in UTC in Python, in the form of each database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        return datetime

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(_UtcText())  # type: ignore[no-untyped-call]
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _UtcText(sqlite.DATETIME):
    """A time as ISO text with six digits of a second, so that text sorts in order of time."""

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], str | None]:
        return lambda moment: utc_text(micros_or_none(moment))


def _token_columns() -> list[Column[Any]]:
    return [Column(name, BigInteger) for name in TOKEN_COUNTS]


def _bound_columns(*names: str) -> list[Column[Any]]:
    """Returns the columns of what a duration is at least and at most, NULL for no limit."""
    bounds = ("at_least_seconds", "at_most_seconds")
    prefixes = [f"{name}_" for name in names] or [""]
    return [Column(f"{prefix}{bound}", Float) for prefix in prefixes for bound in bounds]


metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("run_key", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("thread_id", Text),
    Column("assistant_id", Text),
    Column("model", Text),
    Column("parent_run_id", Text),
    Column("subagent_id", Text),
    Column("status", Text, nullable=False),
    Column("outcome", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("last_changed_at", UtcDateTime, nullable=False),
    *_token_columns(),
    Column("service_tier", Text),
    Column("queued_seconds", Float),
    Column("running_seconds", Float),
    Column("action_seconds", Float),
    Column("total_seconds", Float),
    Column("uncertainty_seconds", Float),
    *_bound_columns("queued", "running", "action", "total"),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("incomplete_reason", Text),
    Column("metadata", JSON().with_variant(JSONB(), "postgresql"), nullable=False),
    Column("configuration_digest", Text),
    Column("thread_usage", JSON().with_variant(JSONB(), "postgresql")),
    Column("environment_status", Text),
    Column("version", Integer, nullable=False),
)

# Open runs are few and queried often; ended ones would only make this index larger.
_is_open = runs.c.outcome.is_(None)
Index("ix_runs_open", runs.c.status, sqlite_where=_is_open, postgresql_where=_is_open)
Index("ix_runs_created_at", runs.c.created_at)
Index("ix_runs_thread_id", runs.c.thread_id, runs.c.created_at)
# The slowest runs, and those of most tokens; the key makes a place in the order unique.
_has_total = runs.c.total_seconds.is_not(None)
Index(
    "ix_runs_total_seconds",
    runs.c.total_seconds,
    runs.c.run_key,
    sqlite_where=_has_total,
    postgresql_where=_has_total,
)
_tokens = func.coalesce(runs.c.total_tokens, runs.c.prompt_tokens + runs.c.completion_tokens)
_has_tokens = _tokens.is_not(None)
Index(
    "ix_runs_tokens",
    _tokens,
    runs.c.run_key,
    sqlite_where=_has_tokens,
    postgresql_where=_has_tokens,
)
_has_failed = runs.c.outcome == "failed"
Index(
    "ix_runs_failed",
    runs.c.created_at,
    runs.c.error_code,
    sqlite_where=_has_failed,
    postgresql_where=_has_failed,
)
# Pruning finds the oldest runs by it.
_has_ended = runs.c.ended_at.is_not(None)
Index("ix_runs_ended_at", runs.c.ended_at, sqlite_where=_has_ended, postgresql_where=_has_ended)

run_phases = Table(
    "run_phases",
    metadata,
    Column("run_key", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("status", Text, nullable=False),
    Column("entered_at", UtcDateTime, nullable=False),
    Column("left_at", UtcDateTime),
    Column("seconds", Float),
    Column("uncertainty_seconds", Float),
    Column("basis", Text, nullable=False),
    *_bound_columns(),
    sqlite_with_rowid=False,
)

run_actions = Table(
    "run_actions",
    metadata,
    Column("run_key", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("tool_call_id", Text, primary_key=True),
    Column("type", Text),
    Column("name", Text),
    Column("arguments", Text),
    Column("required_at", UtcDateTime, nullable=False),
    Column("resolved_at", UtcDateTime),
    Column("waited_seconds", Float),
    Column("uncertainty_seconds", Float),
    *_bound_columns(),
    sqlite_with_rowid=False,
)

Index("ix_run_actions_required_at", run_actions.c.required_at)
_is_waiting = run_actions.c.resolved_at.is_(None)
Index(
    "ix_run_actions_waiting",
    run_actions.c.required_at,
    sqlite_where=_is_waiting,
    postgresql_where=_is_waiting,
)

run_steps = Table(
    "run_steps",
    metadata,
    Column("run_key", Text, primary_key=True),
    Column("step_id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("tools", JSON().with_variant(JSONB(), "postgresql"), nullable=False),
    Column("created_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("seconds", Float),
    *_token_columns(),
    sqlite_with_rowid=False,
)


def _time_columns() -> list[Column[Any]]:
    """Returns the hour in UTC and the quarter, from 0 to 3, in which a run was created.

    All time zones have been whole quarters of an hour away from UTC since 1972, so that their
    days and hours consist of whole quarters.
    """
    return [
        Column("hour", UtcDateTime, primary_key=True),
        Column("quarter", Integer, primary_key=True, autoincrement=False),
    ]


def _dimension_columns() -> list[Column[Any]]:
    """Returns the columns that rollups are grouped by; an empty text stands for unknown."""
    return [Column(name, Text, primary_key=True) for name in ("source", "assistant_id", "model")]


def _usage_columns() -> list[Column[Any]]:
    return [
        Column("outcome", Text, primary_key=True),
        Column("service_tier", Text, primary_key=True),
        Column("runs", BigInteger, nullable=False),
        Column("runs_without_usage", BigInteger, nullable=False),
        *_token_columns(),
        # How many runs report each: a sum that the last of them leaves is unknown again.
        *(Column(f"_{it}_runs", BigInteger, nullable=False) for it in TOKEN_COUNTS),
    ]


def _timing_columns() -> list[Column[Any]]:
    return [
        Column("outcome", Text, primary_key=True),
        Column("phase", Text, primary_key=True),
        Column("bucket", Float, primary_key=True),
        Column("count", BigInteger, nullable=False),
        # The runs whose duration is at least, or at most, in this bucket.
        Column("at_least_count", BigInteger, nullable=False),
        Column("at_most_count", BigInteger, nullable=False),
    ]


def _money_columns() -> list[Column[Any]]:
    """Returns the costs in billionths of a dollar: sums of integers are exact."""
    parts = ("input", "output", "request")
    return [Column(f"{part}_nanodollars", BigInteger) for part in parts]


def _cost_columns() -> list[Column[Any]]:
    return [
        Column("outcome", Text, primary_key=True),
        Column("service_tier", Text, primary_key=True),
        Column("price_version", Text, primary_key=True),
        Column("runs", BigInteger, nullable=False),
        Column("runs_without_usage", BigInteger, nullable=False),
        Column("unpriced_runs", BigInteger, nullable=False),
        *_money_columns(),
    ]


# Rollups of ended runs: each one by hour, and one over all time, so that a query about all runs
# takes the same time however many there are.
usage_hourly = Table(
    "usage_hourly",
    metadata,
    *_time_columns(),
    *_dimension_columns(),
    *_usage_columns(),
    sqlite_with_rowid=False,
)
usage_totals = Table(
    "usage_totals", metadata, *_dimension_columns(), *_usage_columns(), sqlite_with_rowid=False
)
timing_buckets = Table(
    "timing_buckets",
    metadata,
    *_time_columns(),
    *_dimension_columns(),
    *_timing_columns(),
    sqlite_with_rowid=False,
)
timing_totals = Table(
    "timing_totals", metadata, *_dimension_columns(), *_timing_columns(), sqlite_with_rowid=False
)

run_costs = Table(
    "run_costs",
    metadata,
    Column("run_key", Text, primary_key=True),
    Column("price_version", Text, nullable=False),
    *_money_columns(),
    sqlite_with_rowid=False,
)
_nanodollars = (
    run_costs.c.input_nanodollars + run_costs.c.output_nanodollars + run_costs.c.request_nanodollars
)
_is_priced = _nanodollars.is_not(None)
Index(
    "ix_run_costs_total",
    _nanodollars,
    run_costs.c.run_key,
    sqlite_where=_is_priced,
    postgresql_where=_is_priced,
)
cost_hourly = Table(
    "cost_hourly",
    metadata,
    *_time_columns(),
    *_dimension_columns(),
    *_cost_columns(),
    sqlite_with_rowid=False,
)
cost_totals = Table(
    "cost_totals", metadata, *_dimension_columns(), *_cost_columns(), sqlite_with_rowid=False
)

checkpoints = Table(
    # LangGraph keeps a table `checkpoints`.
    "runfold_checkpoints",
    metadata,
    Column("projection", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("failure", Text),
    Column("pruned_before", UtcDateTime),
    # What the rows depend on beside the events: the settings of the prices, as JSON.
    Column("settings", Text),
    sqlite_with_rowid=False,
)

# One row for each projection that leaves out the events of a run after a position, since an event
# could not be read or applied, or the database refused a row.
set_aside = Table(
    "set_aside",
    metadata,
    Column("run_key", Text, primary_key=True),
    Column("projection", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("set_aside_at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

# The tables of the projections' own state.
STATE_TABLES = (checkpoints.name, set_aside.name)
