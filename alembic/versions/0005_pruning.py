"""Old runs can be pruned: an index of ended runs, and the moment before which they are gone."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_OF_RUNS = {
    "runs": "runs",
    "phases": "run_phases",
    "actions": "run_actions",
    "steps": "run_steps",
}


def upgrade() -> None:
    op.add_column("checkpoints", sa.Column("pruned_before", sa.DateTime(timezone=True)))
    has_ended = sa.text("ended_at IS NOT NULL")
    op.create_index(
        "ix_runs_ended_at",
        "runs",
        ["ended_at"],
        sqlite_where=has_ended,
        postgresql_where=has_ended,
    )


def downgrade() -> None:
    op.drop_index("ix_runs_ended_at", "runs")
    checkpoints = sa.table("checkpoints", sa.column("projection"), sa.column("pruned_before"))
    marked = sa.select(sa.func.count(checkpoints.c.pruned_before))
    if op.get_context().as_sql or op.get_bind().execute(marked).scalar():
        # An older release does not know of runs that are gone: it makes all of them again.
        for name, table in _OF_RUNS.items():
            op.execute(sa.table(table).delete())
            op.execute(checkpoints.delete().where(checkpoints.c.projection == name))
    op.drop_column("checkpoints", "pruned_before")
