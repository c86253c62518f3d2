"""Keeping the tables up to the last event, for as long as somebody wants it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from threading import Event

from tracker.errors import ProjectionFailed, StoreUnavailable
from tracker.event_store.store import EventStore

logger = logging.getLogger("runfold.projections")

RETRY_SECONDS = 60.0
UNREACHABLE_SECONDS = 5.0


def follow(
    store: EventStore,
    catch_up: Callable[[Collection[str]], object],
    stop: Event,
    every: float,
) -> None:
    """Catches up at each new event, until `stop` is set; looks at that each `every` seconds.

    `catch_up` is told which projections to leave alone: one that failed is tried again after a
    minute, and the others go on. So does all of it where the database is out of reach for a
    while. Both are logged.
    """
    failed: dict[str, float] = {}
    while not stop.is_set():
        now = time.monotonic()
        failed = {name: until for name, until in failed.items() if until > now}
        try:
            last = store.last_position()
            try:
                catch_up(failed)
            except ProjectionFailed as failure:
                logger.warning("%s; it is tried again each minute", failure)
                failed |= dict.fromkeys(failure.projections, now + RETRY_SECONDS)
                continue
            while not stop.is_set() and not store.wait(last, every):
                if failed and min(failed.values()) < time.monotonic():
                    break
        except StoreUnavailable as error:
            logger.warning("the tables wait: %s", error)
            stop.wait(UNREACHABLE_SECONDS)
