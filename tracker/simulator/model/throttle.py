"""A rate limit of the simulated service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Throttle:
    """A token bucket for `per_minute` requests; `burst` at once, by default those of one second."""

    per_minute: float
    tokens: float = 1.0
    updated_at: float = 0.0
    burst: float | None = None

    @property
    def per_second(self) -> float:
        return self.per_minute / 60.0

    def consume(self, now: float) -> float:
        """Takes a token at `now` (monotonic seconds). Returns 0, or else the seconds to wait."""
        most = max(1.0, self.per_second if self.burst is None else self.burst)
        self.tokens = min(most, self.tokens + (now - self.updated_at) * self.per_second)
        self.updated_at = now
        if self.tokens >= 1.0:
            self.tokens -= 1.0
            return 0.0

        return (1.0 - self.tokens) / self.per_second

    def headers(self, wait: float) -> dict[str, str]:
        """Returns the rate limit headers of a response."""
        return {
            "x-ratelimit-limit-requests": f"{self.per_minute:g}",
            "x-ratelimit-remaining-requests": str(int(self.tokens)),
            "x-ratelimit-reset-requests": f"{wait:.3f}s",
        }
