"""One page while it is made: its moment, its zone, its links and its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from projections.row_types import PhaseRow, RunRow
from projections.web.drawing.timelines import GradientIds
from projections.web.guarded_answers import GuardedAnswers, TooSlow
from projections.web.local_time import LocalTime
from projections.web.words import escape_unsafe
from tracker.event_store import RecordedEvent

# The parameters that every link keeps.
_KEPT = ("tz", "at")
T = TypeVar("T")


@dataclass(frozen=True)
class Freshness:
    """The newest event of the store, and the one that the tables have reached."""

    last_position: int
    position: int
    # The number of events that the tables do not have yet, at most.
    behind: int
    last_seen_at: datetime | None


@dataclass(frozen=True)
class Panel(Generic[T]):
    """A part of a page: its value, or the problem that kept it from being read."""

    value: T | None
    problem: str | None = None


@dataclass
class Page:
    """One page while it is made."""

    answers: GuardedAnswers
    time: LocalTime
    # The moment that ages are measured at: now, or the moment of the past that is shown.
    now: datetime
    # The moment of the past; None for now.
    at: datetime | None
    params: Mapping[str, str]
    # The relative URL of the first page, such as `../../`.
    root: str
    # The path of this page below it.
    path: str
    release: str
    database: str
    freshness: Freshness
    names: Mapping[str, str] = field(default_factory=dict)
    # The zones that the switch offers.
    zones: Sequence[str] = ()
    # Reads the events of a run.
    read_events: Callable[[str], list[RecordedEvent]] = lambda key: []
    is_report: bool = False
    # The runs that the report has a timeline of, by their keys.
    anchors: dict[str, str] = field(default_factory=dict)
    gradients: GradientIds = field(default_factory=GradientIds)

    def try_panel(self, read: Callable[[], T]) -> Panel[T]:
        """Returns a part of the page; a question that takes too long leaves only it out."""
        try:
            return Panel(read())
        except TooSlow as error:
            return Panel(None, str(error))

    def url(self, path: str, **params: object) -> str | None:
        """Returns the relative URL of a page; None in a report, which is one file."""
        if self.is_report:
            return None
        kept = {name: self.params.get(name) for name in _KEPT}
        return self._write(path, {**kept, **params})

    def here(self, **params: object) -> str | None:
        """Returns the URL of this page with some parameters changed; None removes one."""
        if self.is_report:
            return None
        return self._write(self.path, {**self.params, **params})

    def run_url(self, run: RunRow | Any) -> str | None:
        """Returns the URL of the page of a run, or of its timeline in a report."""
        if self.is_report:
            anchor = self.anchors.get(run.run_key)
            return None if anchor is None else f"#{anchor}"
        return self.url(*_path_of("runs", run.source, run.run_id))

    def thread_url(self, source: str, thread_id: str | None) -> str | None:
        """Returns the URL of the page of a thread; None for no thread."""
        if thread_id is None or self.is_report:
            return None
        return self.url(*_path_of("threads", source, thread_id))

    def name_of(self, text: str | None) -> str | None:
        """Returns the name that was given to an id, or the id."""
        return None if text is None else self.names.get(text, text)

    def _write(self, path: str, params: Mapping[str, object]) -> str:
        given = {name: str(it) for name, it in params.items() if it is not None and it != ""}
        fragment = given.pop("_fragment", "")
        query = urlencode(given, errors="replace")
        return (
            f"{self.root}{path}"
            + (f"?{query}" if query else "")
            + (f"#{fragment}" if fragment else "")
        ) or "./"


def _path_of(kind: str, source: str, identifier: str) -> tuple[str]:
    return (f"{kind}/{quote_part(source)}/{quote_part(identifier)}",)


def quote_part(text: str) -> str:
    """Returns a text as one part of a path. Browsers would resolve parts that are only dots."""
    quoted = quote(text, safe="", errors="replace")
    return f"~{quoted}" if set(text) <= {"."} or text.startswith("~") else quoted


def unquote_part(text: str) -> str:
    """Returns the text of a part of a path that is decoded already."""
    return text.removeprefix("~")


def phase_seconds(phases: Sequence[PhaseRow], now: datetime) -> list[tuple[str, float]]:
    """Returns the statuses of a run with their seconds; an open phase lasts until now."""
    return [
        (
            it.status,
            it.seconds
            if it.seconds is not None
            else max(0.0, ((it.left_at or now) - it.entered_at).total_seconds()),
        )
        for it in phases
    ]


def find_duration(run: RunRow, phase: str) -> tuple[float | None, float | None, float | None]:
    """Returns the seconds of a phase, or of `total`, with the least and the most they can be."""
    names = f"{phase}_seconds", f"{phase}_at_least_seconds", f"{phase}_at_most_seconds"
    seconds, least, most = (getattr(run, name) for name in names)
    return seconds, least, most


def safe(text: str | None) -> str | None:
    """Returns a text that can be shown; None for none."""
    return None if text is None else escape_unsafe(text)
