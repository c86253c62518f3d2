"""The status of a source: its rate, its refusals, and the requests that wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple


class SourceStatus(NamedTuple):
    """One source at a moment. It holds no secrets; counts are since the tracker was opened."""

    # The present limit, in requests a second.
    rate: float
    # "open" while the service fails, and only single requests probe it.
    breaker: Literal["closed", "open"]
    # Seconds until the next request may be sent; 0.0 if it may be sent now.
    held_for: float
    # The reason why the service refuses the key, or why the address is wrong; None if neither.
    refusing: str | None
    # Watched runs that this tracker polls, and those of them whose poll is due.
    watched: int
    due: int
    # Requests that wait behind the polls: steps, threads, backfills and usage re-checks.
    waiting: int
    # Requests sent, refused with 429, and failed otherwise.
    asked: int
    refused: int
    failed: int
    # Message of the most recent failure.
    last_error: str | None
    refusing_since: datetime | None = None
    # The reason why requests behind the polls are denied for now, while polls may be answered.
    denied: str | None = None
    last_error_at: datetime | None = None
    # When it last answered a request.
    answered_at: datetime | None = None
    # Changes with a detection delay (see `SourceCounts`), and its mean in seconds.
    detected: int = 0
    detection_seconds: float | None = None
    # Seconds by which its clock is ahead of ours; 0.0 within two seconds.
    clock_ahead: float = 0.0
    # Answers that differ from the documented API, by the name of the difference:
    # see `tracker.sources.peculiarities`.
    peculiarities: Mapping[str, int] = MappingProxyType({})
    # Runs that vanished or whose requests are refused, and runs whose steps or late usage were
    # denied or failed six times: they are tried again after 1, 10 and 60 minutes, then each hour.
    set_aside: int = 0
    # Those of them that were given up: a run a day past its expiry, the others after a day, or at
    # once where too many waited.
    given_up: int = 0
    # Bounds of the same by the stamps of its runs; None until they are less than a second apart.
    clock_ahead_at_least: float | None = None
    clock_ahead_at_most: float | None = None
