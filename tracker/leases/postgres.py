"""Leases in PostgreSQL: claimed, renewed and released by the database's clock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from tracker.errors import StoreUnavailable
from tracker.event_store.postgres import LEASES, WORKERS
from tracker.event_store.postgres_connections import BoundedConnection, Patience, connect
from tracker.event_store.postgres_url import connection_settings
from tracker.leases.shards import SHARDS, Shard

SHARD_LEASE_SECONDS = 6.0
_RENEW_SECONDS = 2.0
# A worker counts among those that divide a source for this long after its last renewal, so that
# one that died does not keep a share free.
_LIVE_SECONDS = 2.5
# The pause while shards move from one worker to another.
_UNSETTLED_SECONDS = 0.5
# Added to the end of another worker's lease, to find it expired.
_AFTER_EXPIRY_SECONDS = 0.05

# Each statement commits by itself, and skips the rows that another worker has locked, so that
# there is no deadlock.
_CREATE = (
    f"INSERT INTO {LEASES} (source, shard) SELECT %(source)s, generate_series(0, {SHARDS - 1}) "
    "ON CONFLICT DO NOTHING"
)
_REPORT_ALIVE = (
    f"INSERT INTO {WORKERS} (source, worker, expires_at) VALUES (%(source)s, %(worker)s, {{ends}}) "
    "ON CONFLICT (source, worker) DO UPDATE SET expires_at = excluded.expires_at"
).format(ends="clock_timestamp() + %(live)s * interval '1 second'")
_DELETE_DEAD = (
    f"DELETE FROM {WORKERS} WHERE (source, worker) IN (SELECT source, worker FROM {WORKERS} "
    "WHERE expires_at < clock_timestamp() - interval '1 minute' FOR UPDATE SKIP LOCKED)"
)
_COUNT_LIVE = (
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
_OTHERS = (
    "SELECT extract(epoch FROM min(expires_at) FILTER (WHERE worker <> %(worker)s "
    "AND expires_at > clock_timestamp()) - clock_timestamp())::float8, "
    "count(*) FILTER (WHERE worker IS NULL OR expires_at <= clock_timestamp()) "
    f"FROM {LEASES} WHERE source = %(source)s"
)
_RELEASE = (
    f"UPDATE {LEASES} SET worker = NULL, expires_at = NULL "
    "WHERE source = %(source)s AND worker = %(worker)s AND shard = ANY(%(shards)s)"
)
_LEAVE = f"DELETE FROM {WORKERS} WHERE source = %(source)s AND worker = %(worker)s"


class Renewal(NamedTuple):
    """The result of a renewal."""

    held: frozenset[Shard]
    # Seconds until the next renewal: two, or less while shards move from one worker to another,
    # or if the lease of a worker that did not renew it ends earlier.
    renew_in: float
    # Of the held shards, those above the share, which are to be given up.
    excess: frozenset[Shard] = frozenset()
    # Live workers that divide the sources, this one included.
    workers: int = 1


class PostgresLeases:
    """The leases of one worker on the shards of its sources. Not safe for threads.

    The live workers that have a source get equal shares of its shards. Shards above the share are
    released at once, or with `keeps_excess` when they are given up. `database` is a URL, or the
    driver's arguments.
    """

    def __init__(
        self,
        database: str | Mapping[str, Any],
        sources: Sequence[str],
        worker: str,
        *,
        keeps_excess: bool = False,
    ) -> None:
        self._settings = connection_settings(database) if isinstance(database, str) else database
        self._keeps_excess = keeps_excess
        self._sources = sources
        self._worker = worker
        self._connection: BoundedConnection | None = None
        # A call that takes longer than the lease has no use.
        self._patience = Patience(SHARD_LEASE_SECONDS)

    def hurry(self) -> None:
        """Shortens all waits for the server: the tracker is being left."""
        self._patience.hurry()

    def renew(self, given_up: Collection[Shard] = ()) -> Renewal:
        """Renews the held leases, releases those that are too many, and claims free ones.

        Raises StoreUnavailable; the leases are then held until six seconds after the last call
        that succeeded.
        """
        was_connected = self._connection is not None
        try:
            parts = [self._renew(source, given_up) for source in self._sources]
        except psycopg.Error as error:
            is_broken = self._connection is not None and self._connection.closed
            self._disconnect()
            if was_connected and is_broken and not self._patience.is_hurried:
                # The server, or something between, had ended the connection: nothing was renewed
                # that cannot be renewed again.
                return self.renew(given_up)
            raise StoreUnavailable(
                f"the leases of {self._worker} could not be renewed: {str(error).strip()}"
            ) from error
        held = frozenset(shard for part in parts for shard in part.held)
        excess = frozenset(shard for part in parts for shard in part.excess)
        renew_in = min((part.renew_in for part in parts), default=_RENEW_SECONDS)
        workers = max((part.workers for part in parts), default=1)
        return Renewal(held, renew_in, excess, workers)

    def release(self) -> None:
        """Releases all leases, for others to claim at once. Raises StoreUnavailable."""
        if self._connection is None:
            # There are none, or the last renewal failed: leaving does not wait for that again.
            return
        try:
            for source in self._sources:
                self._execute(_LEAVE, source)
                self._execute(_RELEASE, source, shards=list(range(SHARDS)))
        except psycopg.Error as error:
            raise StoreUnavailable(
                f"the leases of {self._worker} could not be released, they will expire: "
                f"{str(error).strip()}"
            ) from error
        finally:
            self._disconnect()

    def _renew(self, source: str, given_up: Collection[Shard]) -> Renewal:
        self._execute(_REPORT_ALIVE, source)
        self._execute(_DELETE_DEAD, source)
        [(workers,)] = self._execute(_COUNT_LIVE, source)
        held = sorted(shard for (shard,) in self._execute(_RENEW, source))
        share = -(-SHARDS // max(workers, 1))
        excess = held[share:]
        if excess:
            released = excess
            if self._keeps_excess:
                released = [shard for shard in excess if Shard(source, shard) in given_up]
            self._execute(_RELEASE, source, shards=released)
            held = [shard for shard in held if shard not in released]
            excess = [shard for shard in excess if shard not in released]
        elif len(held) < share:
            claimed = self._execute(_CLAIM, source, number=share - len(held))
            held += [shard for (shard,) in claimed]
        [(ends_in, free)] = self._execute(_OTHERS, source)
        pause = _RENEW_SECONDS
        if ends_in is not None:
            pause = min(pause, ends_in + _AFTER_EXPIRY_SECONDS)
        if free or len(held) < SHARDS // max(workers, 1):
            pause = min(pause, _UNSETTLED_SECONDS)
        return Renewal(
            frozenset(Shard(source, shard) for shard in held),
            pause,
            frozenset(Shard(source, shard) for shard in excess),
            max(workers, 1),
        )

    def _execute(self, statement: str, source: str, **values: Any) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = connect(
                dict(self._settings),
                self._patience,
                autocommit=True,
                connect_timeout=int(SHARD_LEASE_SECONDS),
            )
            for name in self._sources:
                self._connection.execute(_CREATE.encode(), {"source": name})
        known = {
            "source": source,
            "worker": self._worker,
            "lease": SHARD_LEASE_SECONDS,
            "live": _LIVE_SECONDS,
        }
        cursor = self._connection.execute(statement.encode(), {**known, **values})
        return cursor.fetchall() if cursor.description else []

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
