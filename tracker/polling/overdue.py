"""Which runs should have ended by now, and have not as far as we know: said, never assumed."""

from __future__ import annotations

import logging

from tracker.core.state import RunState
from tracker.polling.watch_list import WatchList
from tracker.polling.watched_run import WatchedRun
from tracker.runtime.log_fields import of_run

logger = logging.getLogger("runfold.overdue")

AUDIT_SECONDS = 60.0


class OverdueAudit:
    """Tells of watched runs past their `expires_at`, each once, in a log."""

    def __init__(self, roster: WatchList) -> None:
        self._roster = roster
        self._told: set[str] = set()

    @property
    def overdue(self) -> list[RunState]:
        """The watched runs that are past their `expires_at`, the longest past first."""
        late = [(self._late(watched), watched.stream, watched) for watched in self._roster.all]
        return [watched.state for seconds, _, watched in sorted(late, reverse=True) if seconds > 0]

    async def tick(self) -> None:
        """Logs the runs that have become overdue since the last time."""
        overdue = set[str]()
        for watched in self._roster.all:
            late, stream = self._late(watched), watched.stream
            if late > 0:
                overdue.add(stream)
            if late > 0 and stream not in self._told:
                status = watched.state.status
                logger.warning(
                    "%s: should have ended %.0f s ago and is still %s",
                    stream,
                    late,
                    status,
                    extra=of_run(stream),
                )
        self._told = overdue

    def _late(self, watched: WatchedRun) -> float:
        """How many seconds a run is past its expiry, by the clock of its service."""
        expires_at = watched.state.expires_at
        if expires_at is None:
            return 0.0
        return (self._roster.time_at(watched.source) - expires_at).total_seconds()
