"""How simulated runs live: how long things take and how likely each turn is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from tracker.errors import SettingsError

_SHARES = (
    "stretched",
    "action",
    "unanswered",
    "failed",
    "failed_at_once",
    "incomplete",
    "cancelled",
    "endless",
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The life times of runs, in seconds of simulated time, and the odds of their turns.

    `time_scale` multiplies every duration but `expires_after`. An assistant's id makes it one
    of `kinds`; their median work is spread geometrically over `work_medians`. `stretched` of the
    runs work up to `stretched_to` instead. After each stretch of work `action` of the runs stop
    for tool outputs, at most `max_actions` times; `answers` says whose they are: "others" makes
    an imagined client submit them after a while (`unanswered` never), "client" leaves it to the
    one that drives the simulator. With `requeued` a run queues again after its outputs.

    The ends: `failed`, `incomplete`, `cancelled` (by others) and `endless` (until it expires)
    are shares of all runs, and the rest completes. `failed_at_once` of the failed never got to
    do anything. `error_code` fixes the code of failures, which else is drawn.

    Raises SettingsError for a share outside 0 to 1 or a duration that cannot be.
    """

    time_scale: float = 1.0

    queued_median: float = 0.7
    queued_sigma: float = 0.5
    queued_within: tuple[float, float] = (0.3, 2.0)

    kinds: int = 12
    work_medians: tuple[float, float] = (3.0, 30.0)
    work_sigma: float = 0.45
    stretched: float = 0.04
    stretched_to: float = 600.0

    action: float = 0.25
    max_actions: int = 3
    answers: Literal["others", "client"] = "others"
    answer_median: float = 10.0
    answer_sigma: float = 1.3
    answer_within: tuple[float, float] = (1.0, 300.0)
    unanswered: float = 0.03
    requeued: bool = True

    failed: float = 0.04
    failed_at_once: float = 0.4
    error_code: Literal["rate_limit_exceeded", "server_error"] | None = None
    incomplete: float = 0.01
    cancelled: float = 0.01
    endless: float = 0.01

    cancelling_within: tuple[float, float] = (0.3, 3.0)
    expires_after: float = 600.0

    def __post_init__(self) -> None:
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"{name} is a share, from 0 to 1, not {getattr(self, name)}")
        if self.failed + self.incomplete + self.cancelled + self.endless > 1 + 1e-9:
            raise SettingsError("failed, incomplete, cancelled and endless add up to more than 1")
        if self.kinds < 1 or self.max_actions < 0:
            raise SettingsError("kinds must be 1 or more, and max_actions 0 or more")
        if not (self.time_scale > 0 and self.expires_after > 0):
            raise SettingsError("time_scale and expires_after must be above 0")

    @classmethod
    def ending(
        cls,
        end: Literal["completed", "failed", "incomplete", "cancelled", "endless"],
        **others: Any,
    ) -> Parameters:
        """Parameters of runs that all end this way, unless an unanswered action expires first."""
        shares = dict.fromkeys(("failed", "incomplete", "cancelled", "endless"), 0.0)
        if end != "completed":
            shares[end] = 1.0
        return cls(**{**shares, **others})

    def queue(self, rng: Random) -> float:
        """Draws how long a run waits for its turn."""
        drawn = _lognormal(rng, self.queued_median, self.queued_sigma)
        return self.time_scale * _within(drawn, self.queued_within)

    def work(self, rng: Random, kind: int) -> float:
        """Draws how long a run of this kind works before it stops or ends."""
        low, high = self.work_medians
        median = low * (high / low) ** (kind / max(1, self.kinds - 1))
        return self.time_scale * _lognormal(rng, median, self.work_sigma)

    def stretch(self, rng: Random, work: float) -> float:
        """Draws the length of work that takes far longer than others of its kind."""
        longest = self.time_scale * self.stretched_to
        if work >= longest:
            return work

        return math.exp(rng.uniform(math.log(work), math.log(longest)))

    def answer(self, rng: Random) -> float:
        """Draws how long the imagined client takes to submit outputs."""
        drawn = _lognormal(rng, self.answer_median, self.answer_sigma)
        return self.time_scale * _within(drawn, self.answer_within)

    def cancelling(self, rng: Random) -> float:
        """Draws how long a cancelled run takes to stop."""
        return self.time_scale * rng.uniform(*self.cancelling_within)


def _lognormal(rng: Random, median: float, sigma: float) -> float:
    return median * math.exp(rng.gauss(0.0, sigma))


def _within(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return min(max(value, low), high)
