"""A tracker's handlers, as those who register them see it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from tracker.core.events import Event
from tracker.delivery.deliveries import Deliveries
from tracker.delivery.delivery import AnyHandler, DeliveryProgress, Since
from tracker.errors import SettingsError


class Handling(ABC):
    """What a tracker brings to handlers."""

    _deliveries: Deliveries
    _opened: Any

    @abstractmethod
    def _entered(self) -> object:
        """What the tracker is made of while it is open."""

    def on(
        self, *kinds: type[Event], name: str = "handlers", since: Since = "now"
    ) -> Callable[[AnyHandler], AnyHandler]:
        """A decorator: brings events of these kinds, or of all, to a function or coroutine.

        At least once each, in order of position, from the checkpoint that `name` has in the
        database; a new name begins `since` now, or at the start of what is recorded. A handler
        that raises is called again until it does not, and what is of its name waits for that.
        Of the processes that have a name, one at a time delivers; services that share a database
        need names of their own. Raises SettingsError once the tracker is open.
        """
        if self._opened is not None:
            raise SettingsError("the tracker is open: register handlers before, lest one miss any")
        return self._deliveries.on(kinds, name, since)

    def deliveries(self) -> list[DeliveryProgress]:
        """How far the handlers of each name are, and what holds them up."""
        self._entered()
        return self._deliveries.progress

    async def stop_delivering(self) -> None:
        """Lets handlers that are under way finish, and calls no other; leaving does it too."""
        await self._deliveries.stop()
