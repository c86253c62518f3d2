"""The handlers of one tracker, and the subscriptions that deliver to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from tracker.core.events import Event
from tracker.core.state import RunState
from tracker.delivery.checkpoints import open_checkpoints
from tracker.delivery.handlers import DeliveryProgress, Handler, HandlerSet, Since
from tracker.delivery.listener import StoreListener
from tracker.delivery.subscription import Subscription
from tracker.errors import SettingsError
from tracker.event_store import EventStore
from tracker.runtime.worker_threads import WorkerThreads


class Subscriptions:
    """Handlers, registered under the name of their checkpoint; delivers while it is started."""

    def __init__(self) -> None:
        self._handlers: dict[str, HandlerSet] = {}
        self._subscriptions: list[Subscription] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: StoreListener | None = None
        self._threads: WorkerThreads | None = None

    @property
    def progress(self) -> list[DeliveryProgress]:
        """The progress of the handlers of each name."""
        return [subscription.progress for subscription in self._subscriptions]

    def on(
        self, event_types: tuple[type[Event], ...], name: str, since: Since
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

        def register(handler: Handler) -> Handler:
            self._handlers.setdefault(name, HandlerSet(name, since)).add(event_types, handler)
            return handler

        return register

    async def start(
        self, store: EventStore, state_of: Callable[[str], RunState], threads: WorkerThreads
    ) -> None:
        """Starts to deliver from the checkpoints. Raises SettingsError, StoreUnavailable."""
        if not self._handlers:
            return
        self._loop, self._threads = asyncio.get_running_loop(), threads
        checkpoints = await threads.run(open_checkpoints, store)
        for handlers in self._handlers.values():
            subscription = Subscription(handlers, store, checkpoints, state_of, threads)
            self._subscriptions.append(subscription)
            await subscription.start()
        self._listener = StoreListener(store, self.wake)
        self._listener.start()

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
        listener, self._listener, threads = self._listener, None, self._threads
        if listener is not None:
            listener.stop()
        await asyncio.gather(*(subscription.stop() for subscription in stopping))
        if listener is not None and threads is not None:
            # A database must not be closed while a thread uses it.
            await threads.run(listener.join)
