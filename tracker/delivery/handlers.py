"""What a handler is given, the handlers of one name, and how far they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from tracker.core.events import Event

Since = Literal["now", "start"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One recorded event of a run, for a handler.

    The same event may come again after a restart: `position`, its place in the whole store, and
    `run_id` with `version`, its place in the run, are the same then. `thread_id` is empty where
    nobody named one.
    """

    source: str
    thread_id: str
    run_id: str
    position: int
    version: int
    event: Event


# A function of one delivery, or a coroutine function; what it returns is not looked at.
Handler = Callable[[Delivery], object]
AnyHandler = TypeVar("AnyHandler", bound=Handler)


@dataclass(frozen=True, slots=True)
class DeliveryProgress:
    """How far the handlers of one name are.

    Everything up to `position` is done. `failing` is the delivery that holds up the rest, where
    a handler raised `error` at the last of so many `attempts`; `error` without it kept the
    events from being read. `here` is false while another process delivers.
    """

    name: str
    position: int
    failing: Delivery | None = None
    attempts: int = 0
    error: Exception | None = None
    here: bool = False


@dataclass(slots=True)
class HandlerSet:
    """The handlers of one name: kinds of events, none for all, and who takes them."""

    name: str
    since: Since
    handlers: list[tuple[tuple[type[Event], ...], Handler]] = field(default_factory=list)

    def add(self, kinds: tuple[type[Event], ...], handler: Handler) -> None:
        """Registers a handler."""
        self.handlers.append((kinds, handler))

    def wanting(self, event: Event) -> list[Handler]:
        """Who takes an event, in the order in which they were registered."""
        return [to for kinds, to in self.handlers if not kinds or isinstance(event, kinds)]
