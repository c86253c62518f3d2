"""Durations and outcomes of simulated runs, and their random draws."""

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
    """Durations of runs, in seconds of simulated time, and the probabilities of their outcomes.

    Probabilities are shares from 0 to 1. Raises SettingsError for a value out of range.
    """

    # Multiplies every duration except `expires_after`.
    time_scale: float = 1.0

    queued_median: float = 0.7
    queued_sigma: float = 0.5
    queued_within: tuple[float, float] = (0.3, 2.0)

    # The number of kinds of assistants; the id of an assistant determines its kind.
    kinds: int = 12
    # The median work of the first and of the last kind; those between are spread geometrically.
    work_medians: tuple[float, float] = (3.0, 30.0)
    work_sigma: float = 0.45
    # The share of runs that work far longer, up to `stretched_to` seconds.
    stretched: float = 0.04
    stretched_to: float = 600.0

    # The share of runs that stop for tool outputs, drawn again after each stop.
    action: float = 0.25
    max_actions: int = 3
    # Who submits tool outputs: "others" simulates a client, "client" leaves it to the real one.
    answers: Literal["others", "client"] = "others"
    answer_median: float = 10.0
    answer_sigma: float = 1.3
    answer_within: tuple[float, float] = (1.0, 300.0)
    # The share of actions that the simulated client ignores.
    unanswered: float = 0.03
    # Runs are queued again after tool outputs.
    requeued: bool = True

    # The share of runs that fail, and of these the share that fails before any step.
    failed: float = 0.04
    failed_at_once: float = 0.4
    # The code of all failures; drawn if None.
    error_code: Literal["rate_limit_exceeded", "server_error"] | None = None
    incomplete: float = 0.01
    # Cancelled by another client.
    cancelled: float = 0.01
    # Working until they expire.
    endless: float = 0.01

    cancelling_within: tuple[float, float] = (0.3, 3.0)
    expires_after: float = 600.0

    def __post_init__(self) -> None:
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(
                    f"{name} must be a share from 0 to 1, not {getattr(self, name)}"
                )
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
        """Returns parameters of runs that all end this way, unless one expires while it waits."""
        shares = dict.fromkeys(("failed", "incomplete", "cancelled", "endless"), 0.0)
        if end != "completed":
            shares[end] = 1.0
        return cls(**{**shares, **others})

    def queue(self, rng: Random) -> float:
        """Draws the time in the queue."""
        drawn = _lognormal(rng, self.queued_median, self.queued_sigma)
        return self.time_scale * _within(drawn, self.queued_within)

    def work(self, rng: Random, kind: int) -> float:
        """Draws the time that a run of this kind works before it stops or ends."""
        low, high = self.work_medians
        median = low * (high / low) ** (kind / max(1, self.kinds - 1))
        return self.time_scale * _lognormal(rng, median, self.work_sigma)

    def stretch(self, rng: Random, work: float) -> float:
        """Draws a far longer time than `work`."""
        longest = self.time_scale * self.stretched_to
        if work >= longest:
            return work

        return math.exp(rng.uniform(math.log(work), math.log(longest)))

    def answer(self, rng: Random) -> float:
        """Draws the time until the simulated client submits outputs."""
        drawn = _lognormal(rng, self.answer_median, self.answer_sigma)
        return self.time_scale * _within(drawn, self.answer_within)

    def cancelling(self, rng: Random) -> float:
        """Draws the time from cancelling to cancelled."""
        return self.time_scale * rng.uniform(*self.cancelling_within)


def _lognormal(rng: Random, median: float, sigma: float) -> float:
    return median * math.exp(rng.gauss(0.0, sigma))


def _within(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return min(max(value, low), high)
