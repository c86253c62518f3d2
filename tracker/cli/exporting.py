"""Exporting histories: events as lines of JSON, packed where the name asks for it."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tracker.cli.options import DEFAULT_DB, Db
from tracker.errors import SettingsError

_PACKED = ".gz"


def export(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Packed if it ends in .gz.")
    ] = None,
    events: Annotated[bool, typer.Option("--events", help="All events, as recorded.")] = False,
    db: Db = DEFAULT_DB,
) -> None:
    """Export histories as JSON lines, {"stream", "version", "topic", "event"}, to FILE or stdout.

    Equal histories give equal bytes. `runfold import` brings them into an empty database, or
    adds what another one lacks.
    """
    from tracker.cli.tables import moving
    from tracker.event_store import open_event_store
    from tracker.exporting import export_events

    if not events:
        raise SettingsError("export what? Say --events")
    store = open_event_store(db, create=False)
    try:
        output = _standard_output() if file is None else _written(file)
        with output as write, moving("exporting") as moved:
            count = export_events(store, write, progress=moved)
    finally:
        store.close()
    typer.echo(f"{count:,} events exported", err=file is None)


@contextmanager
def _standard_output() -> Iterator[Callable[[bytes], object]]:
    yield sys.stdout.buffer.write
    sys.stdout.buffer.flush()


@contextmanager
def _written(file: Path) -> Iterator[Callable[[bytes], object]]:
    """A file that is there when all of it is. Raises SettingsError where it cannot be written."""
    # A pipe or a device is written to as it is.
    in_place = file.exists() and not file.is_file()
    part = file if in_place else file.with_name(f"{file.name}.part")
    try:
        with part.open("wb") as opened:
            if file.name.endswith(_PACKED):
                # Neither name nor time in it: equal histories give equal bytes.
                with gzip.GzipFile("", "wb", fileobj=opened, mtime=0) as packed:
                    yield packed.write
            else:
                yield opened.write
            if not in_place:
                opened.flush()
                os.fsync(opened.fileno())
        if not in_place:
            part.replace(file)
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror or error}") from None
    finally:
        if not in_place:
            part.unlink(missing_ok=True)
