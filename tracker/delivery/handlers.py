"""Handlers by name, the deliveries that they receive, and their progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal

from typing_extensions import TypeVar

from tracker.core.events import Event
from tracker.errors import SettingsError

Since = Literal["now", "start"]
# The class of the event of a delivery; any event for a handler that names none.
EventT = TypeVar("EventT", bound=Event, default=Event)
EventT_co = TypeVar("EventT_co", bound=Event, default=Event, covariant=True)
Result = TypeVar("Result", default=object)

CONCURRENCY = 32
GIVE_UP_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Delivery(Generic[EventT_co]):
    """One recorded event of a run, for a handler; `Delivery[RunFailed]` has the fields of that.

    The same event may be delivered again after a restart, with the same `position`, `run_id` and
    `version`.
    """

    source: str
    # Empty if the run has no thread.
    thread_id: str
    run_id: str
    # The position in the whole store.
    position: int
    # The position in the run, from 1.
    version: int
    event: EventT_co


# A function or coroutine function of one delivery; its result is ignored.
Handler = Callable[[Delivery[Any]], object]
# The decorator that registers such a function, and returns it as it is.
Registration = Callable[
    [Callable[[Delivery[EventT]], Result]], Callable[[Delivery[EventT]], Result]
]


@dataclass(frozen=True, slots=True)
class ParkedRun:
    """A run whose handler failed for too long: its events wait until it is retried."""

    # The name of the handlers.
    name: str
    source: str
    run_id: str
    # The first event that is not done: its position in the store, and in the run.
    position: int
    version: int
    attempts: int
    # The last error, its type and text.
    error: str
    failing_since: datetime


@dataclass(frozen=True, slots=True)
class DeliveryProgress:
    """The progress of the handlers of one name."""

    name: str
    # All events up to here are done, except those of parked runs.
    position: int
    # The oldest delivery that holds up its run here, because a handler raised `error`.
    failing: Delivery | None = None
    attempts: int = 0
    # Without `failing`: the error that kept the events from being read.
    error: Exception | None = None
    # False while other processes deliver all events.
    here: bool = False
    # Handlers that are running here, and runs whose events were read and wait for their turn.
    running: int = 0
    waiting: int = 0
    # The runs here that are held up because a handler raised.
    failing_runs: int = 0
    # The runs that were given up, wherever they are delivered: the 1,000 oldest.
    parked: tuple[ParkedRun, ...] = ()


@dataclass(slots=True)
class HandlerSet:
    """The handlers of one name, and how they are called."""

    name: str
    since: Since
    # Calls that may be under way at once.
    concurrency: int | None = None
    # Seconds for one call, None for any; and seconds of failures after which a run is parked.
    timeout: float | None = None
    give_up_after: float | None = None
    # Event types, none for all, and the handler that receives them.
    handlers: list[tuple[tuple[type[Event], ...], Handler]] = field(default_factory=list)

    def add(self, event_types: tuple[type[Event], ...], handler: Handler) -> None:
        """Registers a handler."""
        self.handlers.append((event_types, handler))

    def select(self, event: Event) -> list[Handler]:
        """Returns the handlers that receive an event, in the order of their registration."""
        return [
            handler for types, handler in self.handlers if not types or isinstance(event, types)
        ]

    def configure(
        self, concurrency: int | None, timeout: float | None, give_up_after: float | None
    ) -> None:
        """Sets how the handlers are called; None leaves it as it is. Raises SettingsError."""
        if concurrency is not None and concurrency < 1:
            raise SettingsError(f"concurrency has to be 1 or more, not {concurrency}")
        for setting, seconds in (("timeout", timeout), ("give_up_after", give_up_after)):
            if seconds is not None and not seconds > 0:
                raise SettingsError(f"{setting} has to be above 0 seconds, not {seconds!r}")
        given = {"concurrency": concurrency, "timeout": timeout, "give_up_after": give_up_after}
        for setting, value in given.items():
            known = getattr(self, setting)
            if value is not None and known not in (None, value):
                raise SettingsError(
                    f"the handlers {self.name!r} have {setting}={known!r}, which all handlers of a "
                    "name share: leave it out here, or give these another name"
                )
            if value is not None:
                setattr(self, setting, value)
