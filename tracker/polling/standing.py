"""How each source stands: what it is asked, what it refuses, and what waits for it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from tracker.polling.gate import Gate


class SourceStatus(NamedTuple):
    """One source at a moment; it holds no secrets.

    `rate` is what it is asked at most now, in requests a second. The `breaker` is open while the
    service fails, and one thing is asked now and then. Nothing is asked for `held_for` seconds
    more, 0.0 where it may be. `refusing` says why it refuses the key, or why the address is wrong;
    None while it does not. `watched` runs are looked at, of which for `due` a poll is due;
    `waiting` counts the reading of steps, the looking at threads and the requests of backfills
    behind them. `asked`, `refused` (429) and `failed` (otherwise) count requests since the tracker
    was entered; `last_error` is what the last of those that failed met.
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


def standing(gate: Gate, now: float) -> SourceStatus:
    """How the source of a gate stands at a moment in monotonic seconds."""
    until = gate.limit.held_until
    if gate.refusing or gate.breaker.is_open:
        until = max(until, gate.breaker.opens, gate.opens)
    return SourceStatus(
        rate=gate.limit.rate,
        breaker="open" if gate.breaker.is_open else "closed",
        held_for=max(until - now, 0.0),
        refusing=str(gate.refusal) if gate.refusing and gate.refusal is not None else None,
        watched=gate.runs,
        due=gate.lines.runs,
        waiting=sum(len(errands) for errands in gate.errands),
        asked=gate.sent,
        refused=gate.refusals,
        failed=gate.failures - gate.refusals,
        last_error=None if gate.trouble is None else str(gate.trouble),
    )
