"""The leases by which the trackers of one PostgreSQL database share deliveries to handlers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from tracker.delivery.sharing import ShardLeases, Share
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.event_store.store import EventStore
from tracker.leases.shards import SHARDS, Shard

if TYPE_CHECKING:
    from tracker.leases.postgres import PostgresLeases

# No source has a colon in its name.
_PREFIX = "deliveries:"


class DeliveryLeases:
    """The leases of one tracker on the shards of its handlers, by name."""

    shards = SHARDS

    def __init__(self, leases: PostgresLeases, names: Sequence[str], seconds: float) -> None:
        self._leases, self._names, self.seconds = leases, names, seconds

    def renew(self, given_up: Mapping[str, Collection[int]]) -> Share:
        """Renews the leases, but for those that are given up. Raises StoreUnavailable."""
        shards = {
            Shard(_PREFIX + name, number)
            for name, numbers in given_up.items()
            for number in numbers
        }
        held, renew_in, excess, _ = self._leases.renew(shards)
        return Share(self._by_name(held), self._by_name(excess), renew_in)

    def release(self) -> None:
        """Releases all leases. Raises StoreUnavailable."""
        self._leases.release()

    def _by_name(self, shards: Collection[Shard]) -> dict[str, frozenset[int]]:
        return {
            name: frozenset(it.number for it in shards if it.source == _PREFIX + name)
            for name in self._names
        }


def open_delivery_leases(
    store: EventStore, names: Sequence[str], worker: str
) -> ShardLeases | None:
    """Returns the leases on the deliveries of a database that several trackers share, else None."""
    if not isinstance(store, RecorderEventStore):
        return None
    settings = store.connection_settings
    if settings is None and store.open_leases is None:
        return None
    from tracker.leases.postgres import SHARD_LEASE_SECONDS, PostgresLeases

    sources = [_PREFIX + name for name in names]
    if store.open_leases is not None:
        leases: PostgresLeases = store.open_leases(sources, worker, keeps_excess=True)
    else:
        leases = PostgresLeases(settings or {}, sources, worker, keeps_excess=True)
    return DeliveryLeases(leases, names, SHARD_LEASE_SECONDS)
