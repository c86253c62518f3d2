"""`runfold report`: one file of HTML about the runs."""

from __future__ import annotations

from typing import Annotated

import typer

from tracker.cli.options import DEFAULT_DB, Db, PriceSettings, Tz

DEFAULT_FILE = "runfold-report.html"


def report(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="File to write; - is the standard output.")
    ] = DEFAULT_FILE,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Runs created since 1h, 7d, today, a date or a time; all for all runs.",
            show_default="7d",
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Runs created before this time.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Everything as it was known at this time.")
    ] = None,
    tz: Tz = "UTC",
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="Only the page of this run.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Source of the run, if several have this id."),
    ] = None,
    prices: PriceSettings = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Write a report of the runs as one HTML file.

    It has everything in it and needs no network: send it to a colleague. Needs
    `pip install 'runfold[dashboard]'`.
    """
    from tracker.cli.views import open_current_views

    require_dashboard()
    with open_current_views(db, prices) as views:
        write_report(views, file, since=since, until=until, at=at, tz=tz, run=run, source=source)
    if file != "-":
        typer.echo(f"The report is {file}")


def write_report(views: object, file: str, **options: str | None) -> None:
    """Writes the report to a file, whole or not at all. Raises SettingsError if it cannot."""
    import sys
    from pathlib import Path

    from projections.export.atomic_files import open_atomic
    from projections.web.report import make_report

    content = make_report(views, **options)  # type: ignore[arg-type]
    if file == "-":
        sys.stdout.buffer.write(content)
        return
    with open_atomic(Path(file)) as opened:
        opened.write(content)


def require_dashboard() -> None:
    """Raises SettingsError unless the libraries of the pages are installed."""
    from importlib.util import find_spec

    from tracker.errors import SettingsError

    if find_spec("jinja2") is None or find_spec("pygal") is None:
        raise SettingsError('pages need their libraries: pip install "runfold[dashboard]"')
