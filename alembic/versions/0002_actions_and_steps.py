"""Actions and steps, and phases made again with what the steps tell.

The tables are emptied, and the next catch-up fills them.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_FILLED = ("runs", "run_phases", "checkpoints")


def upgrade() -> None:
    _empty()
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "run_actions",
        sa.Column("run_key", sa.Text(), primary_key=True),
        sa.Column("seq", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("tool_call_id", sa.Text(), primary_key=True),
        sa.Column("type", sa.Text()),
        sa.Column("name", sa.Text()),
        sa.Column("arguments", sa.Text()),
        sa.Column("required_at", moment, nullable=False),
        sa.Column("resolved_at", moment),
        sa.Column("waited_seconds", sa.Float()),
        sa.Column("uncertainty_seconds", sa.Float()),
        sqlite_with_rowid=False,
    )
    is_waiting = sa.text("resolved_at IS NULL")
    op.create_index(
        "ix_run_actions_waiting",
        "run_actions",
        ["required_at"],
        sqlite_where=is_waiting,
        postgresql_where=is_waiting,
    )
    op.create_table(
        "run_steps",
        sa.Column("run_key", sa.Text(), primary_key=True),
        sa.Column("step_id", sa.Text(), primary_key=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "tools",
            sa.JSON().with_variant(postgresql.JSONB(), "postgresql"),
            nullable=False,
        ),
        sa.Column("created_at", moment),
        sa.Column("ended_at", moment),
        sa.Column("seconds", sa.Float()),
        sa.Column("prompt_tokens", sa.BigInteger()),
        sa.Column("completion_tokens", sa.BigInteger()),
        sa.Column("total_tokens", sa.BigInteger()),
        sa.Column("cached_tokens", sa.BigInteger()),
        sa.Column("reasoning_tokens", sa.BigInteger()),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    _empty()
    op.drop_table("run_steps")
    op.drop_table("run_actions")


def _empty() -> None:
    # What other releases made of the events is not guessed at: they are all still there.
    for table in _FILLED:
        op.execute(sa.table(table).delete())
