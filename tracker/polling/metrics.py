"""Counts of polling since the start, as plain numbers for exporters."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tracker.core.events import Change, Event, RunCreated
from tracker.core.state import RunState
from tracker.polling.source_status import SourceStatus
from tracker.polling.watched_run import WatchedRun
from tracker.recording.observation import Observation

DELAY_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(slots=True)
class Delays:
    """A histogram of seconds, with the upper bounds `DELAY_BOUNDS` and one bucket above them."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(DELAY_BOUNDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Counts one delay."""
        self.counts[bisect_left(DELAY_BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """The counts of one source.

    A detection delay is the time from the server's timestamp of a change, mostly in whole seconds,
    until we saw it, less the offset of the two clocks as far as it is known. It is counted only
    where we had seen the run before, so that the delay is due to polling.
    """

    # Runs watched now, by status; empty for a run that was not seen yet.
    active: Mapping[str, int]
    # Requests of the poller, those answered with 429, and those that failed otherwise.
    polls: int
    refusals: int
    failures: int
    # Detection delays.
    delays: Delays


class Counters:
    """Counts the events that are appended, and calls `wake` for each."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        # Returns the seconds by which the clock of a source is ahead of ours.
        self.seconds_ahead: Callable[[str], float] = lambda name: 0.0
        self._delays: dict[str, Delays] = {}
        self._peculiarities: dict[str, Counter[str]] = {}

    def on_appended(self, state: RunState, events: Sequence[Event]) -> None:
        """Counts the events of a run that were just recorded. Called from any thread."""
        for event in events:
            if isinstance(event, Change) and not isinstance(event, RunCreated):
                at, before = event.occurred_at, event.not_before
                if at is not None and before is not None:
                    ahead = self.seconds_ahead(state.source)
                    delay = (event.observed_at - at).total_seconds() + ahead
                    self._delays.setdefault(state.source, Delays()).add(max(delay, 0.0))
        self._wake()

    def on_observed(self, observations: Sequence[Observation]) -> None:
        """Counts the peculiarities of answers that are about to be recorded, in any thread."""
        for observation in observations:
            if observation.peculiarities:
                source = observation.stream.partition(":")[0]
                # Recording is serialised, so only one thread writes; others only read.
                counter = self._peculiarities.setdefault(source, Counter())
                counter.update(observation.peculiarities)

    def peculiarities(self, name: str) -> dict[str, int]:
        """Returns the number of peculiar answers of a source, by peculiarity."""
        return dict(self._peculiarities.get(name, ()))

    def add_counts(self, name: str, status: SourceStatus) -> SourceStatus:
        """Returns the status of a source with the counts that are kept here."""
        delays = self._delays.get(name, Delays())
        detected = sum(delays.counts)
        return status._replace(
            detected=detected,
            detection_seconds=delays.total / detected if detected else None,
            peculiarities=self.peculiarities(name),
        )

    def source_counts(
        self, statuses: Mapping[str, SourceStatus], watched: Iterable[WatchedRun]
    ) -> dict[str, SourceCounts]:
        """Returns the counts of each source, given their statuses and the watched runs."""
        active: dict[str, Counter[str]] = {name: Counter() for name in statuses}
        for each in watched:
            active[each.source.name][each.state.status or ""] += 1
        return {
            name: SourceCounts(
                active=active[name],
                polls=status.asked,
                refusals=status.refused,
                failures=status.failed,
                delays=self._delays.get(name, Delays()),
            )
            for name, status in statuses.items()
        }
