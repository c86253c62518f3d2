"""The command that brings in what is on threads already."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from projections import Views
from tracker.app.tracker import Tracker
from tracker.cli.terminal import console, messages, visible
from tracker.cli.watch import spinner
from tracker.ingest.backfill import Backfilled
from tracker.sources.source import Source


def backfill_threads(db: str, threads: Iterable[str], service: Source, *, steps: bool) -> bool:
    """Records all runs of threads, one after the other; False where some could not be.

    Raises as `Tracker.backfill` does; what was recorded until then is kept, and is in the tables.
    """
    with Views(db) as views:
        views.prepare(create=True)
        try:
            return asyncio.run(_backfill(db, threads, service, steps))
        finally:
            views.catch_up()


async def _backfill(db: str, threads: Iterable[str], service: Source, steps: bool) -> bool:
    failed = 0
    # Other open runs of the database may be of another service: they are not asked about here.
    async with Tracker(db, service, resume=False) as tracker:
        for thread in threads:
            with spinner(thread):
                done = await tracker.backfill(thread, steps=steps, watch=False)
            _print(thread, done)
            failed += done.failed
    return failed == 0


def _print(thread: str, done: Backfilled) -> None:
    new = f"{done.events:,} events new, {done.steps:,} of them steps"
    console().print(visible(f"{thread}: {done.runs:,} runs, {new}"))
    if done.failed:
        messages().print(
            visible(f"{thread}: {done.failed:,} runs are not recorded, or without their steps")
        )
