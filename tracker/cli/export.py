"""`runfold export`: events and tables as files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from tracker.cli.options import DEFAULT_DB, Db, PriceSettings, Since, Tz, Until
from tracker.errors import SettingsError

_STANDARD_OUTPUT = Path("-")
_LINES, _GZIP, _PARQUET = "jsonl", "jsonl.gz", "parquet"
_COSTS = ("run_costs", "cost_hourly", "cost_totals")


def export(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="File, or - for stdout; a folder for --all-tables.",
            show_default="stdout",
        ),
    ] = None,
    events: Annotated[bool, typer.Option("--events", help="Export all events.")] = False,
    table: Annotated[
        str | None,
        typer.Option(
            "--table", metavar="NAME", help="Export a table or view, such as runs or run_phases."
        ),
    ] = None,
    all_tables: Annotated[
        bool,
        typer.Option("--all-tables", help="Export each table and view to a file in a folder."),
    ] = False,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help=f"{_LINES}, {_GZIP} or {_PARQUET}.",
            show_default="from the name of FILE",
        ),
    ] = None,
    tz: Tz = "UTC",
    since: Since = None,
    until: Until = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that exist, but never the database.")
    ] = False,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Export events, one table, or all tables as of one moment.

    Events are written as lines of `{"stream", "version", "topic", "event"}`. Equal histories give
    equal bytes. `runfold import` copies them to an empty database, or adds those that another one
    lacks.

    Tables are written as JSON lines, or as Parquet with `pip install 'runfold[arrow]'`. The options
    --since and --until apply to --table with a table of runs.

    A file appears once it is complete. One that exists is refused without --force.
    """
    if events + (table is not None) + all_tables != 1:
        raise SettingsError("pass one of --events, --table NAME and --all-tables")
    if table is None and (since is not None or until is not None):
        raise SettingsError("--since and --until need --table NAME, with a table of runs")
    file = None if file == _STANDARD_OUTPUT else file
    _check_files(db, _files_to_write(file, format, all_tables=all_tables), force=force)
    if all_tables:
        _export_all(db, prices, file, format or _LINES)
    elif table is not None:
        _export_table(db, prices, file, table, format, since, until)
    else:
        _export_events(db, file, format)


def _files_to_write(file: Path | None, format: str | None, *, all_tables: bool) -> list[Path]:
    from projections.export.tables import TABLES

    if file is None:
        return []
    return [file / f"{it}.{format or _LINES}" for it in TABLES] if all_tables else [file]


def _check_files(db: str, files: Iterable[Path], *, force: bool) -> None:
    """Raises SettingsError if a file, or stdout, is the database, or an existing file."""
    from projections.export.atomic_files import refuse_database
    from tracker.event_store.sqlite import sqlite_path

    if db.startswith("sqlite"):
        database = sqlite_path(db)
        for file in files:
            refuse_database(file, database)
        if _is_stdout(database):
            raise SettingsError(f"the output is the database {database}: name another file")
    existing = [] if force else [str(file) for file in files if _exists(file)]
    if existing:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise SettingsError(
            f"{existing[0]}{more} exists already: name another place, or pass --force to replace it"
        )


def _exists(file: Path) -> bool:
    # A name that no file can have is refused where it is written.
    with suppress(OSError, ValueError):
        return file.is_file()
    return False


def _is_stdout(file: Path) -> bool:
    # A stdout that was closed, or replaced within the process, is no file.
    with suppress(OSError, ValueError):
        return os.path.samestat(os.fstat(sys.stdout.fileno()), file.stat())
    return False


def _export_events(db: str, file: Path | None, format: str | None) -> None:
    from projections.export.atomic_files import open_atomic, open_gzip
    from tracker.cli.views import position_bar
    from tracker.event_store import open_event_store
    from tracker.import_export.exporter import export_events

    if format not in (None, _LINES, _GZIP):
        raise SettingsError(f"events are exported as {_LINES} or {_GZIP}, not as {format!r}")
    has_gzip_name = file is not None and file.name.endswith(".gz")
    is_gzip = format == _GZIP or (format is None and has_gzip_name)
    store = open_event_store(db, create=False)
    try:
        with (
            _open_stdout() if file is None else open_atomic(file) as target,
            open_gzip(target) if is_gzip else nullcontext(target) as output,
            position_bar("exporting") as show_position,
        ):
            count = export_events(store, output.write, progress=show_position)
    finally:
        store.close()
    typer.echo(f"{count:,} events exported", err=file is None)


def _export_table(
    db: str,
    prices: str | None,
    file: Path | None,
    table: str,
    format: str | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    from projections.export.formats import format_of
    from tracker.cli.tables import as_utc
    from tracker.cli.views import open_current_views

    if file is None and format == _PARQUET:
        raise SettingsError("Parquet cannot be written to stdout: pass a FILE")
    chosen = format_of(file, format or (_LINES if file is None else None))
    with (
        open_current_views(db, prices, quiet=True, needs_costs=table in _COSTS) as views,
        _row_counter() as show_count,
    ):
        target: AbstractContextManager[BinaryIO | Path]
        target = _open_stdout() if file is None else nullcontext(file)
        with target as output:
            count = views.export(
                table,
                output,
                format=chosen,
                since=as_utc(since),
                until=as_utc(until),
                progress=show_count,
            )
    typer.echo(f"{count:,} rows of {table} exported", err=file is None)


def _export_all(db: str, prices: str | None, folder: Path | None, format: str) -> None:
    from projections.export.formats import format_of
    from tracker.cli.views import open_current_views

    if folder is None:
        raise SettingsError("--all-tables needs a folder: runfold export FOLDER --all-tables")
    chosen = format_of(None, format)
    with (
        open_current_views(db, prices, quiet=True, needs_costs=True) as views,
        _row_counter() as show_count,
    ):
        counts = views.export_all(folder, format=chosen, progress=show_count)
    for table, count in counts.items():
        typer.echo(f"{count:,} rows of {table} exported")


@contextmanager
def _open_stdout() -> Iterator[BinaryIO]:
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


@contextmanager
def _row_counter() -> Iterator[Callable[[int], object]]:
    """Shows the number of exported rows, which the yielded function takes."""
    from rich.progress import SpinnerColumn, TextColumn

    from tracker.cli.terminal import progress_bar

    columns = (SpinnerColumn(), TextColumn("exporting, {task.completed:,} rows"))
    with progress_bar(*columns) as progress:
        task = progress.add_task("", total=None)
        progress.start()
        yield lambda rows: progress.update(task, completed=rows)
