"""What runs cost, and rollups of it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run_costs",
        sa.Column("run_key", sa.Text(), primary_key=True),
        sa.Column("price_version", sa.Text(), nullable=False),
        *_money(),
        sqlite_with_rowid=False,
    )
    time = [
        sa.Column("hour", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("quarter", sa.Integer(), primary_key=True, autoincrement=False),
    ]
    op.create_table("cost_hourly", *time, *_counted(), sqlite_with_rowid=False)
    op.create_table("cost_totals", *_counted(), sqlite_with_rowid=False)


def downgrade() -> None:
    for name in ("run_costs", "cost_hourly", "cost_totals"):
        op.drop_table(name)
    # The next upgrade finds no rows, and is to fill them from the first event on.
    op.execute("DELETE FROM checkpoints WHERE projection = 'costs'")


def _counted() -> list[sa.Column[Any]]:
    names = ("source", "assistant_id", "model", "outcome", "price_version")
    return [
        *(sa.Column(name, sa.Text(), primary_key=True) for name in names),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.Column("runs_without_usage", sa.BigInteger(), nullable=False),
        sa.Column("unpriced_runs", sa.BigInteger(), nullable=False),
        *_money(),
    ]


def _money() -> list[sa.Column[Any]]:
    return [sa.Column(f"{side}_nanodollars", sa.BigInteger()) for side in ("input", "output")]
