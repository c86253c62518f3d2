"""The lease that lets one process deliver to the handlers of a name.

The lease only avoids duplicate work. If its holder stalls, two processes may deliver at once.
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

DELIVERY_LEASE_SECONDS = 10.0
RENEWAL_SECONDS = 3.0
ACQUISITION_SECONDS = 1.0


class RunInThread(Protocol):
    """Calls a function that uses the store, in a worker thread."""

    def __call__(self, work: Callable[..., Any], *arguments: object) -> Awaitable[Any]: ...


class Lease:
    """The lease of a name: acquired as soon as nobody holds it, and then renewed.

    `on_acquired` is called each time that it is acquired.
    """

    def __init__(
        self,
        name: str,
        checkpoints: Checkpoints,
        run_in_thread: RunInThread,
        on_acquired: Callable[[], None],
    ) -> None:
        self._name = name
        self._checkpoints = checkpoints
        self._run_in_thread = run_in_thread
        self._on_acquired = on_acquired
        self._holder = uuid4().hex
        self._stopping = asyncio.Event()
        self.is_held = False

    async def run(self) -> None:
        """Acquires and renews the lease until `stop`, then releases it."""
        while not self._stopping.is_set():
            was_held, self.is_held = self.is_held, await self._try_to_hold()
            if self.is_held and not was_held:
                self._on_acquired()
            with suppress(TimeoutError):
                pause = RENEWAL_SECONDS if self.is_held else ACQUISITION_SECONDS
                await asyncio.wait_for(self._stopping.wait(), pause)
        if self.is_held:
            self.is_held = False
            with suppress(StoreUnavailable):
                await self._run_in_thread(self._checkpoints.release, self._name, self._holder)

    def stop(self) -> None:
        """Makes `run` release the lease and return."""
        self._stopping.set()

    async def _try_to_hold(self) -> bool:
        try:
            is_held = await self._run_in_thread(
                self._checkpoints.hold, self._name, self._holder, DELIVERY_LEASE_SECONDS
            )
        except StoreUnavailable as error:
            logger.warning(
                "cannot renew the delivery lease of the handlers %r: %s",
                self._name,
                error,
                extra=of_handlers(self._name),
            )
            return False
        return bool(is_held)
