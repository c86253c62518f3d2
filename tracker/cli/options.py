"""Options that several commands share."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,6})(s|min|h|d|w)")
_DAYS_AGO = {"today": 0, "yesterday": 1}


def parse_moment(text: str) -> datetime:
    """Returns the moment of an option, in the zone of `RUNFOLD_TZ` where it does not say its own.

    Raises BadParameter for a text that is no time.
    """
    try:
        zone = ZoneInfo(os.environ.get("RUNFOLD_TZ") or "UTC")
        return read_moment(str(text), zone, datetime.now(UTC))
    except (ValueError, OverflowError, KeyError, OSError):
        raise typer.BadParameter(
            f"{text!r} is no time: use 2026-01-31, 2026-01-31T15:00, 1h, 2d, today or yesterday"
        ) from None


def read_moment(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """Returns the moment of a text. Raises ValueError or OverflowError."""
    if found := _AGO.fullmatch(text.strip()):
        return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
    if text.strip() in _DAYS_AGO:
        day = now.astimezone(zone).date() - timedelta(days=_DAYS_AGO[text.strip()])
        return datetime(day.year, day.month, day.day, tzinfo=zone)
    moment = datetime.fromisoformat(text.strip())
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


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
Tz = Annotated[
    str,
    typer.Option(
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
        parser=parse_moment,
        help="Only runs created since 2026-01-31, 1h, 2d, today … (in RUNFOLD_TZ, or UTC).",
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(
        "--until", metavar="TIME", parser=parse_moment, help="Only runs created before then."
    ),
]
