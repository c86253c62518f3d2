"""The recorded runs of a database, for a service that shows them again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Self

from tracker.core.events import (
    ConfigurationRecorded,
    Event,
    RunCompleted,
    RunCreated,
    RunIdentified,
    Unreadable,
)
from tracker.core.snapshot import Configuration
from tracker.errors import SettingsError
from tracker.event_store import EventStore
from tracker.simulator.model.recorded_run import RecordedRun, find_moments

_EVENTS_PER_PAGE = 1000


class RecordedWorld:
    """The runs by their ids, and the runs of each thread, oldest first.

    Of two sources with one id of a run, the first one is shown.
    """

    def __init__(self, runs: Iterable[RecordedRun]) -> None:
        self.runs: dict[str, RecordedRun] = {}
        self.threads: dict[str, list[RecordedRun]] = {}
        for run in sorted(runs, key=lambda it: it.created_at):
            if run.run_id not in self.runs:
                self.runs[run.run_id] = run
                self.threads.setdefault(run.thread_id, []).append(run)

    @property
    def starts_at(self) -> float:
        """The first creation, in unix seconds."""
        return min(it.created_at for it in self.runs.values())

    @property
    def ends_at(self) -> float:
        """The last change, in unix seconds."""
        return max(it.last_changed_at for it in self.runs.values())

    @classmethod
    def read(
        cls, store: EventStore, since: datetime | None = None, until: datetime | None = None
    ) -> Self:
        """Reads the runs that were created from `since` on and before `until`.

        A run with an event that cannot be read is left out. Raises SettingsError if there are none.
        """
        histories: dict[str, list[Event]] = {}
        configurations: dict[str, Configuration] = {}
        left_out: set[str] = set()
        position = 0
        while page := store.read_all(position, _EVENTS_PER_PAGE):
            for recorded in page:
                event = recorded.event
                if isinstance(event, ConfigurationRecorded):
                    configurations[event.digest] = event.configuration
                elif isinstance(event, Unreadable):
                    left_out.add(recorded.stream)
                elif recorded.version == 1 and isinstance(event, RunCreated):
                    histories[recorded.stream] = [event]
                elif recorded.stream in histories:
                    histories[recorded.stream].append(event)
            position = page[-1].position
        first = None if since is None else since.timestamp()
        end = None if until is None else until.timestamp()
        chosen = {
            stream: events
            for stream, events in histories.items()
            if stream not in left_out and _is_between(find_moments(events)[0], first, end)
        }
        if not chosen:
            raise SettingsError("no runs were recorded in that time: check the URL and --since")
        runs = {
            stream: RecordedRun(events, configurations.get(_find_digest(events) or ""))
            for stream, events in chosen.items()
        }
        _join_responses(runs.values(), chosen.values())
        return cls(runs.values())


def _is_between(moment: float, first: float | None, end: float | None) -> bool:
    return (first is None or moment >= first) and (end is None or moment < end)


def _find_digest(events: Iterable[Event]) -> str | None:
    digests = (
        it.configuration_digest for it in events if isinstance(it, RunCreated | RunIdentified)
    )
    return next(filter(None, digests), None)


def _join_responses(runs: Iterable[RecordedRun], histories: Iterable[list[Event]]) -> None:
    """Tells each response which one it continues: one whose wait ended as it was created."""
    waited: dict[tuple[str, datetime | None, datetime], list[str]] = {}
    pairs = [(run, events) for run, events in zip(runs, histories, strict=True) if run.is_response]
    for run, events in pairs:
        for event in events:
            if isinstance(event, RunCompleted) and event.previous == "requires_action":
                key = (run.source, event.occurred_at, event.observed_at)
                waited.setdefault(key, []).append(run.run_id)
    for run, events in pairs:
        created = events[0]
        if isinstance(created, RunCreated):
            found = waited.get((run.source, created.occurred_at, created.observed_at))
            if found and found[0] != run.run_id:
                run.continues = found.pop(0)
