"""How each source stands: what it is asked, what it refuses, and what waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple

from tracker.polling.gate import Gate


class SourceStatus(NamedTuple):
    """One source at a moment; it holds no secrets.

    `rate` is what it is asked at most now, in requests a second. The `breaker` is open while the
    service fails, and one thing is asked now and then. Nothing is asked for `held_for` seconds
    more, 0.0 where it may be. `refusing` says why it refuses the key, or why the address is wrong;
    None while it does not. `watched` runs are looked at, of which for `due` a poll is due;
    `waiting` counts the reading of steps, the looking at threads, the requests of backfills and
    the late looks at runs that have ended behind them. `asked`, `refused` (429) and `failed`
    (otherwise) count requests since the tracker was entered; `last_error` is what the last of
    those that failed met.

    `denied` says why it denies, for now, all that waits behind the polls or some of it, whatever
    comes of those. `answered_at` is when it answered a request last. `detected` counts changes of
    runs whose stamps told how long they took to be seen: `detection_seconds` on average. Its
    clock is `clock_ahead` of ours by so many seconds, 0.0 where they are as good as one.
    `peculiarities` says how many answers were read that differ from what the API is documented
    to send, by the name of the difference: see `tracker.sources.peculiarities`.
    """

    rate: float
    breaker: Literal["closed", "open"]
    held_for: float
    refusing: str | None
    watched: int
    due: int
    waiting: int
    asked: int
    refused: int
    failed: int
    last_error: str | None
    refusing_since: datetime | None = None
    denied: str | None = None
    last_error_at: datetime | None = None
    answered_at: datetime | None = None
    detected: int = 0
    detection_seconds: float | None = None
    clock_ahead: float = 0.0
    peculiarities: Mapping[str, int] = MappingProxyType({})


def standing(gate: Gate, now: float) -> SourceStatus:
    """How the source of a gate stands at a moment in monotonic seconds."""
    until = gate.limit.held_until
    if gate.refusing or gate.breaker.is_open:
        until = max(until, gate.breaker.opens, gate.opens)
    is_refusing = gate.refusing and gate.refusal is not None
    denied = next((it.denied for it in gate.errands if it.denied and it.held_until > now), None)
    return SourceStatus(
        rate=gate.limit.rate,
        breaker="open" if gate.breaker.is_open else "closed",
        held_for=max(until - now, 0.0),
        refusing=str(gate.refusal) if is_refusing else None,
        watched=gate.runs,
        due=gate.lines.runs,
        waiting=sum(len(errands) for errands in gate.errands),
        asked=gate.sent,
        refused=gate.refusals,
        failed=gate.failures - gate.refusals,
        last_error=None if gate.trouble is None else str(gate.trouble),
        refusing_since=gate.refused_at if is_refusing else None,
        denied=None if denied is None else str(denied),
        last_error_at=gate.troubled_at,
        answered_at=gate.answered_at,
        clock_ahead=gate.ahead,
    )
