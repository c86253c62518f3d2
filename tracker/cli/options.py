"""Options that several commands share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

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
Tz = Annotated[str, typer.Option(metavar="ZONE", help="Time zone of day and hour.")]
Since = Annotated[
    datetime | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only runs created since this time (UTC), such as 2026-01-31.",
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option("--until", metavar="TIME", help="Only runs created before this time (UTC)."),
]
