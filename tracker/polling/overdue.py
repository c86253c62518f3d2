"""Logs the watched runs that should have ended by now. Their state is never assumed."""

from __future__ import annotations

import logging

from tracker.core.state import RunState
from tracker.polling.watch_list import WatchList
from tracker.polling.watched_run import WatchedRun
from tracker.runtime.log_fields import of_run

logger = logging.getLogger("runfold.overdue")

AUDIT_SECONDS = 60.0


class OverdueAudit:
    """The watched runs past their `expires_at`, each logged once."""

    def __init__(self, watch_list: WatchList) -> None:
        self._watch_list = watch_list
        self._logged: set[str] = set()

    @property
    def overdue(self) -> list[RunState]:
        """The watched runs that are past their `expires_at`, the longest past first."""
        late = [(self._late(watched), watched.stream, watched) for watched in self._watch_list.runs]
        return [watched.state for seconds, _, watched in sorted(late, reverse=True) if seconds > 0]

    async def tick(self) -> None:
        """Logs the runs that have become overdue since the last call."""
        overdue = set[str]()
        for watched in self._watch_list.runs:
            late, stream = self._late(watched), watched.stream
            if late > 0:
                overdue.add(stream)
            if late > 0 and stream not in self._logged:
                status = watched.state.status
                logger.warning(
                    "%s: should have ended %.0f s ago and is still %s",
                    stream,
                    late,
                    status,
                    extra=of_run(stream),
                )
        self._logged = overdue

    def _late(self, watched: WatchedRun) -> float:
        """Returns the seconds since a run's expiry, by the clock of its service."""
        expires_at = watched.state.expires_at
        if expires_at is None:
            return 0.0
        return (self._watch_list.service_time(watched.source) - expires_at).total_seconds()
