"""What can go wrong with an answer, how often, and the draw of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Final

from tracker.errors import SettingsError

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
STALE_ANSWERS: Final = ("stale", "repeated")


@dataclass(frozen=True, slots=True)
class Faults:
    """The share of requests that each fault befalls, 0 to 1; together at most 1.

    A refused request is never executed: `rate_limited` (429 that says how long to wait),
    `rate_limited_silently`, `server_error` (500), `bad_gateway` (502, a page), `unavailable`
    (503), `overloaded` (529), `redirect` (302), `reset` (the connection, without an answer).

    A spoiled answer is to a request that was executed: `slow_drip`, `truncated` (ends early and
    looks whole), `cut` (shorter than announced), `malformed`, `html` (200 with a page), `empty`,
    `wrong_id`, `huge`, `gzip_bomb`; a stream of events breaks half way where it is `truncated`
    or `cut`. An outdated one is true, but of earlier: `stale` of up to
    `stale_seconds` (simulated) ago, `repeated` of the last time that the run was retrieved.

    Only GET is befallen unless `posts`; outdated answers are to GET alone. Requests that carry
    the key `spared` are befallen by none. Pauses are in real seconds. Raises SettingsError.
    """

    rate_limited: float = 0.0
    rate_limited_silently: float = 0.0
    server_error: float = 0.0
    bad_gateway: float = 0.0
    unavailable: float = 0.0
    overloaded: float = 0.0
    redirect: float = 0.0
    reset: float = 0.0
    slow_drip: float = 0.0
    truncated: float = 0.0
    cut: float = 0.0
    malformed: float = 0.0
    html: float = 0.0
    empty: float = 0.0
    wrong_id: float = 0.0
    huge: float = 0.0
    gzip_bomb: float = 0.0
    stale: float = 0.0
    repeated: float = 0.0

    posts: bool = False
    spared: str | None = field(default=None, repr=False)
    retry_after: float = 1.0
    drip_bytes: int = 16
    drip_pause: float = 0.2
    huge_bytes: int = 16 * 2**20
    bomb_bytes: int = 32 * 2**20
    stale_seconds: float = 60.0

    def __post_init__(self) -> None:
        shares = self.shares()
        if any(not 0 <= share <= 1 for _, share in shares) or sum(s for _, s in shares) > 1 + 1e-9:
            raise SettingsError("shares of faults are from 0 to 1, and together at most 1")
        if self.drip_bytes < 1:
            raise SettingsError("drip_bytes must be 1 or more")

    @classmethod
    def everywhere(cls, share: float) -> Faults:
        """All faults alike, together befalling this share of the requests."""
        kinds = (*REJECTIONS, *CORRUPTIONS, *STALE_ANSWERS)
        return cls(**{kind: share / len(kinds) for kind in kinds})  # type: ignore[arg-type]

    def shares(self) -> list[tuple[str, float]]:
        """Pairs of fault and share, in the order of the draw."""
        return [(kind, getattr(self, kind)) for kind in (*REJECTIONS, *CORRUPTIONS, *STALE_ANSWERS)]

    def draw(self, seed: int, number: int, method: str) -> str | None:
        """The fault of the request of this number, if any; the same for the same arguments."""
        if method != "GET" and not self.posts:
            return None

        shares = self.shares()
        if not any(share for _, share in shares):
            return None

        drawn = Random(f"{seed}:fault:{number}").random()
        for kind, share in shares:
            if drawn < share:
                return None if kind in STALE_ANSWERS and method != "GET" else kind
            drawn -= share
        return None

    def age(self, seed: int, number: int) -> float:
        """How old a stale answer is, in simulated seconds."""
        return Random(f"{seed}:age:{number}").uniform(0.0, self.stale_seconds)
