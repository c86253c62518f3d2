"""Runs, their phases, and the checkpoints of the projections."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "runs",
        sa.Column("run_key", sa.Text(), primary_key=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Text()),
        sa.Column("assistant_id", sa.Text()),
        sa.Column("model", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text()),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("started_at", moment),
        sa.Column("ended_at", moment),
        sa.Column("expires_at", moment),
        sa.Column("first_seen_at", moment, nullable=False),
        sa.Column("last_changed_at", moment, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger()),
        sa.Column("completion_tokens", sa.BigInteger()),
        sa.Column("total_tokens", sa.BigInteger()),
        sa.Column("cached_tokens", sa.BigInteger()),
        sa.Column("reasoning_tokens", sa.BigInteger()),
        sa.Column("queued_seconds", sa.Float()),
        sa.Column("running_seconds", sa.Float()),
        sa.Column("action_seconds", sa.Float()),
        sa.Column("total_seconds", sa.Float()),
        sa.Column("uncertainty_seconds", sa.Float()),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_message", sa.Text()),
        sa.Column("incomplete_reason", sa.Text()),
        sa.Column(
            "metadata",
            sa.JSON().with_variant(postgresql.JSONB(), "postgresql"),
            nullable=False,
        ),
        sa.Column("configuration_digest", sa.Text()),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    is_open = sa.text("outcome IS NULL")
    op.create_index(
        "ix_runs_open", "runs", ["status"], sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_index("ix_runs_created_at", "runs", ["created_at"])
    op.create_index("ix_runs_thread_id", "runs", ["thread_id"])
    op.create_table(
        "run_phases",
        sa.Column("run_key", sa.Text(), primary_key=True),
        sa.Column("seq", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("entered_at", moment, nullable=False),
        sa.Column("left_at", moment),
        sa.Column("seconds", sa.Float()),
        sa.Column("uncertainty_seconds", sa.Float()),
        sa.Column("basis", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "checkpoints",
        sa.Column("projection", sa.Text(), primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("checkpoints")
    op.drop_table("run_phases")
    op.drop_table("runs")
