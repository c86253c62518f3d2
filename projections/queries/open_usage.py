"""The tokens of runs that have not ended, which no sum of ended runs has."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from projections.database.schema import runs
from projections.queries.grouping import open_between
from projections.row_types import OpenUsage

_TOTAL = func.coalesce(runs.c.total_tokens, runs.c.prompt_tokens + runs.c.completion_tokens)


def sum_open_usage(
    connection: Connection, since: datetime | None, until: datetime | None
) -> OpenUsage:
    """Returns the tokens that runs created between two moments reported and have not ended with."""
    tokens = runs.c.prompt_tokens, runs.c.completion_tokens, _TOTAL
    columns: list[Any] = [func.count(), *map(func.sum, tokens)]
    query = select(*columns).where(_TOTAL > 0)
    found = connection.execute(open_between(query, since, until, connection.dialect.name)).one()
    return OpenUsage(*(int(it or 0) for it in found))
