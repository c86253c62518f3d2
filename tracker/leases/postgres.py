"""Leases in PostgreSQL: claimed, renewed and given back by the database's clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg

from tracker.errors import StoreUnavailable
from tracker.event_store.postgres import LEASES, WORKERS, connection_settings
from tracker.leases.shards import SHARDS, Shard

LEASE_SECONDS = 6.0
RENEW_SECONDS = 2.0
# Counted among those that divide a source: who died does not keep a share free for long.
_LIVE_SECONDS = 2.5
_UNSETTLED_SECONDS = 0.5
_AFTER_SECONDS = 0.05
_LEASE_MILLIS = int(LEASE_SECONDS * 1000)

# Statements that each commit by themselves and lock rows in no wrong order: those that others
# hold are passed over, and one that is not one's own is never waited for.
_MAKE = (
    f"INSERT INTO {LEASES} (source, shard) SELECT %(source)s, generate_series(0, {SHARDS - 1}) "
    "ON CONFLICT DO NOTHING"
)
_LIVE = (
    f"INSERT INTO {WORKERS} (source, worker, expires_at) VALUES (%(source)s, %(worker)s, {{ends}}) "
    "ON CONFLICT (source, worker) DO UPDATE SET expires_at = excluded.expires_at"
).format(ends="clock_timestamp() + %(live)s * interval '1 second'")
_BURY = (
    f"DELETE FROM {WORKERS} WHERE (source, worker) IN (SELECT source, worker FROM {WORKERS} "
    "WHERE expires_at < clock_timestamp() - interval '1 minute' FOR UPDATE SKIP LOCKED)"
)
_COUNT = (
    f"SELECT count(*) FROM {WORKERS} WHERE source = %(source)s AND expires_at > clock_timestamp()"
)
_RENEW = (
    f"UPDATE {LEASES} SET expires_at = clock_timestamp() + %(lease)s * interval '1 second' "
    "WHERE source = %(source)s AND shard IN (SELECT shard FROM "
    f"{LEASES} WHERE source = %(source)s AND worker = %(worker)s FOR UPDATE SKIP LOCKED) "
    "AND worker = %(worker)s RETURNING shard"
)
_CLAIM = (
    f"UPDATE {LEASES} SET worker = %(worker)s, since = clock_timestamp(), "
    "expires_at = clock_timestamp() + %(lease)s * interval '1 second' "
    f"WHERE source = %(source)s AND shard IN (SELECT shard FROM {LEASES} "
    "WHERE source = %(source)s AND (worker IS NULL OR expires_at <= clock_timestamp()) "
    "ORDER BY shard LIMIT %(number)s FOR UPDATE SKIP LOCKED) RETURNING shard"
)
_REST = (
    "SELECT extract(epoch FROM min(expires_at) FILTER (WHERE worker <> %(worker)s "
    "AND expires_at > clock_timestamp()) - clock_timestamp())::float8, "
    "count(*) FILTER (WHERE worker IS NULL OR expires_at <= clock_timestamp()) "
    f"FROM {LEASES} WHERE source = %(source)s"
)
_GIVE_BACK = (
    f"UPDATE {LEASES} SET worker = NULL, expires_at = NULL "
    "WHERE source = %(source)s AND worker = %(worker)s AND shard = ANY(%(shards)s)"
)
_LEAVE = f"DELETE FROM {WORKERS} WHERE source = %(source)s AND worker = %(worker)s"


class Renewed(NamedTuple):
    """The shards that are held, and in how many seconds to renew them again.

    That is two, or less where shards are on their way from one to another, or the lease of one
    that did not renew it ends before.
    """

    held: frozenset[Shard]
    again_in: float


class PostgresLeases:
    """The leases of one worker on the shards of its sources. Not safe for threads.

    Its share of a source's shards is that of the live workers that have this source too.
    """

    def __init__(self, url: str, sources: Sequence[str], worker: str) -> None:
        self._settings = connection_settings(url)
        self._sources = sources
        self._worker = worker
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def renew(self) -> Renewed:
        """Renews what is held, gives back what is too much, and claims what is free.

        Raises StoreUnavailable; then what was held is held until six seconds after the call
        before.
        """
        try:
            parts = [self._renew(source) for source in self._sources]
        except psycopg.Error as error:
            self._disconnect()
            raise StoreUnavailable(
                f"the leases of {self._worker} could not be renewed: {str(error).strip()}"
            ) from error
        held = frozenset(shard for part in parts for shard in part.held)
        return Renewed(held, min((part.again_in for part in parts), default=RENEW_SECONDS))

    def release(self) -> None:
        """Gives everything back, for others to claim at once. Raises StoreUnavailable."""
        try:
            for source in self._sources:
                self._execute(_LEAVE, source)
                self._execute(_GIVE_BACK, source, shards=list(range(SHARDS)))
        except psycopg.Error as error:
            raise StoreUnavailable(
                f"the leases of {self._worker} end by themselves: {str(error).strip()}"
            ) from error
        finally:
            self._disconnect()

    def _renew(self, source: str) -> Renewed:
        self._execute(_LIVE, source)
        self._execute(_BURY, source)
        [(workers,)] = self._execute(_COUNT, source)
        held = sorted(shard for (shard,) in self._execute(_RENEW, source))
        share = -(-SHARDS // max(workers, 1))
        if len(held) > share:
            self._execute(_GIVE_BACK, source, shards=held[share:])
            held = held[:share]
        elif len(held) < share:
            claimed = self._execute(_CLAIM, source, number=share - len(held))
            held += [shard for (shard,) in claimed]
        [(ends_in, free)] = self._execute(_REST, source)
        pause = RENEW_SECONDS if ends_in is None else min(RENEW_SECONDS, ends_in + _AFTER_SECONDS)
        if free or len(held) < SHARDS // max(workers, 1):
            pause = min(pause, _UNSETTLED_SECONDS)
        return Renewed(frozenset(Shard(source, shard) for shard in held), pause)

    def _execute(self, statement: str, source: str, **values: Any) -> list[tuple[Any, ...]]:
        if self._connection is None:
            # A call that takes longer than the lease is of no use any more.
            limits = {"connect_timeout": int(LEASE_SECONDS), "tcp_user_timeout": _LEASE_MILLIS}
            self._connection = psycopg.connect(**{**limits, **self._settings}, autocommit=True)
            self._connection.execute(f"SET statement_timeout = {_LEASE_MILLIS}".encode())
            for name in self._sources:
                self._connection.execute(_MAKE.encode(), {"source": name})
        known = {
            "source": source,
            "worker": self._worker,
            "lease": LEASE_SECONDS,
            "live": _LIVE_SECONDS,
        }
        cursor = self._connection.execute(statement.encode(), {**known, **values})
        return cursor.fetchall() if cursor.description else []

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
