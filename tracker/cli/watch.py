"""Watching a run of a service until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.text import Text

from projections import Views
from tracker.app.tracker import Tracker
from tracker.cli.history import print_history
from tracker.cli.terminal import hush, messages, visible
from tracker.core.state import RunState
from tracker.core.status import COMPLETED
from tracker.errors import WaitTimeout
from tracker.sources.source import Source

# Told the status of a run each time it is looked at.
Show = Callable[[str], None]


def watch_run(
    db: str,
    thread: str,
    run: str,
    *,
    service: Source,
    timeout: float | None,
) -> bool:
    """Watches a run until it ends, and prints its history; True where it completed.

    A `thread` of `-` is none. Raises WaitTimeout where it has not ended within `timeout`; what was
    seen of it is kept.
    """
    with Views(db) as views:
        views.prepare(create=True)
    # What keeps the run from being asked about is raised, and so said, anyway.
    hush()
    with spinner(run) as show:
        try:
            state = asyncio.run(_watch(db, service, thread, run, timeout, show))
        except WaitTimeout as error:
            trouble = f"; the last look failed: {error.__cause__}" if error.__cause__ else ""
            message = f"{run} has not ended within {timeout:g} s, watch it again{trouble}"
            raise WaitTimeout(message) from error
    print_history(db, run, source=service.name, json=False)
    return state.status == COMPLETED


async def _watch(
    db: str, service: Source, thread: str, run: str, timeout: float | None, show: Show
) -> RunState:
    # Other open runs of the database may be of another service: they are not asked about here.
    async with Tracker(db, service, resume=False) as tracker:
        await tracker.watch(None if thread == "-" else thread, run)
        ended = asyncio.create_task(tracker.wait(run, timeout=timeout))
        while not ended.done():
            await asyncio.wait([ended], timeout=0.2)
            status = next((s.status for s in tracker.watching if s.run_id == run), None)
            trouble = tracker.troubles.get(run)
            show((status or "asking …") + (f" ({trouble})" if trouble else ""))
        state = await ended
        show("reading its steps …")
        await tracker.drain()
        return state


@contextmanager
def spinner(run: str) -> Iterator[Show]:
    """Shows on a terminal which status the run, or thread, is in; silent without one."""
    err = messages()
    if not err.is_terminal:
        yield lambda status: None
        return
    with err.status(Text(f"{visible(run)}: asking …")) as shown:
        yield lambda status: shown.update(Text(visible(f"{run}: {status}")))
