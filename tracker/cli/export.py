"""Exporting: histories as lines of JSON, and tables as lines of JSON or Parquet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from tracker.cli.options import DEFAULT_DB, Db, Since, Until
from tracker.errors import SettingsError

_STANDARD_OUTPUT = Path("-")
_LINES, _PACKED, _PARQUET = "jsonl", "jsonl.gz", "parquet"


def export(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="- or none for stdout; a folder for --all-tables."),
    ] = None,
    events: Annotated[bool, typer.Option("--events", help="All events, as recorded.")] = False,
    table: Annotated[
        str | None,
        typer.Option("--table", metavar="NAME", help="A table or view: runs, run_phases, …"),
    ] = None,
    all_tables: Annotated[
        bool, typer.Option("--all-tables", help="Each table and view, to its file in a folder.")
    ] = False,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="F",
            help=f"{_LINES}, {_PACKED} or {_PARQUET}; if not said, as FILE ends.",
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Export events, one table, or all tables, as they are at one moment.

    Events are JSON lines, {"stream", "version", "topic", "event"}; equal histories give equal
    bytes, and `runfold import` brings them into an empty database, or adds what another one
    lacks. Tables are JSON lines, or Parquet with the extra `arrow`; --since and --until limit
    those of runs by creation. A file is in its place once it is whole.
    """
    if events + (table is not None) + all_tables != 1:
        raise SettingsError("export what? Say one of --events, --table NAME and --all-tables")
    if table is None and (since is not None or until is not None):
        raise SettingsError("--since and --until are for --table NAME, of a table of runs")
    file = None if file == _STANDARD_OUTPUT else file
    if all_tables:
        _export_all(db, file, format or _LINES)
    elif table is not None:
        _export_table(db, file, table, format, since, until)
    else:
        _export_events(db, file, format)


def _export_events(db: str, file: Path | None, format: str | None) -> None:
    from projections.export.atomic_files import open_atomic, open_gzip
    from tracker.cli.tables import moving
    from tracker.event_store import open_event_store
    from tracker.import_export.exporter import export_events

    if format not in (None, _LINES, _PACKED):
        raise SettingsError(f"events are exported as {_LINES} or {_PACKED}, not as {format!r}")
    by_name = file is not None and file.name.endswith(".gz")
    is_packed = format == _PACKED or (format is None and by_name)
    store = open_event_store(db, create=False)
    try:
        with (
            _standard_output() if file is None else open_atomic(file) as opened,
            open_gzip(opened) if is_packed else nullcontext(opened) as output,
            moving("exporting") as moved,
        ):
            count = export_events(store, output.write, progress=moved)
    finally:
        store.close()
    typer.echo(f"{count:,} events exported", err=file is None)


def _export_table(
    db: str,
    file: Path | None,
    table: str,
    format: str | None,
    since: datetime | None,
    until: datetime | None,
) -> None:
    from projections.export.formats import format_of
    from tracker.cli.tables import opened, utc

    if file is None and format == _PARQUET:
        raise SettingsError("Parquet needs a file to go to: say runfold export FILE")
    chosen = format_of(file, format or (_LINES if file is None else None))
    with opened(db, quiet=True) as views, _counting() as counted:
        target: AbstractContextManager[BinaryIO | Path]
        target = _standard_output() if file is None else nullcontext(file)
        with target as output:
            count = views.export(
                table,
                output,
                format=chosen,
                since=utc(since),
                until=utc(until),
                progress=counted,
            )
    typer.echo(f"{count:,} rows of {table} exported", err=file is None)


def _export_all(db: str, folder: Path | None, format: str) -> None:
    from projections.export.formats import format_of
    from tracker.cli.tables import opened

    if folder is None:
        raise SettingsError("all tables need a folder to go to: say runfold export FOLDER")
    chosen = format_of(None, format)
    with opened(db, quiet=True) as views, _counting() as counted:
        counts = views.export_all(folder, format=chosen, progress=counted)
    for table, count in counts.items():
        typer.echo(f"{count:,} rows of {table} exported")


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


@contextmanager
def _counting() -> Iterator[Callable[[int], object]]:
    """How many rows were exported so far, on the terminal."""
    from rich.progress import SpinnerColumn, TextColumn

    from tracker.cli.terminal import bar

    with bar(SpinnerColumn(), TextColumn("exporting, {task.completed:,} rows")) as progress:
        task = progress.add_task("", total=None)
        progress.start()
        yield lambda rows: progress.update(task, completed=rows)
