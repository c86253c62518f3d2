"""What was opened before a fork is of no use after it, and says so."""

from __future__ import annotations

import os

from tracker.errors import SettingsError


def check_not_forked(opened_in: int) -> None:
    """Raises SettingsError where this is another process than the one of that number."""
    if os.getpid() != opened_in:
        raise SettingsError(
            "the tracker or its event store was opened before this process was forked, and no "
            "connection or thread outlives that: open it after the fork, in gunicorn's post_fork "
            "or uWSGI's @postfork, from a URL"
        )
