"""Makes pages from the views, without any web framework."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from projections.answers import Answers
from projections.queries.grouping import time_zone
from projections.views import Views
from projections.web import page_queries
from projections.web.guarded_answers import STATEMENT_SECONDS, GuardedAnswers
from projections.web.local_time import LocalTime
from projections.web.page import Freshness, Page
from projections.web.past_answers import SharedPast
from tracker.event_store import EventStore, RecordedEvent

ZONE_VARIABLE = "RUNFOLD_TZ"
# The projections that pages read; costs may be switched off, and then stay behind.
_OPTIONAL = "costs"

# Returns what the trackers report of themselves.
Sources = Callable[[], Sequence[Any]]


class PageMaker:
    """Opens the answers and the frame of each page. Safe for threads."""

    def __init__(
        self,
        views: Views,
        *,
        tz: str | None = None,
        names: Mapping[str, str] | None = None,
        sources: Sources | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        statement_seconds: float = STATEMENT_SECONDS,
    ) -> None:
        self.views, self.sources = views, sources
        self._zone = tz or os.environ.get(ZONE_VARIABLE) or "UTC"
        time_zone(self._zone)
        self._names = dict(names or {})
        self._clock = clock
        self._statement_seconds = statement_seconds
        self._past = SharedPast(views)
        self.release = metadata.version("runfold")
        self.database = _name_database(views.url)

    def close(self) -> None:
        """Deletes the tables of the past that were replayed for pages."""
        self._past.close()

    def read_mark(self) -> str:
        """Returns a text that changes with the release and with each event in the tables."""
        guarded = GuardedAnswers(self.views, self._statement_seconds)
        with guarded as answers, answers.connect() as connection:
            positions = page_queries.read_positions(connection)
        return f"{self.release} {self._zone} {positions}"

    def now(self) -> datetime:
        """Returns the time."""
        return self._clock()

    @contextmanager
    def open(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        root: str = "./",
        is_report: bool = False,
        has_past: bool = True,
    ) -> Iterator[Page]:
        """Yields a page while its answers are open.

        Raises SettingsError for a zone or a moment that is none, and Busy while another moment of
        the past is being replayed.
        """
        read_at = self._clock()
        zone = time_zone(params.get("tz") or self._zone)
        time = LocalTime(zone, read_at)
        at = time.parse(params["at"]) if params.get("at") and has_past else None
        with self.views.open_store() as store:
            last = store.last_position()
            newest = store.read_all(last - 1, 1) if last else []
            answers: Answers = self.views
            if at is not None:
                answers = self._past.open(at, last) if not is_report else self.views.as_of(at)
                time = LocalTime(zone, at)
            seconds = 600.0 if is_report else self._statement_seconds
            with GuardedAnswers(answers, seconds) as guarded:
                with guarded.connect() as connection:
                    positions = page_queries.read_positions(connection)
                yield Page(
                    answers=guarded,
                    time=time,
                    now=at or read_at,
                    at=at,
                    params=params,
                    root=root,
                    path=path,
                    release=self.release,
                    database=self.database,
                    freshness=_measure_freshness(store, last, newest, positions, at is not None),
                    names=self._names,
                    zones=_list_zones(zone.key, self._zone),
                    read_events=lambda key: _read_events(store, key, at),
                    is_report=is_report,
                )


def _measure_freshness(
    store: EventStore,
    last: int,
    newest: Sequence[RecordedEvent],
    positions: Sequence[tuple[str, int]],
    is_past: bool,
) -> Freshness:
    needed = [it for name, it in positions if name != _OPTIONAL and " " not in name]
    position = min(needed, default=0)
    # Events between that were forgotten are not missing.
    is_behind = not is_past and position < last and store.wait(position, 0)
    seen_at = newest[0].event.observed_at if newest else None
    behind = last - position if is_behind else 0
    return Freshness(last, position, behind, seen_at)


def _read_events(store: EventStore, key: str, at: datetime | None) -> list[RecordedEvent]:
    found = store.read(key)
    return [it for it in found if at is None or it.event.observed_at <= at]


def _list_zones(*chosen: str) -> list[str]:
    return sorted({*chosen, "UTC", *_find_host_zone()})


def _find_host_zone() -> list[str]:
    """Returns the name of the zone of this machine, if it can be told."""
    place = str(Path("/etc/localtime").resolve())
    name = place.partition("zoneinfo/")[2] or os.environ.get("TZ", "")
    try:
        return [time_zone(name).key] if name and not name.startswith(":") else []
    except ValueError:
        return []


def _name_database(url: str) -> str:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Path(parsed.database or "").name
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.database or ''} at {parsed.host or 'localhost'}{port}"
