"""The rate of requests to a service, and the moment of the next request.

The rate increases additively and decreases multiplicatively (AIMD); requests are let out by the
generic cell rate algorithm (GCRA, ITU-T I.371). Times are monotonic seconds, rates requests a
second.
"""

from __future__ import annotations

import math
from typing import NamedTuple

START, FLOOR = 5.0, 0.5
_INCREASE, _CUT = 0.3, 0.7
_LONGEST_HOLD = 120.0
# Each second, as a part of the rate, while the service reports plenty of remaining requests.
_AMPLE_INCREASE = 0.1
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
    # A moment, the remaining requests that the service reported then, and those sent until then.
    sample: tuple[float, float, int] | None = None
    # True if the remaining requests last for a while.
    is_ample: bool = False


def initial(start: float, ceiling: float | None) -> RateLimit:
    """Returns the limit before anything is known; `ceiling` is the maximum the user allows."""
    most = math.inf if ceiling is None else ceiling
    return RateLimit(rate=min(start, most), ceiling=most)


def increase(limit: RateLimit, now: float, sent: int) -> RateLimit:
    """Returns the limit a second later: larger, if it was used and nothing was refused.

    `sent` is the total number of requests. While the service reports plenty of remaining
    requests, the rate grows by a tenth, since that report ends the growth before a 429 does.
    """
    if now - limit.increased_at < 1.0:
        return limit
    used = sent - limit.sent >= _USED_TO_INCREASE * limit.rate
    growth = max(_INCREASE, _AMPLE_INCREASE * limit.rate) if limit.is_ample else _INCREASE
    rate = limit.rate + growth if used and now - limit.cut_at >= 1.0 else limit.rate
    return limit._replace(rate=min(rate, limit.ceiling), increased_at=now, sent=sent)


def on_429(limit: RateLimit, now: float, hold: float) -> RateLimit:
    """Returns the limit after a 429 that asks for a pause of `hold` seconds."""
    rate, cut_at = limit.rate, limit.cut_at
    if now - cut_at >= 1.0:
        rate, cut_at = min(max(rate * _CUT, FLOOR), limit.ceiling), now
    held_until = max(limit.held_until, now + min(max(hold, 0.0), _LONGEST_HOLD))
    return limit._replace(
        rate=rate, cut_at=cut_at, held_until=held_until, sample=None, is_ample=False
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
    return limit._replace(rate=rate, sample=(now, left, sent), is_ample=is_ample)


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
