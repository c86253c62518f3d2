"""What a tracker last said of one of its sources, and what that means. Pure."""

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
    """One source as the tracker `worker` (host, process, a number) knew it at `written_at`.

    `age_seconds` ago, by the database's clock. The rest is of `SourceStatus`, where `held_until`
    is the moment before which nothing is asked. Times are aware and UTC.
    """

    source: str
    worker: str
    written_at: datetime
    age_seconds: float
    rate: float
    breaker: str
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

    @property
    def state(self) -> str:
        """`silent` (the tracker is gone), `refused` (the key, or the address), `failing` (the
        breaker is open), `denied` (all but polls), `held` (told to wait), or `ok`.
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
        """Whether it needs no hand; what is held only needs time."""
        return self.state in (OK, HELD)

    @property
    def advice(self) -> str | None:
        """What is the matter, and what helps, in words; None where nothing is."""
        match self.state:
            case "silent":
                return (
                    f"nothing was heard of its tracker since {_time(self.written_at)}, and no "
                    "other polls it: start it again, which takes this away, or delete the row "
                    "from runfold_sources where it is not to be polled any more"
                )
            case "refused":
                return f"it refuses to answer{_since(self.refusing_since)}: {self.refusing}"
            case "failing":
                answered = f", and answered last at {_time(self.answered_at)}"
                return (
                    f"the service fails{answered if self.answered_at else ''}; it is asked again"
                    f"{f' at {_time(self.held_until)}' if self.held_until else ''}. "
                    f"At last: {self.last_error}"
                )
            case "denied":
                return f"polls are answered, but not the rest: {self.denied}"
            case "held":
                return f"nothing is asked before {_time(self.held_until)}: {self.last_error}"
        return None


def columns_of(status: SourceStatus, now: datetime) -> dict[str, object]:
    """A standing as the columns of a heartbeat, by name; `now` is ours."""
    values: dict[str, object] = status._asdict()
    held = values.pop("held_for")
    values["held_until"] = now + timedelta(seconds=status.held_for) if held else None
    return values


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}" if moment else "no time"


def _since(moment: datetime | None) -> str:
    return f" since {_time(moment)}" if moment else ""
