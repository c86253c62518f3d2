"""The answers of earlier moments that pages share: the last two, for ten minutes."""

from __future__ import annotations

from datetime import datetime
from threading import Lock
from time import monotonic

from projections.as_of import PastAnswers
from projections.views import Views
from tracker.errors import SettingsError, ViewsError

MOST_KEPT, KEEP_SECONDS = 2, 600.0
# Replaying more events takes longer than a reader waits.
MOST_EVENTS = 500_000


class Busy(ViewsError):
    """Another moment is being replayed: ask again in a few seconds."""


class SharedPast:
    """Keeps the replayed tables of the last moments. Safe for threads."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._kept: dict[datetime, tuple[PastAnswers, float]] = {}
        self._lock = Lock()

    def open(self, at: datetime, last_position: int) -> PastAnswers:
        """Returns the answers as of a moment. Raises Busy, or SettingsError for too many events."""
        if last_position > MOST_EVENTS:
            raise SettingsError(
                f"a page as of the past is made of at most {MOST_EVENTS:,} events, and there are "
                f"{last_position:,}: use runfold report --at {at:%Y-%m-%dT%H:%M:%S%z}"
            )
        if not self._lock.acquire(blocking=False):
            raise Busy("another moment of the past is being prepared; try again in a few seconds")
        try:
            self._drop_old()
            found = self._kept.pop(at, None)
            past = self._views.as_of(at) if found is None else found[0]
            if found is None:
                # Replays the events.
                past.runs(limit=0)
            self._kept[at] = (past, monotonic())
            while len(self._kept) > MOST_KEPT:
                self._drop(next(iter(self._kept)))
            return past
        finally:
            self._lock.release()

    def close(self) -> None:
        """Deletes the replayed tables."""
        with self._lock:
            for at in list(self._kept):
                self._drop(at)

    def _drop_old(self) -> None:
        for at, (_, used_at) in list(self._kept.items()):
            if monotonic() - used_at > KEEP_SECONDS:
                self._drop(at)

    def _drop(self, at: datetime) -> None:
        # Garbage collection deletes its file once no page reads it any more.
        del self._kept[at]
