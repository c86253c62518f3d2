"""The time until the next poll of a run: each run owns a share of the request budget."""

from __future__ import annotations

from dataclasses import dataclass

# Kept back from the rate, because the total of all shares is an estimate.
USED_PART_OF_RATE = 0.95
_JITTER = 0.05
# A run is polled this long after it should have expired.
_DEADLINE_SECONDS = 0.2
# With many runs, none waits longer than this many times the average.
_LONGEST_ROUNDS = 6.0

_MIN_ACTION_WEIGHT, _ACTION_WEIGHT_PER_CHANGE, _OWN_ACTION_WEIGHT = 0.1, 3.0, 0.01


@dataclass(frozen=True, slots=True)
class Cadence:
    """The bounds of polling, in seconds.

    `shortest` and `longest` bound the time between two polls of one run; where more runs are
    watched than the service allows requests for, the longest grows. `step` is what a run has to
    earn for a poll even where the service allows any number: smaller is sooner, for more
    requests. `start` is the rate to begin with, in requests a second, before the service's limit
    is known.
    """

    shortest: float = 0.1
    longest: float = 30.0
    step: float = 0.27
    start: float = 5.0


def weight(changes: float, *, answered_here: bool) -> float:
    """Returns the weight of a poll of a run that needs an action; 1 for any other run.

    `changes` is how often a run changes between two polls, averaged over all runs. Where that is
    rare, it does no harm to see a little late that the run continued; where it is not, the run
    may have continued and stopped again unseen. `answered_here` is true if our own code submits
    the outputs, and so knows.
    """
    if answered_here:
        return _OWN_ACTION_WEIGHT
    return min(max(_ACTION_WEIGHT_PER_CHANGE * changes, _MIN_ACTION_WEIGHT), 1.0)


def step(cadence: Cadence, total: float, rate: float) -> float:
    """Returns the share of the rate that a run has to accumulate before its next poll.

    `total` is the sum of the shares of all runs; the result has the unit of a share times seconds.
    """
    earned = total / (USED_PART_OF_RATE * rate)
    return earned if earned > cadence.step else cadence.step


def poll_delay(
    cadence: Cadence,
    wanted: float,
    *,
    runs: int,
    rate: float,
    jitter: float,
    hint: float | None = None,
    expires_in: float | None = None,
) -> float:
    """Returns the delay until the next poll of a run whose share asks for `wanted` seconds.

    `jitter` from -1 to 1 moves it by up to 5 %. `hint`, the service's lower bound, always holds;
    otherwise a run is polled right after it should have expired.
    """
    # Comparisons, because this runs for each poll and `max` takes six times as long.
    pause, rounds = wanted * (1 + _JITTER * jitter), _LONGEST_ROUNDS * runs / rate
    if pause < cadence.shortest:
        pause = cadence.shortest
    if pause > cadence.longest and pause > rounds:
        pause = rounds if rounds > cadence.longest else cadence.longest
    if expires_in is not None and 0 < expires_in + _DEADLINE_SECONDS < pause:
        pause = expires_in + _DEADLINE_SECONDS
    return hint if hint is not None and hint > pause else pause


def backoff(failures: int, *, asked: float | None, jitter: float) -> float:
    """Returns the delay after `failures` requests in a row that failed.

    `asked` is the delay that the service asked for, capped at two minutes. Without it, full
    jitter: `jitter` from 0 to 1 chooses between zero and a bound that doubles from 1 to 60
    seconds.
    """
    if asked is not None:
        return min(max(asked, 0.0), 120.0)
    return max(0.1, float(min(60.0, 2.0 ** min(max(failures - 1, 0), 6))) * jitter)
