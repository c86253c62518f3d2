"""The handlers of one tracker, and the subscriptions that bring them their events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from tracker.core.events import Event
from tracker.core.state import RunState
from tracker.delivery.checkpoints import open_checkpoints
from tracker.delivery.handlers import AnyHandler, DeliveryProgress, HandlerSet, Since
from tracker.delivery.listener import StoreListener
from tracker.delivery.subscription import Subscription
from tracker.errors import SettingsError
from tracker.event_store import EventStore


class Subscriptions:
    """Registers handlers by the name that their checkpoint has; delivers while it is started."""

    def __init__(self) -> None:
        self._sets: dict[str, HandlerSet] = {}
        self._subscriptions: list[Subscription] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: StoreListener | None = None

    @property
    def progress(self) -> list[DeliveryProgress]:
        """How far the handlers of each name are."""
        return [subscription.progress for subscription in self._subscriptions]

    def on(
        self, kinds: tuple[type[Event], ...], name: str, since: Since
    ) -> Callable[[AnyHandler], AnyHandler]:
        """A decorator that registers a handler. Raises SettingsError for what cannot be meant."""
        if not name or len(name) > 200 or not name.isprintable():
            raise SettingsError("the name of handlers has 1 to 200 printable characters")
        if since not in ("now", "start"):
            raise SettingsError(f"since={since!r}: say 'now' or 'start'")
        for kind in kinds:
            if not (isinstance(kind, type) and issubclass(kind, Event)):
                raise SettingsError(
                    f"{kind!r} is no kind of event: name classes of tracker.core.events, "
                    "as in @tracker.on(RunActionRequired)"
                )
        known = self._sets.get(name)
        if known is not None and known.since != since:
            raise SettingsError(
                f"the handlers {name!r} begin at {known.since!r}, and all of a name begin "
                "together: give these another name"
            )

        def register(handler: AnyHandler) -> AnyHandler:
            self._sets.setdefault(name, HandlerSet(name, since)).add(kinds, handler)
            return handler

        return register

    async def start(self, store: EventStore, state_of: Callable[[str], RunState]) -> None:
        """Begins where the checkpoints are. Raises SettingsError, StoreUnavailable."""
        if not self._sets:
            return
        self._loop = asyncio.get_running_loop()
        checkpoints = await asyncio.to_thread(open_checkpoints, store)
        for handlers in self._sets.values():
            subscription = Subscription(handlers, store, checkpoints, state_of)
            self._subscriptions.append(subscription)
            await subscription.start()
        self._listener = StoreListener(store, self.wake)
        self._listener.start()

    def wake(self) -> None:
        """Tells that something was appended, from any thread."""
        # From one that outlives the loop: there is nobody left to be told.
        with suppress(RuntimeError):
            if self._loop is not None and self._subscriptions:
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for subscription in self._subscriptions:
            subscription.wake()

    async def stop(self) -> None:
        """Lets handlers that are under way finish, and calls no other."""
        stopping, self._subscriptions = self._subscriptions, []
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()
        await asyncio.gather(*(subscription.stop() for subscription in stopping))
        if listener is not None:
            # A database must not be closed under a thread that still uses it.
            await asyncio.to_thread(listener.join)
