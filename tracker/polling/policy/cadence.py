"""When to look next: every run owns a share of what may be asked. Pure functions of numbers."""

from __future__ import annotations

from dataclasses import dataclass

# What is kept back of the rate, for what the estimate of the total is off.
USED = 0.95
_JITTER = 0.05
_DEADLINE_SECONDS = 0.2
_LONGEST_ROUNDS = 6.0

_LEAST_FOR_OTHERS, _FOR_OTHERS, _FOR_US = 0.1, 3.0, 0.01


@dataclass(frozen=True, slots=True)
class Cadence:
    """The bounds of polling, in seconds.

    `shortest` and `longest` bound the wait between two looks at one run; where more runs are
    watched than the service lets be asked, the longest grows. `step` is what a run has to earn
    for a look even where the service allows any number: smaller is sooner, for more requests.
    `start` is the rate to begin with, in requests a second, before the service's limit is known.
    """

    shortest: float = 0.1
    longest: float = 30.0
    step: float = 0.27
    start: float = 5.0


def weight(changes: float, *, answered_here: bool) -> float:
    """How much a look at a run that waits for an action matters, next to one that works.

    `changes` is how often a run changes between two looks, on average over all. Where that is
    rare, that it went on can be learned a little late; where it is not, it may have worked and
    stopped again unseen. `answered_here` where our own code will answer it, and so knows.
    """
    return _FOR_US if answered_here else min(max(_FOR_OTHERS * changes, _LEAST_FOR_OTHERS), 1.0)


def step(cadence: Cadence, total: float, rate: float) -> float:
    """What a run has to earn for its next look, where all shares together are `total`."""
    earned = total / (USED * rate)
    return earned if earned > cadence.step else cadence.step


def wait(
    cadence: Cadence,
    wanted: float,
    *,
    runs: int,
    rate: float,
    jitter: float,
    hint: float | None = None,
    expires_in: float | None = None,
) -> float:
    """The wait until the next look, where a run's share asks for `wanted` seconds.

    `jitter` from -1 to 1 moves it by up to 5 %. `hint`, what the service asked to wait at least,
    always holds; else a look falls right after the run should have expired.
    """
    # Comparisons, as this is worked out at each look and `max` takes six times as long.
    pause, rounds = wanted * (1 + _JITTER * jitter), _LONGEST_ROUNDS * runs / rate
    if pause < cadence.shortest:
        pause = cadence.shortest
    if pause > cadence.longest and pause > rounds:
        pause = rounds if rounds > cadence.longest else cadence.longest
    if expires_in is not None and 0 < expires_in + _DEADLINE_SECONDS < pause:
        pause = expires_in + _DEADLINE_SECONDS
    return hint if hint is not None and hint > pause else pause


def backoff(failures: int, *, asked: float | None, jitter: float) -> float:
    """The wait after `failures` looks in a row that did not come through.

    `asked` is what the service asked to wait, capped at two minutes. Else full jitter:
    `jitter` from 0 to 1 chooses between nothing and a bound that doubles from 1 to 60 seconds.
    """
    if asked is not None:
        return min(max(asked, 0.0), 120.0)
    return max(0.1, float(min(60.0, 2.0 ** min(max(failures - 1, 0), 6))) * jitter)
