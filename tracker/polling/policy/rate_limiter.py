"""The rate of requests to a service, and the moment of the next request.

The rate doubles each second until the first refusal or until answers slow down (slow start). A
refusal cuts it to what the service accepted since the refusal before, or else to seven tenths. It
returns by a tenth each second, is slow near the rate that was refused, and fast again beyond it.
Requests are let out by the generic cell rate algorithm (GCRA, ITU-T I.371). Times are monotonic
seconds, rates requests a second.
"""

from __future__ import annotations

import math
from typing import NamedTuple

START, FLOOR = 5.0, 0.05
_CUT, _LONGEST_HOLD = 0.7, 120.0
# Growth each second, as a part of the rate: far from the last refusal, and near it, where few
# requests are sent each second and a refusal is a large part of them.
_QUICK, _SLOW, _SLOW_PER_RATE = 0.1, 0.01, 0.0005
_NEAR = (0.9, 1.1)
# At this multiple of the rate that was refused, the service has another limit now.
_OUTGROWN = 2.0
# The part of the accepted rate that is used after a refusal.
_OF_ACCEPTED = 0.97
# With fewer accepted requests or seconds, or if so much of the time was not used, the accepted rate
# says too little about the limit.
_MEASURED_REQUESTS, _MEASURED_SECONDS, _MEASURED_IDLE = 10, 2.0, 0.3
# Growth is decided each second, or each so many requests.
_ROUND_REQUESTS = 5.0
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
    # Since when accepted requests are counted, those accepted until then, and the seconds since
    # then in which the rate was not used.
    measured_from: tuple[float, int] | None = None
    idle: float = 0.0
    # A moment, the remaining requests that the service reported then, and those sent until then.
    sample: tuple[float, float, int] | None = None
    # True if the remaining requests last for a while.
    is_ample: bool = False


def initial(start: float, ceiling: float | None) -> RateLimit:
    """Returns the limit before anything is known; `ceiling` is the maximum the user allows."""
    most = math.inf if ceiling is None else ceiling
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
        rate += rate * min(_growth(limit) * min(passed, 10.0), 1.0)
        if refused_rate is not None and rate >= _OUTGROWN * refused_rate:
            refused_rate = None
    idle = limit.idle if is_used else limit.idle + passed
    return limit._replace(
        rate=max(min(rate, limit.ceiling), min(limit.rate, limit.ceiling)),
        increased_at=now,
        sent=sent,
        refused_rate=refused_rate,
        idle=idle,
    )


def _growth(limit: RateLimit) -> float:
    """Returns the growth of a rate each second, as a part of it."""
    if limit.refused_rate is None:
        return 1.0
    low, high = _NEAR
    if limit.is_ample or not low <= limit.rate / limit.refused_rate < high:
        return _QUICK
    return min(_SLOW, _SLOW_PER_RATE * limit.rate)


def on_429(limit: RateLimit, now: float, hold: float, accepted: int | None = None) -> RateLimit:
    """Returns the limit after a 429 that asks for a pause of `hold` seconds.

    `accepted` is the total of the accepted requests. Between two refusals at a rate that is used,
    the service accepts what its limit is; cut by a constant, the rate would take several refusals
    to come down to it, or lie far below it.
    """
    limit = held(limit, now, hold)._replace(sample=None, is_ample=False)
    if now - limit.cut_at < 1.0:
        return limit
    rate, refused_rate, measured = (
        limit.rate * _CUT,
        limit.rate,
        accepted_rate(limit, now, accepted),
    )
    if measured is not None:
        refused_rate = min(measured, limit.rate)
        rate = refused_rate * _OF_ACCEPTED
        limit = limit._replace(measured_from=(now, accepted or 0), idle=0.0)
    rate = min(max(rate, FLOOR), limit.ceiling)
    return limit._replace(rate=rate, refused_rate=max(refused_rate, rate), cut_at=now)


def accepted_rate(limit: RateLimit, now: float, accepted: int | None) -> float | None:
    """Returns the rate that the service accepted; None if that says too little about its limit."""
    if limit.measured_from is None or accepted is None:
        return None
    since, before = limit.measured_from
    passed, number = now - since, accepted - before
    if number < _MEASURED_REQUESTS or passed < _MEASURED_SECONDS:
        return None
    return None if limit.idle > _MEASURED_IDLE * passed else number / passed


def held(limit: RateLimit, now: float, hold: float) -> RateLimit:
    """Returns the limit with a pause of `hold` seconds, two minutes at most."""
    held_until = max(limit.held_until, now + min(max(hold, 0.0), _LONGEST_HOLD))
    return limit._replace(held_until=held_until)


def released(limit: RateLimit, now: float, sent: int) -> RateLimit:
    """Returns the limit without a pause; the time of the pause counts as no use of the rate."""
    return limit._replace(held_until=-math.inf, increased_at=now, sent=sent)


def divided(limit: RateLimit, part: float) -> RateLimit:
    """Returns the limit of a part of a source's requests; above 1 to undo a division."""
    if part == 1.0:
        return limit
    refused_rate = None if limit.refused_rate is None else limit.refused_rate * part
    return limit._replace(
        rate=max(limit.rate * part, FLOOR),
        ceiling=limit.ceiling * part,
        refused_rate=refused_rate,
        measured_from=None,
        sample=None,
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
