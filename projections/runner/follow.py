"""Continuous catch-up, with retries, until it is stopped."""

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
    """Catches up after each new event until `stop` is set, which it checks `every` seconds.

    `catch_up` is called with the projections to skip: one that failed is retried after a minute
    while the others continue. If the database cannot be reached, all of them are retried. Both
    are logged.
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
                logger.warning("%s; retrying every minute", failure)
                failed |= dict.fromkeys(failure.projections, now + RETRY_SECONDS)
                continue
            while not stop.is_set() and not store.wait(last, every):
                if failed and min(failed.values()) < time.monotonic():
                    break
        except StoreUnavailable as error:
            logger.warning("cannot update the tables, retrying: %s", error)
            stop.wait(UNREACHABLE_SECONDS)
