"""The rate of requests to a service, and the moment of the next request.

The rate doubles each second until the first refusal or until answers slow down (slow start). A
refusal cuts it; once the service answers again, the rate becomes what it accepted between its last
two refusals. From there it grows slowly, and faster far from the rate that was refused.
Requests are let out by the generic cell rate algorithm (GCRA, ITU-T I.371). Times are monotonic
seconds, rates requests a second.
"""

from __future__ import annotations

import math
from typing import NamedTuple

START, FLOOR = 5.0, 0.05
_CUT, _LONGEST_HOLD = 0.7, 120.0
# Without another ceiling, since a request costs one to two milliseconds of CPU.
MOST = 400.0
# Growth of a rate far below the last refusal, in each round: of a second, or of so many requests.
_QUICK, _ROUND_REQUESTS = 0.1, 5.0
_FAR_BELOW = 0.9
# Growth near it, each second: less where few requests are sent, of which a refusal is a large part;
# and more of it with the distance, as a part of that.
_SLOW, _SLOW_PER_RATE, _SLOWEST, _BY_DISTANCE = 0.01, 0.0005, 0.0004, 0.03
# Of the accepted rate, the part that counts as refused, and the part that is used at first.
_REFUSED_PART, _USED_PART = 0.98, 0.94
# With fewer accepted requests or seconds, or if so much of the time was not used, the accepted rate
# says too little about the limit.
_MEASURED_REQUESTS, _MEASURED_SECONDS, _MEASURED_IDLE = 10, 2.0, 0.3
# So few say only that a rate far above them is too high.
_ROUGH_REQUESTS, _ROUGH_SECONDS = 3, 1.0
# A rate that is not used says nothing about what the service would accept.
_USED_TO_INCREASE = 0.5
# With fewer requests, the remaining number that the service reports is too coarse to use.
_SAMPLE_REQUESTS, _SAMPLE_SECONDS, _SPARE_SECONDS = 10, 2.0, 2.0


class RateLimit(NamedTuple):
    """The estimate of a service's limit."""

    rate: float = START
    # The maximum that the user allows.
    ceiling: float = math.inf
    # No request before this moment.
    held_until: float = -math.inf
    # When the rate was last increased, or considered for it, and the requests sent until then.
    increased_at: float = -math.inf
    sent: int = 0
    # When the rate was last cut.
    cut_at: float = -math.inf
    # The rate at which the service refuses, as far as it is known; None in the slow start.
    refused_rate: float | None = None
    # When the service answered again after its last refusal, the requests accepted until then, and
    # the seconds since then in which the rate was not used.
    measured_from: tuple[float, int] | None = None
    idle: float = 0.0
    # The last refusal, with the requests accepted until then; and the rate that was accepted
    # between the one before and it.
    refused_from: tuple[float, int] | None = None
    between_refusals: float | None = None
    # The part of the source's requests that is sent from here; others send the rest.
    part: float = 1.0
    # A moment, the remaining requests that the service reported then, and those sent until then.
    sample: tuple[float, float, int] | None = None
    # True if the remaining requests last for a while.
    is_ample: bool = False


def initial(start: float, ceiling: float | None) -> RateLimit:
    """Returns the limit before anything is known; `ceiling` is the maximum the user allows."""
    most = max(MOST, start) if ceiling is None else ceiling
    return RateLimit(rate=min(start, most), ceiling=most)


def increase(
    limit: RateLimit, now: float, sent: int, *, accepted: int = 0, is_slow: bool = False
) -> RateLimit:
    """Returns the limit a second later: larger, if it was used and nothing was refused.

    `sent` and `accepted` are the totals of requests. While answers are slower than they were
    (`is_slow`), the rate does not grow.
    """
    passed = now - limit.increased_at
    if passed < 1.0 or passed < _ROUND_REQUESTS / limit.rate:
        return limit
    if limit.measured_from is None:
        limit = limit._replace(measured_from=(now, accepted))
    if math.isinf(passed):
        return limit._replace(increased_at=now, sent=sent)
    is_used = sent - limit.sent >= _USED_TO_INCREASE * limit.rate * passed
    rate, refused_rate = limit.rate, limit.refused_rate
    if is_used and is_slow and refused_rate is None:
        refused_rate = rate
    elif is_used and not is_slow and now - limit.cut_at >= 1.0:
        rate += rate * _growth(limit, passed)
    return limit._replace(
        rate=min(rate, limit.ceiling),
        increased_at=now,
        sent=sent,
        refused_rate=refused_rate,
        idle=limit.idle if is_used else limit.idle + passed,
    )


def _growth(limit: RateLimit, passed: float) -> float:
    """Returns the growth of a rate in a round of `passed` seconds, as a part of it."""
    if limit.refused_rate is None:
        return 1.0
    distance = limit.rate / limit.refused_rate
    if limit.is_ample or distance < _FAR_BELOW:
        return _QUICK
    slow = max(min(_SLOW, _SLOW_PER_RATE * limit.rate), _SLOWEST)
    return min((slow + _BY_DISTANCE * abs(distance - 1.0)) * passed, _QUICK)


def on_429(limit: RateLimit, now: float, hold: float) -> RateLimit:
    """Returns the limit after a 429 that asks for a pause of `hold` seconds."""
    limit = held(limit, now, hold)._replace(sample=None, is_ample=False)
    if now - limit.cut_at < 1.0:
        return limit
    return cut(limit)._replace(refused_rate=limit.rate, cut_at=now)


def cut(limit: RateLimit) -> RateLimit:
    """Returns the limit with a lower rate."""
    return limit._replace(rate=min(max(limit.rate * _CUT, FLOOR), limit.ceiling))


def refused(limit: RateLimit, now: float, accepted: int, *, is_first: bool) -> RateLimit:
    """Returns the limit after it was found out that the source refuses at this moment.

    `accepted` is the total of the accepted requests; `is_first` is true for the first refusal
    since the source answered.
    """
    if is_first:
        limit = limit._replace(
            between_refusals=_rate_since(limit, limit.refused_from, now, accepted)
        )
    return limit._replace(refused_from=(now, accepted))


def _rate_since(
    limit: RateLimit, since: tuple[float, int] | None, now: float, accepted: int
) -> float | None:
    """Returns the accepted rate since a moment; None if that says too little about the limit."""
    if since is None:
        return None
    passed, number = now - since[0], accepted - since[1]
    if number < _ROUGH_REQUESTS or passed < _ROUGH_SECONDS or limit.idle > _MEASURED_IDLE * passed:
        return None
    return number / passed


def held(limit: RateLimit, now: float, hold: float) -> RateLimit:
    """Returns the limit with a pause of `hold` seconds, two minutes at most."""
    held_until = max(limit.held_until, now + min(max(hold, 0.0), _LONGEST_HOLD))
    return limit._replace(held_until=held_until)


def released(limit: RateLimit, now: float, sent: int) -> RateLimit:
    """Returns the limit without a pause; the time of the pause counts as no use of the rate."""
    return limit._replace(held_until=-math.inf, increased_at=now, sent=sent)


def resumed(
    limit: RateLimit, now: float, sent: int, accepted: int, *, is_window: bool = True
) -> RateLimit:
    """Returns the limit once the service answers again after refusals.

    `accepted` is the total of the accepted requests. A window begins each time that a service
    answers again, and a token bucket is empty at each refusal, so that what was accepted in
    between is the limit itself. Cut by a constant only, the rate would need several refusals to
    come down to it, or lie far below it. `is_window` is false if the service may have been ready
    to answer for a while, since it did not say when, and refused nothing meanwhile.
    """
    limit = released(limit, now, sent)
    measured = _rate_since(limit, limit.measured_from, now, accepted)
    if not is_window and limit.between_refusals is not None:
        measured = max(measured or 0.0, limit.between_refusals)
    limit = limit._replace(between_refusals=None)
    if measured is None:
        return limit
    since, before = limit.measured_from or (now, accepted)
    if limit.refused_rate is not None:
        measured = min(measured, limit.refused_rate)
    rate = min(max(measured * _USED_PART, FLOOR), limit.ceiling)
    if accepted - before < _MEASURED_REQUESTS or now - since < _MEASURED_SECONDS:
        return limit._replace(rate=min(limit.rate, rate))
    return limit._replace(
        rate=rate,
        refused_rate=max(measured * _REFUSED_PART, rate),
        measured_from=(now, accepted),
        idle=0.0,
    )


def divided(limit: RateLimit, part: float) -> RateLimit:
    """Returns the limit of this part of a source's requests, of that of another part."""
    if part == limit.part:
        return limit
    factor = part / limit.part
    refused_rate = None if limit.refused_rate is None else limit.refused_rate * factor
    return limit._replace(
        rate=max(limit.rate * factor, FLOOR),
        ceiling=limit.ceiling * factor,
        refused_rate=refused_rate,
        measured_from=None,
        refused_from=None,
        sample=None,
        part=part,
    )


def on_remaining(limit: RateLimit, now: float, left: float, sent: int) -> RateLimit:
    """Returns the limit after the service reported `left` remaining requests (`x-ratelimit-…`).

    While that number shrinks and lasts for less than two more seconds, the rate becomes the one
    at which the service was seen to refill; never less than a 429 would leave of it.
    """
    if limit.sample is None:
        is_ample = left >= _SPARE_SECONDS * limit.rate
        return limit._replace(sample=(now, left, sent), is_ample=is_ample)
    since, before, sent_before = limit.sample
    spent = sent - sent_before
    if spent < _SAMPLE_REQUESTS or now - since < _SAMPLE_SECONDS:
        return limit
    rate = limit.rate
    if left < before and left < _SPARE_SECONDS * rate:
        refilled = (spent + left - before) / (now - since)
        rate = max(min(rate, refilled), rate * _CUT, min(FLOOR, rate))
    is_ample = left >= before and left >= _SPARE_SECONDS * rate
    refused_rate = rate if rate < limit.rate else limit.refused_rate
    return limit._replace(
        rate=rate, refused_rate=refused_rate, sample=(now, left, sent), is_ample=is_ample
    )


def burst(rate: float) -> float:
    """Returns the number of requests that may be sent at once."""
    return max(2.0, 0.2 * rate)


def delay(arrival: float, now: float, rate: float, at_once: float) -> float:
    """Returns the delay of the next request; `arrival` is its theoretical arrival time."""
    return max(0.0, arrival - now - (at_once - 1.0) / rate)


def allowance(arrival: float, now: float, rate: float, at_once: float) -> int:
    """Returns the number of requests that may be sent now, one after another.

    Equals the count of `consume` calls until `delay` is above zero.
    """
    return max(math.floor(at_once - max(arrival - now, 0.0) * rate), 0)


def consume(arrival: float, now: float, rate: float, requests: int = 1) -> float:
    """Returns the theoretical arrival time of the next request after some that are sent now."""
    return max(arrival, now) + requests / rate
