"""The division of the runs among the processes that have the handlers of a name.

Leases only avoid duplicate work. If a holder stalls, two processes may deliver at once; the ledger
then shuts out the earlier one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from tracker.delivery.ledger import Ledger
from tracker.delivery.store_access import StoreAccess
from tracker.errors import StoreError
from tracker.runtime.log_fields import of_handlers
from tracker.runtime.waiting import wait_until_set

logger = logging.getLogger("runfold.delivery")

LEASE_SECONDS = 10.0
RENEWAL_SECONDS = 3.0
ACQUISITION_SECONDS = 1.0
# The pause while shards are given up as soon as what was begun in them is done.
_HANDOVER_SECONDS = 0.2
_NOTHING: frozenset[int] = frozenset()


class Share(NamedTuple):
    """The shards that a process holds, by name, and those that it has to give up."""

    held: Mapping[str, frozenset[int]]
    excess: Mapping[str, frozenset[int]]
    # Seconds until the next renewal.
    renew_in: float


class ShardLeases(Protocol):
    """The leases of one process on the shards of its names. Synchronous."""

    # The number of shards of a name, and the seconds that a lease lasts.
    shards: int
    seconds: float

    def renew(self, given_up: Mapping[str, Collection[int]]) -> Share:
        """Renews the leases, but for those that are given up. Raises StoreUnavailable."""
        ...

    def release(self) -> None:
        """Releases all leases. Raises StoreUnavailable."""
        ...


class NameLeases:
    """Leases of whole names, for databases that one process delivers from."""

    shards = 1

    def __init__(self, ledger: Ledger, names: Sequence[str], holder: str) -> None:
        self._ledger, self._names, self._holder = ledger, names, holder
        self.seconds = LEASE_SECONDS

    def renew(self, given_up: Mapping[str, Collection[int]]) -> Share:
        held = {
            name: frozenset({0})
            if self._ledger.hold(name, self._holder, LEASE_SECONDS)
            else _NOTHING
            for name in self._names
        }
        pause = RENEWAL_SECONDS if all(held.values()) else ACQUISITION_SECONDS
        return Share(held, {}, pause)

    def release(self) -> None:
        for name in self._names:
            self._ledger.release(name, self._holder)


class Sharer(Protocol):
    """The part of a subscription that the division needs."""

    @property
    def name(self) -> str: ...

    async def set_share(self, held: Collection[int], excess: Collection[int]) -> None: ...

    def give_up(self, excess: Collection[int]) -> list[int]: ...

    def drop_all(self) -> None: ...


class Sharing:
    """Renews the leases of all names, and tells the subscriptions what they hold."""

    def __init__(
        self, leases: ShardLeases, subscriptions: Sequence[Sharer], access: StoreAccess
    ) -> None:
        self._leases, self._subscriptions, self._access = leases, subscriptions, access
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._excess: Mapping[str, frozenset[int]] = {}
        # When the leases were last renewed, by the clock of the event loop.
        self._renewed = 0.0

    async def start(self) -> None:
        """Claims a first share, and keeps it until `stop`."""
        pause = await self._renew()
        self._task = asyncio.create_task(self._run(pause))

    async def stop(self) -> None:
        """Releases all leases."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        with suppress(StoreError):
            await self._access.run(self._leases.release)

    async def _run(self, pause: float) -> None:
        while not await wait_until_set(self._stopping, pause):
            pause = await self._renew()

    async def _renew(self) -> float:
        """Renews the leases once. Returns the seconds until the next time."""
        clock = asyncio.get_running_loop().time
        started = clock()
        given_up = {
            it.name: it.give_up(self._excess.get(it.name, ())) for it in self._subscriptions
        }
        renewing = asyncio.create_task(self._access.run(self._leases.renew, given_up))
        expires_in = max(self._renewed + self._leases.seconds - started, 0.0)
        if self._renewed and not (await asyncio.wait({renewing}, timeout=expires_in))[0]:
            self._drop_all()
        try:
            held, self._excess, pause = await renewing
            for it in self._subscriptions:
                await it.set_share(held[it.name], self._excess.get(it.name, _NOTHING))
        except Exception as error:
            names = ", ".join(repr(it.name) for it in self._subscriptions)
            logger.warning(
                "cannot renew the leases of the handlers %s: %s",
                names,
                error,
                extra=of_handlers(names),
                exc_info=not isinstance(error, StoreError),
            )
            if clock() - self._renewed > self._leases.seconds:
                self._drop_all()
            return ACQUISITION_SECONDS
        self._renewed = started
        return _HANDOVER_SECONDS if any(self._excess.values()) else pause

    def _drop_all(self) -> None:
        for it in self._subscriptions:
            it.drop_all()
