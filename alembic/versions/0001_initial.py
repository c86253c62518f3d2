"""All tables of the read side, and the views of open runs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

_AGES = {
    "sqlite": "(julianday('now') - julianday({since})) * 86400.0",
    "postgresql": "CAST(EXTRACT(epoch FROM now() - {since}) AS double precision)",
}
_OVERDUE = {
    "sqlite": "julianday(expires_at) < julianday('now')",
    "postgresql": "expires_at < now()",
}
_OPEN = """
CREATE VIEW open_runs AS
SELECT run_key, source, run_id, thread_id, assistant_id, model, status,
  created_at, started_at, expires_at, last_changed_at, environment_status,
  {age} AS age_seconds, {silence} AS silent_seconds
FROM runs WHERE outcome IS NULL
"""
_STUCK = """
CREATE VIEW stuck_runs AS
WITH usual AS (
  SELECT source, assistant_id, min(bucket) AS usual_seconds FROM (
    SELECT source, assistant_id, bucket,
      sum(sum(count)) OVER (PARTITION BY source, assistant_id ORDER BY bucket) AS upto,
      sum(sum(count)) OVER (PARTITION BY source, assistant_id) AS ended
    FROM timing_totals WHERE phase = 'total' GROUP BY source, assistant_id, bucket
  ) AS counted
  WHERE upto >= 0.99 * ended AND ended >= 20 GROUP BY source, assistant_id
)
SELECT aged.run_key, aged.source, aged.run_id, aged.thread_id, aged.assistant_id, aged.model,
  aged.status, CASE WHEN {overdue} THEN 'overdue'
    WHEN aged.environment_status IN ('failed', 'expired', 'suspended')
      THEN 'environment ' || aged.environment_status
    ELSE 'slow' END AS reason,
  aged.created_at, aged.expires_at, aged.last_changed_at,
  aged.age_seconds, usual.usual_seconds, aged.silent_seconds
FROM open_runs AS aged LEFT JOIN usual ON usual.source = aged.source
  AND usual.assistant_id = coalesce(aged.assistant_id, '')
WHERE {overdue} OR aged.environment_status IN ('failed', 'expired', 'suspended')
  OR aged.age_seconds > 3 * usual.usual_seconds
"""

# What indexes are of: the tokens and the cost of a run.
_TOKENS = "coalesce(total_tokens, prompt_tokens + completion_tokens)"
_NANODOLLARS = "(input_nanodollars + output_nanodollars + request_nanodollars)"

_TABLES = (
    *("runs", "run_phases", "run_actions", "run_steps", "run_costs"),
    *("usage_hourly", "usage_totals", "timing_buckets", "timing_totals"),
    *("cost_hourly", "cost_totals", "runfold_checkpoints", "set_aside"),
)


def upgrade() -> None:
    _create_runs()
    _create_details()
    _create_rollups()
    _create_checkpoints()
    _create_views()


def downgrade() -> None:
    op.execute("DROP VIEW stuck_runs")
    op.execute("DROP VIEW open_runs")
    for name in reversed(_TABLES):
        op.drop_table(name)


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("run_key", sa.Text(), primary_key=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Text()),
        sa.Column("assistant_id", sa.Text()),
        sa.Column("model", sa.Text()),
        sa.Column("parent_run_id", sa.Text()),
        sa.Column("subagent_id", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text()),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("started_at", _MOMENT),
        sa.Column("ended_at", _MOMENT),
        sa.Column("expires_at", _MOMENT),
        sa.Column("first_seen_at", _MOMENT, nullable=False),
        sa.Column("last_changed_at", _MOMENT, nullable=False),
        *_tokens(),
        sa.Column("service_tier", sa.Text()),
        sa.Column("queued_seconds", sa.Float()),
        sa.Column("running_seconds", sa.Float()),
        sa.Column("action_seconds", sa.Float()),
        sa.Column("total_seconds", sa.Float()),
        sa.Column("uncertainty_seconds", sa.Float()),
        *_bounds("queued_", "running_", "action_", "total_"),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_message", sa.Text()),
        sa.Column("incomplete_reason", sa.Text()),
        sa.Column("metadata", _JSON, nullable=False),
        sa.Column("configuration_digest", sa.Text()),
        sa.Column("thread_usage", _JSON),
        sa.Column("environment_status", sa.Text()),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    _create_index("ix_runs_open", "runs", "status", where="outcome IS NULL")
    op.create_index("ix_runs_created_at", "runs", ["created_at"])
    op.create_index("ix_runs_thread_id", "runs", ["thread_id", "created_at"])
    _create_index(
        "ix_runs_total_seconds",
        "runs",
        "total_seconds",
        "run_key",
        where="total_seconds IS NOT NULL",
    )
    _create_index("ix_runs_tokens", "runs", _TOKENS, "run_key", where=f"{_TOKENS} IS NOT NULL")
    _create_index("ix_runs_failed", "runs", "created_at", "error_code", where="outcome = 'failed'")
    _create_index("ix_runs_ended_at", "runs", "ended_at", where="ended_at IS NOT NULL")


def _create_details() -> None:
    op.create_table(
        "run_phases",
        sa.Column("run_key", sa.Text(), primary_key=True),
        sa.Column("seq", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("entered_at", _MOMENT, nullable=False),
        sa.Column("left_at", _MOMENT),
        sa.Column("seconds", sa.Float()),
        sa.Column("uncertainty_seconds", sa.Float()),
        sa.Column("basis", sa.Text(), nullable=False),
        *_bounds(""),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_actions",
        sa.Column("run_key", sa.Text(), primary_key=True),
        sa.Column("seq", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("tool_call_id", sa.Text(), primary_key=True),
        sa.Column("type", sa.Text()),
        sa.Column("name", sa.Text()),
        sa.Column("arguments", sa.Text()),
        sa.Column("required_at", _MOMENT, nullable=False),
        sa.Column("resolved_at", _MOMENT),
        sa.Column("waited_seconds", sa.Float()),
        sa.Column("uncertainty_seconds", sa.Float()),
        *_bounds(""),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_run_actions_required_at", "run_actions", ["required_at"])
    _create_index(
        "ix_run_actions_waiting", "run_actions", "required_at", where="resolved_at IS NULL"
    )
    op.create_table(
        "run_steps",
        sa.Column("run_key", sa.Text(), primary_key=True),
        sa.Column("step_id", sa.Text(), primary_key=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("tools", _JSON, nullable=False),
        sa.Column("created_at", _MOMENT),
        sa.Column("ended_at", _MOMENT),
        sa.Column("seconds", sa.Float()),
        *_tokens(),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_costs",
        sa.Column("run_key", sa.Text(), primary_key=True),
        sa.Column("price_version", sa.Text(), nullable=False),
        *_money(),
        sqlite_with_rowid=False,
    )
    is_priced = f"{_NANODOLLARS} IS NOT NULL"
    _create_index("ix_run_costs_total", "run_costs", _NANODOLLARS, "run_key", where=is_priced)


def _create_rollups() -> None:
    """Creates the sums over runs: by the hour and quarter, and of all time."""
    for by_time, in_total, counted in (
        ("usage_hourly", "usage_totals", _usage),
        ("timing_buckets", "timing_totals", _timing),
        ("cost_hourly", "cost_totals", _cost),
    ):
        op.create_table(by_time, *_time(), *_kind(), *counted(), sqlite_with_rowid=False)
        op.create_table(in_total, *_kind(), *counted(), sqlite_with_rowid=False)


def _create_checkpoints() -> None:
    op.create_table(
        "runfold_checkpoints",
        sa.Column("projection", sa.Text(), primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("failure", sa.Text()),
        sa.Column("pruned_before", _MOMENT),
        sa.Column("settings", sa.Text()),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "set_aside",
        sa.Column("run_key", sa.Text(), primary_key=True),
        sa.Column("projection", sa.Text(), primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_aside_at", _MOMENT, nullable=False),
        sqlite_with_rowid=False,
    )


def _create_views() -> None:
    dialect = op.get_context().dialect.name
    age = _AGES[dialect]
    op.execute(
        _OPEN.format(
            age=age.format(since="created_at"), silence=age.format(since="last_changed_at")
        )
    )
    op.execute(_STUCK.format(overdue=_OVERDUE[dialect]))


def _create_index(name: str, table: str, *columns: str, where: str) -> None:
    """Creates an index of the rows that meet a condition."""
    condition = sa.text(where)
    parts = [sa.text(it) if "(" in it else it for it in columns]
    op.create_index(name, table, parts, sqlite_where=condition, postgresql_where=condition)


def _bounds(*prefixes: str) -> list[sa.Column[Any]]:
    names = ("at_least_seconds", "at_most_seconds")
    return [sa.Column(f"{prefix}{name}", sa.Float()) for prefix in prefixes for name in names]


def _time() -> list[sa.Column[Any]]:
    return [
        sa.Column("hour", _MOMENT, primary_key=True),
        sa.Column("quarter", sa.Integer(), primary_key=True, autoincrement=False),
    ]


def _kind() -> list[sa.Column[Any]]:
    names = ("source", "assistant_id", "model")
    return [sa.Column(name, sa.Text(), primary_key=True) for name in names]


def _usage() -> list[sa.Column[Any]]:
    return [
        sa.Column("outcome", sa.Text(), primary_key=True),
        sa.Column("service_tier", sa.Text(), primary_key=True),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.Column("runs_without_usage", sa.BigInteger(), nullable=False),
        *_tokens(),
        *(sa.Column(f"_{it.name}_runs", sa.BigInteger(), nullable=False) for it in _tokens()),
    ]


def _timing() -> list[sa.Column[Any]]:
    return [
        sa.Column("outcome", sa.Text(), primary_key=True),
        sa.Column("phase", sa.Text(), primary_key=True),
        sa.Column("bucket", sa.Float(), primary_key=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("at_least_count", sa.BigInteger(), nullable=False),
        sa.Column("at_most_count", sa.BigInteger(), nullable=False),
    ]


def _cost() -> list[sa.Column[Any]]:
    return [
        sa.Column("outcome", sa.Text(), primary_key=True),
        sa.Column("service_tier", sa.Text(), primary_key=True),
        sa.Column("price_version", sa.Text(), primary_key=True),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.Column("runs_without_usage", sa.BigInteger(), nullable=False),
        sa.Column("unpriced_runs", sa.BigInteger(), nullable=False),
        *_money(),
    ]


def _tokens() -> list[sa.Column[Any]]:
    sides = ("prompt", "completion", "total", "cached", "reasoning")
    lifetimes = ("", "_5m", "_30m", "_1h", "_12h")
    names = (*sides, *(f"cache_write{it}" for it in lifetimes))
    return [sa.Column(f"{name}_tokens", sa.BigInteger()) for name in names]


def _money() -> list[sa.Column[Any]]:
    parts = ("input", "output", "request")
    return [sa.Column(f"{part}_nanodollars", sa.BigInteger()) for part in parts]
