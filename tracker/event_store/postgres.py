"""The event store in PostgreSQL: one order of positions for any number of writers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eventsourcing.persistence import (
    IntegrityError,
    Notification,
    PersistenceError,
    StoredEvent,
)

from tracker.errors import SettingsError, StoreUnavailable
from tracker.event_store.postgres_url import connection_settings, explain, read_pool_size
from tracker.event_store.recorder import (
    ANOMALY_INDEX,
    CREATE_ANOMALY_INDEX,
    EVENTS_TABLE,
    NewRow,
    Row,
    to_new_row,
    to_notifications,
)
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.event_store.side_tables import list_side_tables
from tracker.event_store.store import EventStore

try:
    import psycopg
    from eventsourcing.postgres import PostgresApplicationRecorder
    from psycopg.rows import tuple_row

    from tracker.event_store.postgres_connections import (
        BoundedDatastore,
        Patience,
        connect,
    )
    from tracker.event_store.postgres_listener import PostgresListener
    from tracker.event_store.postgres_schema import check_schema
except ImportError as error:  # pragma: no cover - only without the extra
    raise SettingsError("PostgreSQL needs the extra: pip install 'runfold[postgres]'") from error

LEASES = "runfold_leases"
WORKERS = "runfold_workers"
_FORGOTTEN = "runfold_forgotten"
_CREATION_LOCK = 0x72756E666F6C64  # the text "runfold" as a number

_COLUMNS = "position, originator_id, originator_version, topic, state"


_TABLES = {
    EVENTS_TABLE: f"CREATE TABLE IF NOT EXISTS {EVENTS_TABLE} ("
    "position bigserial PRIMARY KEY, "
    "originator_id text NOT NULL, "
    "originator_version bigint NOT NULL, "
    "topic text NOT NULL, "
    "state bytea NOT NULL, "
    "UNIQUE (originator_id, originator_version))",
    ANOMALY_INDEX: CREATE_ANOMALY_INDEX,
    _FORGOTTEN: f"CREATE TABLE IF NOT EXISTS {_FORGOTTEN} "
    "(one boolean PRIMARY KEY CHECK (one), position bigint NOT NULL)",
    LEASES: f"CREATE TABLE IF NOT EXISTS {LEASES} (source text, shard integer, worker text, "
    "since timestamptz, expires_at timestamptz, PRIMARY KEY (source, shard))",
    WORKERS: f"CREATE TABLE IF NOT EXISTS {WORKERS} (source text, worker text, "
    "expires_at timestamptz NOT NULL, PRIMARY KEY (source, worker))",
    **list_side_tables("timestamptz"),
}
# With the lock, positions are in the order of commits, for readers by position. A lock on the
# table would do the same, but VACUUM and ANALYZE would wait for it and make all writers wait. The
# lock is of this table alone: other schemas have their own. The server ends the transaction of a
# writer whose host was lost, and with it the lock.
_LOCK = (
    "SELECT pg_advisory_xact_lock('pg_class'::regclass::oid::integer, "
    f"'{EVENTS_TABLE}'::regclass::oid::integer); "
    "SET LOCAL idle_in_transaction_session_timeout = '10s'; "
    f"NOTIFY {EVENTS_TABLE}"
)


class PostgresRecorder(PostgresApplicationRecorder):
    """The library's recorder, inserting arrays without the driver's pipeline.

    The library's own pipelined insert was seen to hang on a Unix socket from about 700 events.
    Its database functions take no lock on the table, so a reader by position misses events.
    Neither is used.
    """

    placeholder = "%s"

    def __init__(self, datastore: BoundedDatastore, settings: dict[str, Any]) -> None:
        super().__init__(datastore, events_table_name=EVENTS_TABLE)
        self.connection_settings = settings
        self._bounded = datastore
        self._listener = PostgresListener(
            settings,
            EVENTS_TABLE,
            lambda after: bool(self.select_rows(after, 1)),
            datastore.patience,
        )

    def create_table(self) -> None:
        # Only what is missing: a role may have no right to create tables, nor has a replica.
        with self.datastore.transaction(commit=True) as c:
            if not self._missing(c):
                return
            # Without the lock, processes that create a table at the same time fail.
            c.execute("SELECT pg_advisory_xact_lock(%s)", (_CREATION_LOCK,))
            for name in self._missing(c):
                c.execute(_TABLES[name].encode())

    def _missing(self, cursor: Any) -> list[str]:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname = ANY(%s) "
            "AND relnamespace = to_regnamespace(quote_ident(current_schema()))",
            (list(_TABLES),),
        )
        found = {row["relname"] for row in cursor.fetchall()}
        return [name for name in _TABLES if name not in found]

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        self.insert_rows([to_new_row(stored) for stored in stored_events])
        return None

    def insert_rows(self, rows: Sequence[NewRow]) -> None:
        streams, versions, topics, states = (list(column) for column in zip(*rows, strict=True))
        before: dict[str, int] = {}
        last: dict[str, int] = {}
        for stream, version in zip(streams, versions, strict=True):
            before.setdefault(stream, version - 1)
            if last.setdefault(stream, version - 1) != version - 1:
                raise IntegrityError("a stream's versions do not follow one another")
            last[stream] = version
        heads = [(stream, version) for stream, version in before.items() if version > 0]
        with self.datastore.get_connection() as connection, connection.transaction():
            connection.execute(_LOCK.encode())
            with connection.cursor(row_factory=tuple_row) as c:
                c.execute(
                    f"WITH added AS (INSERT INTO {EVENTS_TABLE} "
                    "(originator_id, originator_version, topic, state) SELECT * FROM unnest("
                    "%b::text[], %b::bigint[], %b::text[], %b::bytea[])) "
                    f"SELECT count(*) FROM {EVENTS_TABLE} JOIN unnest(%b::text[], %b::bigint[]) "
                    "AS head (stream, version) "
                    "ON originator_id = head.stream AND originator_version = head.version",
                    (
                        streams,
                        versions,
                        topics,
                        states,
                        [stream for stream, _ in heads],
                        [version for _, version in heads],
                    ),
                )
                found = c.fetchone()
                if found is None or found[0] != len(heads):
                    raise IntegrityError("a stream is behind its expected version")

    def select_rows(self, after: int, limit: int) -> Sequence[Row]:
        return self._rows("position > %s ORDER BY position LIMIT %s", (after, limit))

    def select_stream(self, stream: str, after: int) -> Sequence[Row]:
        return self._rows(
            "originator_id = %s AND originator_version > %s ORDER BY originator_version",
            (stream, after),
        )

    def select_streams(self, streams: Sequence[str]) -> Sequence[Row]:
        return self._rows(
            "originator_id = ANY(%s) ORDER BY originator_id, originator_version",
            (list(streams),),
        )

    def _rows(self, condition: str, parameters: tuple[object, ...]) -> Sequence[Row]:
        with (
            self.datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row, binary=True) as c,
        ):
            c.execute(f"SELECT {_COLUMNS} FROM {EVENTS_TABLE} WHERE {condition}", parameters)
            return c.fetchall()

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        after = (start or 0) - (1 if start and inclusive_of_start else 0)
        return to_notifications(self.select_rows(after, limit), stop, topics)

    def max_notification_id(self) -> int | None:
        with (
            self.datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row) as c,
        ):
            # The value of the sequence would include events that are not committed yet.
            c.execute(
                f"SELECT greatest((SELECT max(position) FROM {EVENTS_TABLE}), "
                f"(SELECT position FROM {_FORGOTTEN}))"
            )
            row = c.fetchone()
            return row[0] if row else None

    def delete_streams(self, streams: Sequence[str]) -> int:
        with (
            self.datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row) as c,
        ):
            c.execute(
                f"WITH deleted AS (DELETE FROM {EVENTS_TABLE} WHERE originator_id = ANY(%s) "
                f"RETURNING position), kept AS (INSERT INTO {_FORGOTTEN} AS kept "
                "SELECT true, max(position) FROM deleted HAVING count(*) > 0 "
                "ON CONFLICT (one) DO UPDATE "
                "SET position = greatest(kept.position, excluded.position)) "
                "SELECT count(*) FROM deleted",
                (list(streams),),
            )
            row = c.fetchone()
            return row[0] if row else 0

    def wait(self, after: int, timeout: float) -> bool:
        return self._listener.wait(after, timeout)

    def hurry(self) -> None:
        """Shortens all waits for the server: the tracker is being left."""
        self._bounded.hurry()

    def close(self) -> None:
        self._listener.close()
        self.datastore.close()


def open_postgres(url: str) -> EventStore:
    """Opens the event store in the PostgreSQL database of a URL; see `open_event_store`."""
    settings = connection_settings(url)
    try:
        # A single connection reports the cause of a failure; the pool only reports a timeout.
        with connect(settings, Patience()) as connection:
            check_schema(connection)
    except psycopg.Error as error:
        raise StoreUnavailable(
            f"the PostgreSQL database {settings['dbname']!r} at {settings['host']!r} "
            f"cannot be reached: {explain(error)}"
        ) from None
    datastore = BoundedDatastore(settings, read_pool_size(url))
    try:
        recorder = PostgresRecorder(datastore, settings)
        recorder.create_table()
    except PersistenceError as error:
        datastore.close()
        raise StoreUnavailable(
            f"the tables cannot be created: {error}; if this role may not create tables, "
            "have the owner of the schema run `runfold upgrade`"
        ) from error
    return RecorderEventStore(recorder)
