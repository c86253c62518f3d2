"""How many requests a second a service is to get, and when the next may go. Pure.

The rate grows by a little and is cut by much (AIMD); requests are let out by the generic cell
rate algorithm (GCRA, ITU-T I.371). Times are monotonic seconds, rates requests a second.
"""

from __future__ import annotations

import math
from typing import NamedTuple

START, FLOOR = 5.0, 0.5
_GROWTH, _CUT = 0.3, 0.7
_LONGEST_HOLD = 120.0
# A second, of the rate: while the service itself says that there is plenty.
_AMPLE_GROWTH = 0.1
# A rate that is not used says nothing about what the service would take.
_USED_TO_GROW = 0.5
# Over fewer requests what is left in the service's bucket is too coarse to reckon with.
_SAMPLE_REQUESTS, _SAMPLE_SECONDS, _SPARE_SECONDS = 10, 2.0, 2.0


class RateLimit(NamedTuple):
    """What is known of a service's limit.

    Nothing may be asked before `held_until`. `turned_at` is when the rate was last grown or
    looked at for it, `cut_at` when it was last cut; `sent` is how many requests there had been at
    `turned_at`. `sample` is a moment, what the service said was left, and the requests until then;
    `ample` says that it lasts for a while yet.
    """

    rate: float = START
    ceiling: float = math.inf
    held_until: float = -math.inf
    turned_at: float = -math.inf
    cut_at: float = -math.inf
    sent: int = 0
    sample: tuple[float, float, int] | None = None
    ample: bool = False


def begin(start: float, ceiling: float | None) -> RateLimit:
    """The limit before anything is known; `ceiling` is what the user allows at most."""
    most = math.inf if ceiling is None else ceiling
    return RateLimit(rate=min(start, most), ceiling=most)


def grown(limit: RateLimit, now: float, sent: int) -> RateLimit:
    """The limit a second later: larger, if it was used and nothing was refused.

    `sent` is how many requests there have been in all. Where the service says that there is
    plenty left, it grows by a tenth, as what was said will end that before a refusal does.
    """
    if now - limit.turned_at < 1.0:
        return limit
    used = sent - limit.sent >= _USED_TO_GROW * limit.rate
    growth = max(_GROWTH, _AMPLE_GROWTH * limit.rate) if limit.ample else _GROWTH
    rate = limit.rate + growth if used and now - limit.cut_at >= 1.0 else limit.rate
    return limit._replace(rate=min(rate, limit.ceiling), turned_at=now, sent=sent)


def refused(limit: RateLimit, now: float, hold: float) -> RateLimit:
    """The limit after a refusal (429) that is to be respected for `hold` seconds."""
    rate, cut_at = limit.rate, limit.cut_at
    if now - cut_at >= 1.0:
        rate, cut_at = min(max(rate * _CUT, FLOOR), limit.ceiling), now
    held_until = max(limit.held_until, now + min(max(hold, 0.0), _LONGEST_HOLD))
    return limit._replace(rate=rate, cut_at=cut_at, held_until=held_until, sample=None, ample=False)


def told(limit: RateLimit, now: float, left: float, sent: int) -> RateLimit:
    """The limit after the service said how many requests are `left` (`x-ratelimit-…`).

    While that shrinks and lasts for less than two seconds more, the rate is what the service
    was seen to give back; never less than a refusal would leave of it.
    """
    if limit.sample is None:
        return limit._replace(sample=(now, left, sent), ample=left >= _SPARE_SECONDS * limit.rate)
    since, before, sent_before = limit.sample
    spent = sent - sent_before
    if spent < _SAMPLE_REQUESTS or now - since < _SAMPLE_SECONDS:
        return limit
    rate = limit.rate
    if left < before and left < _SPARE_SECONDS * rate:
        given = (spent + left - before) / (now - since)
        rate = max(min(rate, given), rate * _CUT, min(FLOOR, rate))
    ample = left >= before and left >= _SPARE_SECONDS * rate
    return limit._replace(rate=rate, sample=(now, left, sent), ample=ample)


def burst(rate: float) -> float:
    """How many requests may go at once."""
    return max(2.0, 0.2 * rate)


def wait(arrival: float, now: float, rate: float, at_once: float) -> float:
    """How long the next request has to wait; `arrival` is when it would be due by the rate."""
    return max(0.0, arrival - now - (at_once - 1.0) / rate)


def allowed(arrival: float, now: float, rate: float, at_once: float) -> int:
    """How many requests may go now, one after another: what `wait` and `taken` come to."""
    return max(math.floor(at_once - max(arrival - now, 0.0) * rate), 0)


def taken(arrival: float, now: float, rate: float, requests: int = 1) -> float:
    """When the next request is due by the rate, after some that go now."""
    return max(arrival, now) + requests / rate
