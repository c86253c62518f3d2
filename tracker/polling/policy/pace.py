"""The pace of a source: its rate and the changes of its runs, as they are kept between starts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from tracker.polling.policy.rate_limiter import FLOOR, RateLimit, initial


class Pace(NamedTuple):
    """The rate that a source accepts from all trackers together, and its hazard models."""

    # In requests a second.
    rate: float
    # The rate at which it refuses, if that was found out.
    refused_rate: float | None = None
    # As `HazardModels.to_document` gives them.
    hazards: Mapping[str, Any] = {}


def known_limit(pace: Pace, start: float, ceiling: float | None) -> RateLimit:
    """Returns the limit to begin with at a source that was polled before.

    `start` is the rate to begin with at one that is not known, `ceiling` the maximum that the user
    allows.
    """
    limit, (rate, refused_rate, _) = initial(start, ceiling), pace
    if not math.isfinite(rate) or rate <= 0.0:
        return limit
    if refused_rate is None:
        # It never refused, so that a low rate was only one that nobody needed.
        return limit._replace(rate=min(max(rate, limit.rate), limit.ceiling))
    rate = min(max(rate, FLOOR), limit.ceiling)
    return limit._replace(rate=rate, refused_rate=refused_rate)
