"""Faults of HTTP responses and their random draw."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Final

from tracker.errors import SettingsError

# The request is not executed.
REJECTIONS: Final = (
    "rate_limited",
    "rate_limited_silently",
    "server_error",
    "bad_gateway",
    "unavailable",
    "overloaded",
    "redirect",
    "reset",
)
# The request is executed, and its response is damaged.
CORRUPTIONS: Final = (
    "slow_drip",
    "truncated",
    "cut",
    "malformed",
    "html",
    "empty",
    "wrong_id",
    "huge",
    "gzip_bomb",
)
# The response is valid but out of date.
STALE_ANSWERS: Final = ("stale", "repeated")


@dataclass(frozen=True, slots=True)
class Faults:
    """The share of requests that get each fault, from 0 to 1; the sum is at most 1.

    Faults apply to GET requests only, unless `posts`. Raises SettingsError.
    """

    # The request is rejected without being executed.
    # 429 with a retry-after header, or without one.
    rate_limited: float = 0.0
    rate_limited_silently: float = 0.0
    # 500, 502 with an HTML page, 503, 529 and 302.
    server_error: float = 0.0
    bad_gateway: float = 0.0
    unavailable: float = 0.0
    overloaded: float = 0.0
    redirect: float = 0.0
    # The connection is reset without a response.
    reset: float = 0.0

    # The request is executed, and its response is damaged.
    slow_drip: float = 0.0
    # Half the body without a content-length; a stream breaks in the middle.
    truncated: float = 0.0
    # Half the body that content-length announces; a stream breaks in the middle.
    cut: float = 0.0
    malformed: float = 0.0
    # 200 with an HTML page.
    html: float = 0.0
    empty: float = 0.0
    wrong_id: float = 0.0
    huge: float = 0.0
    gzip_bomb: float = 0.0

    # The response is valid but out of date; GET only.
    # As of up to `stale_seconds` ago.
    stale: float = 0.0
    # As of the last time that the run was retrieved.
    repeated: float = 0.0

    # Apply faults to POST and DELETE too.
    posts: bool = False
    # Requests with this API key get no faults.
    spared: str | None = field(default=None, repr=False)
    # In real seconds.
    retry_after: float = 1.0
    drip_bytes: int = 16
    # In real seconds.
    drip_pause: float = 0.2
    huge_bytes: int = 16 * 2**20
    bomb_bytes: int = 32 * 2**20
    # In simulated seconds.
    stale_seconds: float = 60.0

    def __post_init__(self) -> None:
        shares = self.shares()
        if any(not 0 <= share <= 1 for _, share in shares) or sum(s for _, s in shares) > 1 + 1e-9:
            raise SettingsError("shares of faults must be from 0 to 1, and add up to at most 1")
        if self.drip_bytes < 1:
            raise SettingsError("drip_bytes must be 1 or more")

    @classmethod
    def everywhere(cls, share: float) -> Faults:
        """Returns faults of equal shares that add up to `share`."""
        faults = (*REJECTIONS, *CORRUPTIONS, *STALE_ANSWERS)
        return cls(**{fault: share / len(faults) for fault in faults})  # type: ignore[arg-type]

    def shares(self) -> list[tuple[str, float]]:
        """Returns pairs of fault and share, in the order of the draw."""
        return [
            (fault, getattr(self, fault)) for fault in (*REJECTIONS, *CORRUPTIONS, *STALE_ANSWERS)
        ]

    def draw(self, seed: int, number: int, method: str) -> str | None:
        """Draws the fault of a request, if any; equal arguments give equal results."""
        if method != "GET" and not self.posts:
            return None

        shares = self.shares()
        if not any(share for _, share in shares):
            return None

        drawn = Random(f"{seed}:fault:{number}").random()
        for fault, share in shares:
            if drawn < share:
                return None if fault in STALE_ANSWERS and method != "GET" else fault
            drawn -= share
        return None

    def age(self, seed: int, number: int) -> float:
        """Draws the age of a stale response, in simulated seconds."""
        return Random(f"{seed}:age:{number}").uniform(0.0, self.stale_seconds)
