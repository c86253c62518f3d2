"""Rollups of usage and times, views of open runs, and what keeps a projection from going on."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

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
  created_at, started_at, expires_at, last_changed_at,
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
  aged.status, CASE WHEN {overdue} THEN 'overdue' ELSE 'slow' END AS reason,
  aged.created_at, aged.expires_at, aged.last_changed_at,
  aged.age_seconds, usual.usual_seconds, aged.silent_seconds
FROM open_runs AS aged LEFT JOIN usual ON usual.source = aged.source
  AND usual.assistant_id = coalesce(aged.assistant_id, '')
WHERE {overdue} OR aged.age_seconds > 3 * usual.usual_seconds
"""

_TABLES = ("usage_hourly", "usage_totals", "timing_buckets", "timing_totals")


def upgrade() -> None:
    op.add_column("checkpoints", sa.Column("failure", sa.Text()))
    for name in _TABLES:
        time = _time() if name in ("usage_hourly", "timing_buckets") else []
        kind = [sa.Column(it, sa.Text(), primary_key=True) for it in _KIND]
        counted = _usage() if name.startswith("usage") else _timing()
        op.create_table(name, *time, *kind, *counted, sqlite_with_rowid=False)
    dialect = op.get_context().dialect.name
    age = _AGES[dialect]
    op.execute(
        _OPEN.format(
            age=age.format(since="created_at"), silence=age.format(since="last_changed_at")
        )
    )
    op.execute(_STUCK.format(overdue=_OVERDUE[dialect]))


def downgrade() -> None:
    op.execute("DROP VIEW stuck_runs")
    op.execute("DROP VIEW open_runs")
    for name in _TABLES:
        op.drop_table(name)
    # Versions of projections that an older release does not know are not for it to go on from.
    op.drop_table("checkpoints")
    op.create_table(
        "checkpoints",
        sa.Column("projection", sa.Text(), primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    for table in ("runs", "run_phases", "run_actions", "run_steps"):
        op.execute(sa.table(table).delete())


_KIND = ("source", "assistant_id", "model")


def _time() -> list[sa.Column[Any]]:
    return [
        sa.Column("hour", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("quarter", sa.Integer(), primary_key=True, autoincrement=False),
    ]


def _usage() -> list[sa.Column[Any]]:
    return [
        sa.Column("outcome", sa.Text(), primary_key=True),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.Column("runs_without_usage", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger()),
        sa.Column("completion_tokens", sa.BigInteger()),
        sa.Column("total_tokens", sa.BigInteger()),
        sa.Column("cached_tokens", sa.BigInteger()),
        sa.Column("reasoning_tokens", sa.BigInteger()),
    ]


def _timing() -> list[sa.Column[Any]]:
    return [
        sa.Column("phase", sa.Text(), primary_key=True),
        sa.Column("bucket", sa.Float(), primary_key=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
    ]
