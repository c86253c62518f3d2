"""The questions of the pages that the views do not answer, each bounded at any number of runs."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from projections.database.schema import (
    COST_NANODOLLARS,
    checkpoints,
    run_actions,
    run_costs,
    run_phases,
    runs,
    usage_totals,
)
from projections.folding.json_text import plain_text
from projections.folding.micros import micros, moment_of
from projections.folding.rates import dollars
from projections.queries.grouping import METADATA, created_between, group_column
from projections.row_types import ActionRow, PhaseRow, RunRow
from tracker.core.status import REQUIRES_ACTION
from tracker.errors import SettingsError

# The rows that a question about a range reads at most, where no index has its order.
MOST_READ = 20_000
# The runs that a filter by metadata reads at most.
MOST_METADATA = 10_000

_IS_OPEN = runs.c.outcome.is_(None)
_IS_FAILED = runs.c.outcome == "failed"


class PricedRun(NamedTuple):
    """A run, and its cost in billionths of a dollar if it has one."""

    run: RunRow
    nanodollars: int | None


class RankedRuns(NamedTuple):
    """The first runs by an order."""

    runs: list[PricedRun]
    # True if only the newest `MOST_READ` of the range were looked at.
    is_partial: bool


class Failure(NamedTuple):
    """The failed runs with one error code."""

    code: str | None
    runs: int
    last_at: datetime
    message: str | None


class RunFilter(NamedTuple):
    """The runs that a list shows; None for all."""

    status: str | None = None
    outcome: str | None = None
    source: str | None = None
    assistant_id: str | None = None
    model: str | None = None
    thread_id: str | None = None
    error_code: str | None = None
    # A key and its value.
    metadata: tuple[str, str] | None = None
    since: datetime | None = None
    until: datetime | None = None


class Cursor(NamedTuple):
    """The last run of a page: its value of the order, and its key."""

    value: float
    run_key: str

    def encode(self) -> str:
        """Returns the text that URLs have."""
        text = json.dumps([self.value, self.run_key]).encode()
        return base64.urlsafe_b64encode(text).decode().rstrip("=")


def decode_cursor(text: str) -> Cursor:
    """Returns the cursor of a text. Raises SettingsError for any other text."""
    try:
        value, run_key = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if isinstance(run_key, str) and isinstance(value, int | float):
            return Cursor(value, run_key)
    except ValueError:
        pass
    raise SettingsError(f"{text!r} is no cursor of a list of runs")


def read_positions(connection: Connection) -> list[tuple[str, int]]:
    """Returns the positions that the tables have reached, by projection."""
    query = select(checkpoints.c.projection, checkpoints.c.position)
    query = query.order_by(checkpoints.c.projection)
    return [(row[0], row[1]) for row in connection.execute(query)]


def find_oldest(connection: Connection) -> datetime | None:
    """Returns the creation of the first run."""
    return connection.execute(select(func.min(runs.c.created_at))).scalar()


def find_newest(connection: Connection) -> datetime | None:
    """Returns the creation of the last run."""
    return connection.execute(select(func.max(runs.c.created_at))).scalar()


def count_open(connection: Connection, status: str | None = None) -> int:
    """Returns the number of open runs, of all or in one status."""
    query = select(func.count()).select_from(runs).where(_IS_OPEN)
    if status is not None:
        query = query.where(runs.c.status == status)
    return int(connection.execute(query).scalar() or 0)


def find_open(connection: Connection, limit: int, status: str | None = None) -> list[RunRow]:
    """Returns open runs, oldest first."""
    query = select(runs).where(_IS_OPEN)
    if status is not None:
        query = query.where(runs.c.status == status)
    query = query.order_by(runs.c.created_at, runs.c.run_key).limit(limit)
    return [RunRow(*row) for row in connection.execute(query)]


def find_last_ended(connection: Connection, limit: int) -> list[RunRow]:
    """Returns the runs that ended last."""
    query = select(runs).where(runs.c.ended_at.is_not(None))
    query = query.order_by(runs.c.ended_at.desc()).limit(limit)
    return [RunRow(*row) for row in connection.execute(query)]


def find_phases_of(connection: Connection, keys: Sequence[str]) -> dict[str, list[PhaseRow]]:
    """Returns the phases of each of these runs, first to last."""
    found: dict[str, list[PhaseRow]] = {key: [] for key in keys}
    query = select(run_phases).where(run_phases.c.run_key.in_(keys))
    for row in connection.execute(query.order_by(run_phases.c.run_key, run_phases.c.seq)):
        found[row.run_key].append(PhaseRow(*row))
    return found


def find_waiting_actions(connection: Connection, keys: Sequence[str]) -> dict[str, list[ActionRow]]:
    """Returns the calls that these runs wait for."""
    found: dict[str, list[ActionRow]] = {key: [] for key in keys}
    mine = run_actions.c.run_key.in_(keys), run_actions.c.resolved_at.is_(None)
    order = (run_actions.c[name] for name in ("required_at", "seq", "tool_call_id"))
    for row in connection.execute(select(run_actions).where(*mine).order_by(*order)):
        found[row.run_key].append(ActionRow(*row))
    return found


def find_costs(connection: Connection, keys: Sequence[str]) -> dict[str, int | None]:
    """Returns the costs of these runs in billionths of a dollar; None for one without a price."""
    query = select(run_costs.c.run_key, COST_NANODOLLARS).where(run_costs.c.run_key.in_(keys))
    return {row[0]: row[1] for row in connection.execute(query)}


def rank_slowest(
    connection: Connection, since: datetime | None, until: datetime | None, limit: int
) -> RankedRuns:
    """Returns the runs that took longest from their creation to their end."""
    order = runs.c.total_seconds
    top = select(runs).where(order.is_not(None)).order_by(order.desc())
    return _rank(connection, top, order, since, until, limit)


def rank_dearest(
    connection: Connection, since: datetime | None, until: datetime | None, limit: int
) -> RankedRuns:
    """Returns the runs that cost most."""
    same = run_costs.c.run_key == runs.c.run_key
    top = select(runs).join_from(run_costs, runs, same).where(COST_NANODOLLARS.is_not(None))
    return _rank(
        connection, top.order_by(COST_NANODOLLARS.desc()), COST_NANODOLLARS, since, until, limit
    )


def _rank(
    connection: Connection,
    top: Select[Any],
    order: ColumnElement[Any],
    since: datetime | None,
    until: datetime | None,
    limit: int,
) -> RankedRuns:
    """Reads down the index of an order, or the newest runs of a range if that finds too few."""
    is_cost = order is COST_NANODOLLARS
    is_limited = since is not None or until is not None
    is_partial = False
    if is_limited:
        in_range = created_between(select(runs.c.run_key), since, until)
        newest = in_range.order_by(runs.c.created_at.desc()).limit(MOST_READ + 1)
        number = connection.execute(select(func.count()).select_from(newest.subquery())).scalar()
        is_few = (number or 0) <= MOST_READ
        if not is_few:
            found = _read_down(connection, top, since, until, limit)
            if len(found) == limit:
                return RankedRuns(_price(connection, found), False)
            is_partial = True
        # MATERIALIZED, so that the range is read by the index of the creation.
        chosen = in_range.order_by(runs.c.created_at.desc()).limit(MOST_READ).cte("chosen")
        query = select(runs).join_from(chosen, runs, runs.c.run_key == chosen.c.run_key)
        if is_cost:
            query = query.join(run_costs, run_costs.c.run_key == chosen.c.run_key)
        query = query.where(order.is_not(None)).order_by(order.desc(), runs.c.run_key).limit(limit)
        found = [RunRow(*row) for row in connection.execute(query)]
    else:
        found = [RunRow(*row) for row in connection.execute(top.limit(limit))]
    return RankedRuns(_price(connection, found), is_partial)


def _read_down(
    connection: Connection,
    top: Select[Any],
    since: datetime | None,
    until: datetime | None,
    limit: int,
) -> list[RunRow]:
    first = top.limit(MOST_READ).subquery("first")
    query = select(first)
    if since is not None:
        query = query.where(first.c.created_at >= since)
    if until is not None:
        query = query.where(first.c.created_at < until)
    return [RunRow(*row) for row in connection.execute(query.limit(limit))]


def _price(connection: Connection, found: Sequence[RunRow]) -> list[PricedRun]:
    costs = find_costs(connection, [it.run_key for it in found])
    return [PricedRun(it, costs.get(it.run_key)) for it in found]


def count_failures(
    connection: Connection, since: datetime | None, until: datetime | None, limit: int
) -> list[Failure]:
    """Returns the failed runs by error code, those of most runs first."""
    number, last = func.count(), func.max(runs.c.created_at)
    query = created_between(select(runs.c.error_code, number, last).where(_IS_FAILED), since, until)
    query = query.group_by(runs.c.error_code).order_by(number.desc(), last.desc()).limit(limit)
    failures = []
    for code, count, last_at in connection.execute(query).all():
        is_code = runs.c.error_code.is_(None) if code is None else runs.c.error_code == code
        newest = select(runs.c.error_message).where(
            _IS_FAILED, runs.c.created_at == last_at, is_code
        )
        message = connection.execute(newest.limit(1)).scalar()
        failures.append(Failure(code, count, last_at, message))
    return failures


def list_values(connection: Connection) -> dict[str, list[str]]:
    """Returns the sources, assistants and models of ended runs, in order."""
    found: dict[str, list[str]] = {}
    for name in ("source", "assistant_id", "model"):
        column = usage_totals.c[name]
        query = select(column).where(column != "").distinct().order_by(column).limit(200)
        found[name] = list(connection.execute(query).scalars())
    return found


def list_runs(
    connection: Connection, wanted: RunFilter, order: str, cursor: Cursor | None, limit: int
) -> list[PricedRun]:
    """Returns a page of the runs that match, by `created_at`, `total_seconds` or `cost`.

    The newest, slowest or dearest are first, and those after `cursor` only. A filter by metadata
    reads the newest runs of the range, `MOST_METADATA` at most.
    """
    columns = {
        "created_at": runs.c.created_at,
        "total_seconds": runs.c.total_seconds,
        "cost": COST_NANODOLLARS,
    }
    value = columns[order]
    query = _filter(select(runs), wanted)
    if order == "cost":
        query = query.join(run_costs, run_costs.c.run_key == runs.c.run_key)
    if wanted.metadata is not None:
        newest = _filter(select(runs.c.run_key), wanted).order_by(runs.c.created_at.desc())
        chosen = newest.limit(MOST_METADATA).cte("chosen")
        key, text = wanted.metadata
        found = group_column(METADATA + key, connection.dialect.name)
        query = query.join(chosen, chosen.c.run_key == runs.c.run_key)
        query = query.where(_has_text(found, text, connection.dialect.name))
    if cursor is not None:
        after = moment_of(int(cursor.value)) if order == "created_at" else cursor.value
        query = query.where(
            or_(value < after, and_(value == after, runs.c.run_key < cursor.run_key))
        ).where(value <= after)
    if order != "created_at":
        query = query.where(value.is_not(None))
    query = query.order_by(value.desc(), runs.c.run_key.desc()).limit(limit)
    return _price(connection, [RunRow(*row) for row in connection.execute(query)])


def cursor_of(found: PricedRun, order: str) -> Cursor:
    """Returns the cursor that goes on after a run."""
    run = found.run
    if order == "created_at":
        return Cursor(micros(run.created_at), run.run_key)
    value = found.nanodollars if order == "cost" else run.total_seconds
    return Cursor(value or 0, run.run_key)


def _filter(query: Select[Any], wanted: RunFilter) -> Select[Any]:
    query = created_between(query, wanted.since, wanted.until)
    for name in ("status", "outcome", "source", "assistant_id", "model", "thread_id", "error_code"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(runs.c[name] == plain_text(value))
    if wanted.status is not None and wanted.outcome is None and wanted.status == REQUIRES_ACTION:
        # Lets the database use the index of open runs.
        query = query.where(_IS_OPEN)
    return query


def _has_text(column: ColumnElement[Any], text: str, dialect: str) -> ColumnElement[bool]:
    """True of metadata whose value is a text, or a number or truth value written as one."""
    texts = [json.dumps([text], ensure_ascii=False, separators=(",", ":"))]
    if text in ("true", "false") or text.lstrip("-").isdigit():
        texts.append(f"[{text}]")
    if dialect == "sqlite":
        return column.in_(texts)
    from sqlalchemy import Text, cast
    from sqlalchemy.dialects.postgresql import JSONB

    return or_(*(column == cast(cast(it, Text), JSONB) for it in texts))


def read_newest(
    connection: Connection, since: datetime | None, until: datetime | None, key: str
) -> list[tuple[RunRow, int | None, Any]]:
    """Returns the newest ended runs of a range with their cost and a value of their metadata."""
    value = group_column(METADATA + key, connection.dialect.name)
    query = created_between(select(*runs.c, COST_NANODOLLARS, value), since, until)
    query = query.select_from(
        runs.outerjoin(run_costs, run_costs.c.run_key == runs.c.run_key)
    ).where(runs.c.outcome.is_not(None))
    query = query.order_by(runs.c.created_at.desc()).limit(MOST_METADATA)
    size = len(runs.c)
    return [(RunRow(*row[:size]), row[size], row[size + 1]) for row in connection.execute(query)]


def to_dollars(nanodollars: int | None) -> Any:
    """Returns billionths of a dollar as dollars."""
    return dollars(nanodollars)
