"""Rows of the events table, written by SQL as no release would: to be read with everything else."""

import sqlite3

import psycopg

from tracker.core.events import Event
from tracker.event_store.codec import encode
from tracker.event_store.sqlite import sqlite_path

GARBAGE = b"\x00\xff no JSON"
_TOPIC = "run.times_changed/1"


def nested(levels: int) -> bytes:
    """Returns the JSON of an event whose metadata is nested so many levels deep."""
    inner = '{"a":' * levels + "1" + "}" * levels
    return (
        '{"observed_at":"2026-01-01T12:00:00Z","source":"assistants","run_id":"deep",'
        f'"status":"queued","metadata":{inner}}}'
    ).encode()


def plant_event(
    url: str, stream: str, version: int, state: bytes = GARBAGE, topic: str = _TOPIC
) -> None:
    """Appends a row with any bytes to the events of a database."""
    _execute(
        url,
        "INSERT INTO runfold_events (originator_id, originator_version, topic, state) "
        "VALUES (?, ?, ?, ?)",
        (stream, version, topic, state),
    )


def replace_event(url: str, stream: str, version: int, event: Event) -> None:
    """Overwrites an event of a database, as a release that can read it would see it."""
    _execute(
        url,
        "UPDATE runfold_events SET topic = ?, state = ? "
        "WHERE originator_id = ? AND originator_version = ?",
        (*encode(event), stream, version),
    )


def _execute(url: str, statement: str, values: tuple[object, ...]) -> None:
    if url.startswith("sqlite"):
        connection = sqlite3.connect(sqlite_path(url))
        with connection:
            assert connection.execute(statement, values).rowcount == 1
        connection.close()
        return
    with psycopg.connect(url) as database:
        done = database.execute(statement.replace("?", "%s").encode(), values)
        assert done.rowcount == 1
