"""The moments that a run can have been at."""

from __future__ import annotations

from datetime import datetime

# Before and after lie the zero times of languages and databases, and "never".
FIRST_YEAR, LAST_YEAR = 2000, 2199


def is_plausible(moment: datetime) -> bool:
    """True if a moment is neither before the year 2000 nor after the year 2199."""
    return FIRST_YEAR <= moment.year <= LAST_YEAR
