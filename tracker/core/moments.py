"""The moments that a run can have been at."""

from __future__ import annotations

from datetime import datetime

# Before and after lie the zero times of languages and databases, and "never".
FIRST_YEAR, LAST_YEAR = 2000, 2199


def grain_of(stamp: datetime) -> float:
    """Returns for how many seconds a stamp stands, by its digits: services round them down."""
    if stamp.microsecond == 0:
        return 1.0
    return 0.0 if stamp.microsecond % 1000 else 0.001


def is_plausible(moment: datetime) -> bool:
    """True if a moment is neither before the year 2000 nor after the year 2199."""
    return FIRST_YEAR <= moment.year <= LAST_YEAR
