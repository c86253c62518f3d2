"""Handlers by name, the deliveries that they receive, and their progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal

from typing_extensions import TypeVar

from tracker.core.events import Event

Since = Literal["now", "start"]
# The class of the event of a delivery; any event where a handler does not say.
EventT = TypeVar("EventT", bound=Event, default=Event)
EventT_co = TypeVar("EventT_co", bound=Event, default=Event, covariant=True)
Result = TypeVar("Result", default=Any)


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
class DeliveryProgress:
    """The progress of the handlers of one name."""

    name: str
    # All events up to here are done.
    position: int
    # The delivery that holds up the rest, because a handler raised `error`.
    failing: Delivery | None = None
    attempts: int = 0
    # Without `failing`: the error that kept the events from being read.
    error: Exception | None = None
    # False while another process delivers.
    here: bool = False


@dataclass(slots=True)
class HandlerSet:
    """The handlers of one name."""

    name: str
    since: Since
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
