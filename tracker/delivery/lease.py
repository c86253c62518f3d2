"""Whose turn it is to bring the handlers of a name their events.

It saves work and guards no truth: a lease may run out under whoever stalls, and both go on then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol
from uuid import uuid4

from tracker.delivery.checkpoints import Checkpoints
from tracker.errors import StoreUnavailable
from tracker.runtime.log_fields import of_handlers

logger = logging.getLogger("runfold.delivery")

LEASE_SECONDS = 10.0
RENEW_SECONDS = 3.0
TRY_SECONDS = 1.0


class Use(Protocol):
    """Does something with the store, in a worker thread."""

    def __call__(self, work: Callable[..., Any], *arguments: object) -> Awaitable[Any]: ...


class Lease:
    """The lease of a name: renewed while it is `held`, and taken once nobody has it.

    `taken` is told each time that it was.
    """

    def __init__(
        self, name: str, checkpoints: Checkpoints, use: Use, taken: Callable[[], None]
    ) -> None:
        self._name = name
        self._checkpoints = checkpoints
        self._use = use
        self._taken = taken
        self._holder = uuid4().hex
        self._given_up = asyncio.Event()
        self.held = False

    async def keep(self) -> None:
        """Renews it, or tries to take it, until it is given up."""
        while not self._given_up.is_set():
            held = await self._try_to_hold()
            was_held, self.held = self.held, held
            if held and not was_held:
                self._taken()
            with suppress(TimeoutError):
                pause = RENEW_SECONDS if held else TRY_SECONDS
                await asyncio.wait_for(self._given_up.wait(), pause)
        if self.held:
            self.held = False
            with suppress(StoreUnavailable):
                await self._use(self._checkpoints.release, self._name, self._holder)

    def give_up(self) -> None:
        """Has `keep` give it back and return."""
        self._given_up.set()

    async def _try_to_hold(self) -> bool:
        try:
            held = await self._use(self._checkpoints.hold, self._name, self._holder, LEASE_SECONDS)
        except StoreUnavailable as error:
            logger.warning(
                "whose turn it is with the handlers %r is not known: %s",
                self._name,
                error,
                extra=of_handlers(self._name),
            )
            return False
        return bool(held)
