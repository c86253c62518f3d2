"""How long to wait before the next look: pure functions of numbers, in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cadence:
    """The bounds of the wait between two looks at one run.

    A run that has just changed is likely to change again; one that has not for long is not. So
    the wait grows with the square root of the time since the last change, from `shortest` to
    `longest` seconds.
    """

    shortest: float = 0.25
    longest: float = 10.0
    growth: float = 0.5


def wait(cadence: Cadence, since_change: float, *, hint: float | None, jitter: float) -> float:
    """The wait after a look that came through.

    `since_change` is the time since the run last changed. `hint` is what the service asked to
    wait at least, which always holds. `jitter` from -1 to 1 moves the rest by up to 5 %.
    """
    grown = cadence.growth * math.sqrt(max(since_change, 0.0))
    bounded = min(max(grown, cadence.shortest), cadence.longest)
    return max(bounded * (1 + 0.05 * jitter), hint or 0.0)


def backoff(failures: int, *, asked: float | None, jitter: float) -> float:
    """The wait after `failures` looks in a row that did not come through.

    `asked` is what the service asked to wait, capped at two minutes. Else full jitter:
    `jitter` from 0 to 1 chooses between nothing and a bound that doubles from 1 to 60 seconds.
    """
    if asked is not None:
        return min(max(asked, 0.0), 120.0)
    return max(0.1, float(min(60.0, 2.0 ** min(max(failures - 1, 0), 6))) * jitter)
