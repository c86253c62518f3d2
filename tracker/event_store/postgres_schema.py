"""The schema of PostgreSQL in which the tables of one installation are."""

from __future__ import annotations

from typing import Any

import psycopg

from tracker.errors import SettingsError


def check_schema(connection: psycopg.Connection[Any]) -> None:
    """Raises SettingsError unless the first schema of the search path exists and may be used.

    The server would pass over it in silence, and the tables would be those of the next one.
    """
    with connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
        cursor.execute(
            "SELECT current_schema(), current_user::text, current_setting('search_path')"
        )
        row = cursor.fetchone()
    assert row is not None
    current, user, path = row
    wanted = _first_schema(path, user, current)
    if current is None or wanted != current:
        raise SettingsError(
            f"no schema {wanted!r} that this user may use, the first of the search_path: create "
            f"it with `CREATE SCHEMA {wanted}`, or grant USAGE and CREATE on it"
        )


def _first_schema(path: str, user: str, current: str | None) -> str:
    """Returns the name of the first schema of a search path, that of the user if it exists."""
    names = [_read_name(it.strip()) for it in path.split(",")]
    for name in names:
        if name != "$user":
            return name
        if current == user:
            return user
    return user


def _read_name(text: str) -> str:
    if text.startswith('"'):
        return text[1:-1].replace('""', '"')
    return text.lower()
