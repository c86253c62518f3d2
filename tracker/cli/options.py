"""Options that several commands share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from tracker.errors import SettingsError


def _resolve(ctx: typer.Context, text: str | None) -> datetime | None:
    """Returns the moment that an option names, in the zone of the command."""
    if text is None:
        return None
    from projections.queries.grouping import time_zone
    from projections.queries.moments import parse_moment

    zone = time_zone(ctx.params.get("tz") or "UTC")
    try:
        return parse_moment(text, zone, datetime.now(UTC))
    except SettingsError as error:
        raise typer.BadParameter(str(error)) from None


DEFAULT_DB = "sqlite:///runfold.db"
BY_HELP = "Columns to group by, with commas between them; also day, hour and metadata.KEY."

Db = Annotated[
    str,
    typer.Option(
        "--db",
        envvar="RUNFOLD_DB",
        metavar="URL",
        help="Database: sqlite:///file.db or postgresql://user@host/database.",
    ),
]
PriceSettings = Annotated[
    str | None,
    typer.Option(
        "--prices",
        envvar="RUNFOLD_PRICES",
        metavar="FILE",
        help="Settings of the prices, as a file or text of JSON: models, provider, tiers.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Tz = Annotated[
    str,
    typer.Option(
        # Other options are read in this zone.
        is_eager=True,
        metavar="ZONE",
        envvar="RUNFOLD_TZ",
        help="Time zone, such as Europe/Berlin.",
    ),
]
Since = Annotated[
    datetime | None,
    typer.Option(
        "--since",
        metavar="TIME",
        parser=str,
        callback=_resolve,
        help="Only runs created since 1h, 7d, today, yesterday, 2026-01-31 …, in the zone.",
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(
        "--until",
        metavar="TIME",
        parser=str,
        callback=_resolve,
        help="Only runs created before then.",
    ),
]
