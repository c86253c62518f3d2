"""Joins the trackers that poll for one database, by the type of the database."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from tracker.event_store.recorder_store import RecorderEventStore
from tracker.event_store.store import EventStore
from tracker.polling.recovery import pending_since, resume
from tracker.polling.run_updates import RunUpdates
from tracker.polling.watch_list import WatchList
from tracker.recording.repository import RunRepository
from tracker.runtime.clock import Clock
from tracker.runtime.worker_threads import WorkerThreads
from tracker.sources.source import Source

if TYPE_CHECKING:
    from tracker.leases.postgres import PostgresLeases


def worker_name() -> str:
    """Returns a unique name for a tracker: its host, its process and a random number."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"


async def join(
    stack: AsyncExitStack,
    url: str | EventStore,
    store: EventStore,
    repository: RunRepository,
    watch_list: WatchList,
    updates: RunUpdates,
    sources: Mapping[str, Source],
    worker: str,
    clock: Clock,
    threads: WorkerThreads,
) -> bool:
    """Joins the trackers that poll for one database, until `stack` is closed.

    Resumes the pending work of earlier trackers: open runs are watched, and unread steps of runs
    that ended lately are read. Where other trackers poll too, under names such as `worker`, that
    is a share of the work, which changes as they come and go. Returns True if this tracker is the
    only one.

    Raises AlreadyPolled if the database allows one tracker and has one.
    """
    scheme = url.partition(":")[0].partition("+")[0] if isinstance(url, str) else ""
    leases: PostgresLeases | None = None
    if scheme == "sqlite" and isinstance(url, str):
        from tracker.event_store.sqlite import sqlite_path
        from tracker.leases.sqlite import FileLock

        lock = await threads.run(FileLock, sqlite_path(url))
        stack.callback(lock.close)
    elif scheme in ("postgresql", "postgres") and isinstance(url, str):
        from tracker.leases.postgres import PostgresLeases

        leases = PostgresLeases(url, sorted(sources), worker)
    elif isinstance(store, RecorderEventStore) and store.open_leases is not None:
        leases = store.open_leases(sorted(sources), worker)
    if leases is not None:
        from tracker.leases.coordinator import ShardCoordinator

        coordinator = ShardCoordinator(
            store, repository, watch_list, updates, sources, leases, clock, threads
        )
        stack.push_async_callback(coordinator.close)
        await coordinator.start()
        return False
    since = partial(pending_since, sources, clock)
    pending, _ = await threads.run(repository.pending_runs, since, clock.now())
    resume(watch_list, updates, sources, pending.pending)
    return True
