"""Taking part: what a tracker does about others when it enters, by the kind of database."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from uuid import uuid4

from tracker.event_store.store import EventStore
from tracker.polling.poller import Poller
from tracker.polling.recovery import resume
from tracker.polling.requests.step_reads import STEPS_WITHIN
from tracker.recording.repository import RunRepository
from tracker.runtime.clock import Clock
from tracker.sources.source import Source


def worker_name() -> str:
    """A name for a tracker that no other has: its host, its process and a number."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"


async def join(
    stack: AsyncExitStack,
    url: str | EventStore,
    store: EventStore,
    histories: RunRepository,
    poller: Poller,
    sources: Mapping[str, Source],
    worker: str,
    clock: Clock,
) -> bool:
    """Joins those that poll for one database, until `stack` is left; True where it is the only one.

    What an earlier tracker left is taken up: open runs are watched, and unread steps of those that
    ended lately are read. Where others poll too, that is its share of it, which changes by itself;
    it is known to them as `worker`.

    Raises AlreadyPolled where the database allows one tracker and has one.
    """
    scheme = url.partition(":")[0].partition("+")[0] if isinstance(url, str) else ""
    if scheme == "sqlite" and isinstance(url, str):
        from tracker.event_store.sqlite import sqlite_path
        from tracker.leases.sqlite import FileLock

        hold = await asyncio.to_thread(FileLock, sqlite_path(url))
        stack.callback(hold.close)
    elif scheme in ("postgresql", "postgres") and isinstance(url, str):
        from tracker.leases.coordinator import ShardCoordinator
        from tracker.leases.postgres import PostgresLeases

        leases = PostgresLeases(url, sorted(sources), worker)
        division = ShardCoordinator(store, histories, poller, sources, leases, clock)
        stack.push_async_callback(division.close)
        await division.start()
        return False
    since = clock.now() - STEPS_WITHIN
    resume(poller, sources, await asyncio.to_thread(histories.left, since))
    return True
