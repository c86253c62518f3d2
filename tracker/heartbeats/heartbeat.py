"""Heartbeats: the last reported status of a source, and the advice that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from tracker.polling.source_status import SourceStatus

EVERY_SECONDS = 10.0
SILENT_SECONDS = 60.0

OK, HELD, FAILING = "ok", "held", "failing"
REFUSED, DENIED, SILENT = "refused", "denied", "silent"


class Heartbeat(NamedTuple):
    """One source as a tracker reported it last. Times are aware and UTC.

    The fields not described here are those of `SourceStatus`.
    """

    source: str
    # The tracker: its host, its process and a number.
    worker: str
    written_at: datetime
    # Since `written_at`, by the database's clock.
    age_seconds: float
    rate: float
    breaker: str
    # No request is sent before this time.
    held_until: datetime | None
    refusing: str | None
    refusing_since: datetime | None
    denied: str | None
    watched: int
    due: int
    waiting: int
    asked: int
    refused: int
    failed: int
    last_error: str | None
    last_error_at: datetime | None
    answered_at: datetime | None
    detected: int
    detection_seconds: float | None
    clock_ahead: float
    peculiarities: Mapping[str, int]
    set_aside: int
    given_up: int
    clock_ahead_at_least: float | None
    clock_ahead_at_most: float | None

    @property
    def state(self) -> str:
        """One of `silent` (the tracker is gone), `refused` (the key, or the address), `failing`
        (the breaker is open), `denied` (all but polls), `held` (the service asked to wait), `ok`.
        """
        if self.age_seconds > SILENT_SECONDS:
            return SILENT
        if self.refusing is not None:
            return REFUSED
        if self.breaker == "open":
            return FAILING
        if self.denied is not None:
            return DENIED
        now = self.written_at + timedelta(seconds=self.age_seconds)
        return HELD if self.held_until is not None and self.held_until > now else OK

    @property
    def is_well(self) -> bool:
        """True if nobody has to act; a source that is held only needs time."""
        return self.state in (OK, HELD)

    @property
    def advice(self) -> str | None:
        """The problem and its remedy in words; None if there is no problem."""
        match self.state:
            case "silent":
                return (
                    f"its tracker has not reported since {_time(self.written_at)}, and no other "
                    "polls this source: start it again, which removes this row, or delete the row "
                    "from runfold_sources if the source is not to be polled any more"
                )
            case "refused":
                return f"requests have been refused{_since(self.refusing_since)}: {self.refusing}"
            case "failing":
                answered = f", and last answered at {_time(self.answered_at)}"
                return (
                    f"the service fails{answered if self.answered_at else ''}; the next request is "
                    f"sent{f' at {_time(self.held_until)}' if self.held_until else ' soon'}. "
                    f"Last error: {self.last_error}"
                )
            case "denied":
                return f"polls are answered, other requests are denied: {self.denied}"
            case "held":
                return f"no request is sent before {_time(self.held_until)}: {self.last_error}"
        return None


def to_columns(status: SourceStatus, now: datetime) -> dict[str, object]:
    """Returns a status as the columns of a heartbeat, by name; `now` is by our clock."""
    values: dict[str, object] = status._asdict()
    held = values.pop("held_for")
    values["held_until"] = now + timedelta(seconds=status.held_for) if held else None
    return values


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}" if moment else "no time"


def _since(moment: datetime | None) -> str:
    return f" since {_time(moment)}" if moment else ""
