"""A check that a tracker or an event store is not used in a forked process."""

from __future__ import annotations

import os

from tracker.errors import SettingsError


def check_not_forked(process_id: int) -> None:
    """Raises SettingsError in any other process than that of the given id."""
    if os.getpid() != process_id:
        raise SettingsError(
            "the tracker or its event store was opened before this process was forked, and no "
            "connection or thread survives that: open it after the fork, in gunicorn's post_fork "
            "or uWSGI's @postfork, from a URL"
        )
