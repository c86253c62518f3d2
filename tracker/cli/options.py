"""The options that commands share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

DEFAULT_DB = "sqlite:///runfold.db"
BY = "What to group by, with commas: columns, day, hour, metadata.KEY"

Db = Annotated[
    str,
    typer.Option(
        "--db",
        envvar="RUNFOLD_DB",
        metavar="URL",
        help="sqlite:///file.db or postgresql://user@host/database.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Tz = Annotated[str, typer.Option(help="The time zone of days and hours.")]
Since = Annotated[
    datetime | None, typer.Option("--since", help="Only runs created from then on, UTC.")
]
Until = Annotated[datetime | None, typer.Option("--until", help="Only runs created before, UTC.")]
