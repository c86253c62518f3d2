"""Commands that bring something in: watching a run of a service, importing a file."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from projections import Views
from tracker.app import Tracker
from tracker.cli.histories import print_history
from tracker.cli.terminal import bar, console, hush, messages, visible
from tracker.clock import SystemClock
from tracker.core.state import RunState
from tracker.core.status import COMPLETED
from tracker.errors import PayloadError, SettingsError, WaitTimeout
from tracker.event_store import open_event_store
from tracker.histories import Histories
from tracker.importing import ImportReport, import_lines
from tracker.sources.source import Source

SHOWN_BAD_LINES = 20
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

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


def import_file(db: str, file: Path, *, source: str | None) -> bool:
    """Imports a file, and says what came of it; False where a line of it was bad."""
    with _opened(file) as lines, Views(db) as views:
        if not lines.peek(1):
            raise PayloadError(f"{file} is empty: there is nothing to import")
        views.prepare(create=True)
        report = _import(db, lines, file.stat().st_size, source)
        if not report.lines and not report.bad:
            raise PayloadError(f"{file} holds no snapshots: all of its lines are blank")
        views.catch_up()
    console().print(
        f"{report.lines:,} snapshots of {len(report.runs):,} runs imported, "
        f"{report.events:,} events new"
    )
    err = messages()
    for number, reason in report.bad[:SHOWN_BAD_LINES]:
        err.print(visible(f"{file}:{number}: {reason}"))
    if len(report.bad) > SHOWN_BAD_LINES:
        err.print(f"… and {len(report.bad) - SHOWN_BAD_LINES:,} more bad lines")
    return not report.bad


@contextmanager
def _opened(file: Path) -> Iterator[BufferedReader]:
    """The file past its mark of UTF-8. Raises SettingsError where it cannot be read as such."""
    try:
        lines = file.open("rb")
    except IsADirectoryError:
        raise SettingsError(f"{file} is a folder: say which file of JSON lines to import") from None
    except FileNotFoundError:
        raise SettingsError(f"no file {file}: say which JSON lines to import") from None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror or error}") from None
    with lines:
        start = lines.peek(3)
        if start.startswith(_UTF_16):
            raise PayloadError(f"{file} is UTF-16: save it as UTF-8, and import that")
        if start.startswith(codecs.BOM_UTF8):
            lines.read(len(codecs.BOM_UTF8))
        yield lines


def _import(db: str, lines: BufferedReader, size: int, source: str | None) -> ImportReport:
    store = open_event_store(db)
    columns = (TextColumn("importing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        with bar(*columns) as progress:
            task = progress.add_task("", total=size or None)
            progress.start()
            return import_lines(
                lines,
                Histories(store),
                source=source,
                clock=SystemClock(),
                progress=lambda size: progress.advance(task, size),
            )
    finally:
        store.close()
