"""`runfold import`: imports run objects and exported events from files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tracker.cli.apis import SourceName
from tracker.cli.options import DEFAULT_DB, Db, PriceSettings
from tracker.errors import PayloadError

if TYPE_CHECKING:
    from tracker.import_export.importer import ImportReport
    from tracker.import_export.line_reader import LineReader

_MAX_SHOWN_BAD_LINES = 20


def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH", help="Files of JSON lines, plain or gzip, or folders."),
    ],
    source: SourceName = None,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Import runs, steps or exported events from files of JSON.

    A document is a run or a step as the service returned it, a page or an array of them, an event
    of a stream or a webhook that shows one, `{"observed_at", "source", "body"}` with the time and
    the source of any of these, or a line of `runfold export --events`. It may take several lines.

    Runs of all supported APIs may be mixed. The default source of a run is the name of its API:
    assistants, responses, agents or langgraph.

    Of a folder, all files below it that end in .jsonl, .json, .jsonl.gz or .json.gz are imported.
    """
    raise typer.Exit(0 if import_files(db, paths, source=source, prices=prices) else 1)


def import_files(
    db: str, paths: Sequence[Path], *, source: str | None, prices: str | None = None
) -> bool:
    """Imports files and folders, and prints a summary. Returns False if a line was bad."""
    from projections import Views
    from tracker.cli.views import apply_events, read_prices
    from tracker.import_export.line_reader import LineReader, files_below

    files = files_below(paths)
    with Views(db, prices=read_prices(prices)) as views:
        views.prepare(create=True)
        report = _import_with_bar(db, LineReader(files), source)
        taken = report.snapshots or report.steps or report.recorded
        if not taken and not report.bad:
            named = files[0] if len(files) == 1 else f"each of the {len(files):,} files"
            raise PayloadError(f"{named} has no run, step or event: there is nothing to import")
        apply_events(views)
    _print_report(report)
    return not report.bad


def _import_with_bar(db: str, lines: LineReader, source: str | None) -> ImportReport:
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn

    from tracker.cli.terminal import progress_bar
    from tracker.event_store import open_event_store
    from tracker.import_export.importer import import_lines
    from tracker.runtime.clock import SystemClock

    store = open_event_store(db)
    columns = (TextColumn("importing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        with progress_bar(*columns) as progress:
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


def _print_report(report: ImportReport) -> None:
    from tracker.cli.doctor import describe_peculiarities
    from tracker.cli.terminal import escape_controls, stderr_console, stdout_console

    parts = []
    if report.recorded:
        parts.append(f"{report.recorded:,} recorded events")
    if report.snapshots or not (report.recorded or report.steps):
        parts.append(f"{report.snapshots:,} snapshots")
    if report.steps:
        parts.append(f"{report.steps:,} steps")
    out, err = stdout_console(), stderr_console()
    out.print(
        f"{' and '.join(parts)} imported, {report.events:,} new events, {report.runs:,} new runs"
    )
    if report.peculiarities:
        described = describe_peculiarities(report.peculiarities)
        out.print(f"accepted, but not as documented: {described}")
    for reason in report.bad[:_MAX_SHOWN_BAD_LINES]:
        err.print(escape_controls(reason))
    if report.bad_lines > _MAX_SHOWN_BAD_LINES:
        err.print(f"… and {report.bad_lines - _MAX_SHOWN_BAD_LINES:,} more bad lines")
