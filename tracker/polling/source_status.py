"""How each source stands: what it is asked, what it refuses, and what waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple


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
