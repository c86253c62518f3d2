"""Importing files: snapshots of runs, and histories that were exported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn

from projections import Views
from tracker.cli.doctor import peculiar
from tracker.cli.terminal import bar, console, messages, visible
from tracker.errors import PayloadError
from tracker.event_store import open_event_store
from tracker.import_export.importer import ImportReport, import_lines
from tracker.import_export.line_reader import LineReader, files_below
from tracker.runtime.clock import SystemClock

SHOWN_BAD_LINES = 20


def import_files(db: str, paths: Sequence[Path], *, source: str | None) -> bool:
    """Imports files and folders, and says what came of it; False where a line of them was bad."""
    files = files_below(paths)
    with Views(db) as views:
        views.prepare(create=True)
        report = _import(db, LineReader(files), source)
        if not report.snapshots and not report.recorded and not report.bad:
            named = files[0] if len(files) == 1 else f"each of the {len(files):,} files"
            raise PayloadError(f"{named} is empty or all blank: there is nothing to import")
        views.catch_up()
    parts = []
    if report.recorded:
        parts.append(f"{report.recorded:,} recorded events")
    if report.snapshots or not report.recorded:
        parts.append(f"{report.snapshots:,} snapshots")
    console().print(
        f"{' and '.join(parts)} imported, {report.events:,} events new, {report.runs:,} runs new"
    )
    if report.peculiarities:
        told = peculiar(report.peculiarities)
        console().print(f"taken in as they are, unlike what is documented: {told}")
    err = messages()
    for reason in report.bad[:SHOWN_BAD_LINES]:
        err.print(visible(reason))
    if report.bad_lines > SHOWN_BAD_LINES:
        err.print(f"… and {report.bad_lines - SHOWN_BAD_LINES:,} more bad lines")
    return not report.bad


def _import(db: str, lines: LineReader, source: str | None) -> ImportReport:
    store = open_event_store(db)
    columns = (TextColumn("importing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        with bar(*columns) as progress:
            task = progress.add_task("", total=lines.size or None)
            progress.start()
            return import_lines(
                lines,
                store,
                source=source,
                clock=SystemClock(),
                progress=lambda: progress.update(task, completed=lines.bytes_read),
            )
    finally:
        store.close()
