"""Runs that are set aside: whose events a projection leaves out after a position, and why.

The rows of such a run stay as they were at that position. They are noted in the transaction that
advances the checkpoint, so that a kill neither loses a run nor notes one that is complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from projections.database.schema import SHADOW_SUFFIX, set_aside
from projections.folding.json_text import plain_text

_KEYS_PER_QUERY = 500

# By projection and run: the position up to which the tables have its events.
Notes = dict[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class SetAsideRun:
    """A run whose later events are left out of tables, with the cure."""

    run_key: str
    # The projections that leave them out.
    projections: tuple[str, ...]
    # The position up to which the tables have its events.
    position: int
    reason: str
    set_aside_at: datetime
    # The commands that help.
    cure: str


def has_notes(connection: Connection) -> bool:
    """True if any run is set aside."""
    return connection.execute(select(set_aside.c.position).limit(1)).first() is not None


def read_notes(connection: Connection, names: Sequence[str], streams: Iterable[str]) -> Notes:
    """Returns the notes of these projections about these runs."""
    notes: Notes = {}
    columns = set_aside.c
    known = {stored_key(it): it for it in streams}
    for keys in _split(list(known)):
        query = select(columns.projection, columns.run_key, columns.position)
        query = query.where(columns.projection.in_(names), columns.run_key.in_(keys))
        for name, key, position in connection.execute(query):
            notes[name, known[key]] = position
    return notes


def write_notes(
    connection: Connection, names: Sequence[str], position: int, reasons: Mapping[str, str]
) -> None:
    """Notes runs, by their streams, as set aside by these projections after a position."""
    now = datetime.now(UTC)
    rows = [
        {
            "run_key": stored_key(stream),
            "projection": name,
            "position": position,
            "reason": _storable(reason),
            "set_aside_at": now,
        }
        for stream, reason in reasons.items()
        for name in names
    ]
    if rows:
        connection.execute(insert(set_aside), rows)


def delete_notes(
    connection: Connection, names: Sequence[str], streams: Sequence[str] | None = None
) -> None:
    """Deletes the notes of these projections, about these runs or about all."""
    if streams is None:
        connection.execute(delete(set_aside).where(set_aside.c.projection.in_(names)))
        return
    for keys in _split([stored_key(it) for it in streams]):
        mine = set_aside.c.projection.in_(names), set_aside.c.run_key.in_(keys)
        connection.execute(delete(set_aside).where(*mine))


def transfer_notes(connection: Connection, name: str, receiver: str) -> None:
    """Replaces the notes of one projection with those of another."""
    delete_notes(connection, [receiver])
    mine = set_aside.c.projection == name
    connection.execute(update(set_aside).where(mine).values(projection=receiver))


def copy_notes(source: Connection, target: Connection, names: Sequence[str]) -> None:
    """Copies the notes of these projections to another database."""
    query = select(set_aside).where(set_aside.c.projection.in_(names))
    rows = [dict(row) for row in source.execute(query).mappings()]
    if rows:
        target.execute(insert(set_aside), rows)


def count_set_aside(connection: Connection) -> int:
    """Returns the number of runs that are set aside."""
    query = select(func.count(set_aside.c.run_key.distinct())).where(_is_public())
    return connection.execute(query).scalar_one()


def find_set_aside(
    connection: Connection, limit: int | None = None, run_keys: Sequence[str] | None = None
) -> list[SetAsideRun]:
    """Returns the runs that are set aside, in order of their keys; up to `limit` of them."""
    keys = select(set_aside.c.run_key).distinct().where(_is_public()).order_by(set_aside.c.run_key)
    if run_keys is not None:
        keys = keys.where(set_aside.c.run_key.in_(run_keys))
    chosen = keys.limit(limit).scalar_subquery()
    query = select(set_aside).where(_is_public(), set_aside.c.run_key.in_(chosen))
    rows = connection.execute(query.order_by(set_aside.c.run_key, set_aside.c.projection))
    return [_make_run(key, list(found)) for key, found in groupby(rows, lambda it: it.run_key)]


def stored_key(stream: str) -> str:
    """Returns the key of a run as the table has it: without what no database accepts."""
    return _storable(stream)


def _make_run(key: str, rows: list[Row[tuple[object, ...]]]) -> SetAsideRun:
    first = min(rows, key=lambda it: it.position)
    cure = f"runfold retry {key}, or else runfold forget --run {key} --yes"
    names = tuple(it.projection for it in rows)
    return SetAsideRun(key, names, first.position, first.reason, first.set_aside_at, cure)


def _is_public() -> ColumnElement[bool]:
    return ~set_aside.c.projection.endswith(SHADOW_SUFFIX)


def _storable(text: str) -> str:
    return plain_text(text.encode("utf-8", "replace").decode()) or ""


def _split(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(keys), _KEYS_PER_QUERY):
        yield keys[at : at + _KEYS_PER_QUERY]
