"""Commands that bring something in: watching a run of a service, importing a file."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.status import Status

from projections import Views
from tracker.app import Tracker
from tracker.cli.histories import print_history
from tracker.clock import SystemClock
from tracker.core.state import RunState
from tracker.core.status import COMPLETED
from tracker.errors import PayloadError, RunfoldError, SettingsError, WaitTimeout
from tracker.event_store import open_event_store
from tracker.histories import Histories
from tracker.importing import ImportReport, import_lines
from tracker.sources.assistants import Assistants
from tracker.sources.snapshots import run_snapshot

SHOWN_BAD_LINES = 20


def watch_run(
    db: str,
    thread: str,
    run: str,
    *,
    base_url: str,
    api_key: str | None,
    timeout: float | None,
    source: str,
    api_version: str | None,
) -> bool:
    """Watches a run until it ends, and prints its history; True where it completed."""
    api = Assistants(
        base_url=base_url,
        api_key=api_key,
        name=source,
        auth_header="api-key" if api_version else "bearer",
        api_version=api_version,
    )
    err = Console(stderr=True, highlight=False)
    state: RunState | None = None
    failure: RunfoldError | None = None
    with Views(db) as views:
        views.prepare(create=True)
    with err.status(f"{run}: asking …") as status:
        try:
            state = asyncio.run(_watch(db, api, thread, run, timeout, status))
        except WaitTimeout as error:
            failure = error
    if state is None and failure is not None:
        err.print(f"runfold: {failure}")
        return False
    print_history(db, run, source=source, json=False)
    return state is not None and state.status == COMPLETED


async def _watch(
    db: str, api: Assistants, thread: str, run: str, timeout: float | None, status: Status
) -> RunState:
    async with Tracker(db, api) as tracker:
        await tracker.watch(thread, run)
        ended = asyncio.create_task(tracker.wait(run, timeout=timeout))
        while not ended.done():
            await asyncio.wait([ended], timeout=0.2)
            for state in tracker.watching:
                if state.run_id == run and state.status:
                    status.update(f"{run}: {state.status}")
        return await ended


def import_file(db: str, file: Path, *, source: str) -> bool:
    """Imports a file, and says what came of it; False where a line of it was bad."""
    if not file.is_file():
        raise SettingsError(f"no file {file}: say which JSON lines to import")
    with Views(db) as views:
        views.prepare(create=True)
        report = _import(db, file, source)
        if not report.lines and not report.bad:
            raise PayloadError(f"{file} holds no snapshots: it is empty")
        views.catch_up()
    out, err = Console(highlight=False), Console(stderr=True, highlight=False)
    out.print(
        f"{report.lines} snapshots of {len(report.runs)} runs imported, {report.events} events new"
    )
    for number, reason in report.bad[:SHOWN_BAD_LINES]:
        err.print(f"{file}:{number}: {reason}", markup=False, soft_wrap=True)
    if len(report.bad) > SHOWN_BAD_LINES:
        err.print(f"… and {len(report.bad) - SHOWN_BAD_LINES} more bad lines")
    return not report.bad


def _import(db: str, file: Path, source: str) -> ImportReport:
    columns = (TextColumn("importing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    store = open_event_store(db)
    try:
        with (
            file.open("rb") as lines,
            Progress(*columns, console=Console(stderr=True), transient=True) as progress,
        ):
            task = progress.add_task("", total=file.stat().st_size)
            return import_lines(
                lines,
                Histories(store),
                run_snapshot,
                source=source,
                clock=SystemClock(),
                progress=lambda size: progress.advance(task, size),
            )
    finally:
        store.close()
