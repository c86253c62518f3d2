"""The handlers of one tracker, and the subscriptions that deliver to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import uuid4

from tracker.core.events import Event
from tracker.delivery.event_reader import ReadStates
from tracker.delivery.handlers import DeliveryProgress, Handler, HandlerSet, Since
from tracker.delivery.ledger import Ledger, open_ledger
from tracker.delivery.listener import StoreListener
from tracker.delivery.sharing import NameLeases, ShardLeases, Sharing
from tracker.delivery.store_access import StoreAccess
from tracker.delivery.subscription import Subscription
from tracker.errors import SettingsError
from tracker.event_store import EventStore
from tracker.runtime.clock import Clock
from tracker.runtime.worker_threads import WorkerThreads

# Opens the leases by which processes share the runs; None if one process delivers them all.
OpenLeases = Callable[[EventStore, Sequence[str], str], ShardLeases | None]


class Subscriptions:
    """Handlers, registered under the name of their checkpoint; delivers while it is started."""

    def __init__(self) -> None:
        self._handlers: dict[str, HandlerSet] = {}
        self._subscriptions: list[Subscription] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: StoreListener | None = None
        self._access: StoreAccess | None = None
        self._sharing: Sharing | None = None
        self._ledger: Ledger | None = None

    @property
    def progress(self) -> list[DeliveryProgress]:
        """The progress of the handlers of each name."""
        return [subscription.progress for subscription in self._subscriptions]

    def on(
        self,
        event_types: tuple[type[Event], ...],
        name: str,
        since: Since,
        concurrency: int | None = None,
        timeout: float | None = None,
        give_up_after: float | None = None,
    ) -> Callable[[Handler], Handler]:
        """Returns a decorator that registers a handler. Raises SettingsError for bad arguments."""
        if not name or len(name) > 200 or not name.isprintable():
            raise SettingsError("the name of handlers has to have 1 to 200 printable characters")
        if since not in ("now", "start"):
            raise SettingsError(f"since has to be 'now' or 'start', not {since!r}")
        for event_type in event_types:
            if not (isinstance(event_type, type) and issubclass(event_type, Event)):
                raise SettingsError(
                    f"{event_type!r} is not a class of events: use those of tracker.core.events, "
                    "as in @tracker.on(RunActionRequired)"
                )
        known = self._handlers.get(name)
        if known is not None and known.since != since:
            raise SettingsError(
                f"the handlers {name!r} begin at {known.since!r}, and all handlers of a name begin "
                "together: give these another name"
            )
        handlers = known or HandlerSet(name, since)
        handlers.configure(concurrency, timeout, give_up_after)

        def register(handler: Handler) -> Handler:
            self._handlers.setdefault(name, handlers).add(event_types, handler)
            return handler

        return register

    async def start(
        self,
        store: EventStore,
        read_states: ReadStates,
        threads: WorkerThreads,
        clock: Clock,
        open_leases: OpenLeases = lambda store, names, holder: None,
    ) -> None:
        """Starts to deliver from the checkpoints. Raises SettingsError, StoreUnavailable."""
        if not self._handlers:
            return
        self._loop = asyncio.get_running_loop()
        self._access = StoreAccess(threads)
        ledger = self._ledger = await threads.run(open_ledger, store)
        holder, names = uuid4().hex, list(self._handlers)
        leases = await threads.run(open_leases, store, names, holder)
        leases = leases or NameLeases(ledger, names, holder)
        for handlers in self._handlers.values():
            subscription = Subscription(
                handlers, store, ledger, read_states, self._access, clock, leases.shards, holder
            )
            self._subscriptions.append(subscription)
            await subscription.start()
        self._sharing = Sharing(leases, self._subscriptions, self._access)
        await self._sharing.start()
        self._listener = StoreListener(store, self.wake)
        self._listener.start()

    async def retry(
        self, run_id: str | None, name: str | None, source: str | None, sources: Sequence[str]
    ) -> int:
        """Makes parked runs due again; returns their number."""
        if self._ledger is None or self._access is None:
            return 0
        streams = None
        if run_id is not None:
            streams = [f"{it}:{run_id}" for it in ([source] if source else sources)]
        number = await self._access.run(self._ledger.retry, name, streams)
        self._wake()
        return number

    def wake(self) -> None:
        """Makes subscriptions check for events at once. May be called from any thread."""
        # A thread may outlive the loop; then there is nothing to wake.
        with suppress(RuntimeError):
            if self._loop is not None and self._subscriptions:
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for subscription in self._subscriptions:
            subscription.wake()

    async def stop(self) -> None:
        """Lets handlers that are running finish, and calls no other."""
        stopping, self._subscriptions = self._subscriptions, []
        listener, self._listener = self._listener, None
        sharing, self._sharing, access, self._access = self._sharing, None, self._access, None
        if listener is not None:
            listener.stop()
        try:
            await asyncio.gather(*(subscription.stop() for subscription in stopping))
            if sharing is not None:
                await sharing.stop()
        finally:
            # A database must not be closed while a thread uses it.
            if access is not None:
                access.close()
            if listener is not None:
                await listener.join()
