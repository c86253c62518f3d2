"""The check of limits of rows."""

from __future__ import annotations

from tracker.errors import SettingsError


def check_limit(limit: int | None) -> int | None:
    """Returns a limit that is not negative; None is no limit. Raises SettingsError."""
    if limit is not None and limit < 0:
        raise SettingsError(f"limit must be 0 or more, not {limit}")
    return limit
