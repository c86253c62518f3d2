"""What polling came to, counted since the start: plain numbers, for whoever exports them."""

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
    """A histogram of seconds: how many were within each of `DELAY_BOUNDS`, and above, last."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(DELAY_BOUNDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Counts one."""
        self.counts[bisect_left(DELAY_BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """One source: runs watched now, by status, empty for not seen yet; requests of the poller,
    those refused with 429, those that failed otherwise; and detection delays.

    A detection delay is from the server's stamp of a change to our sight of it, by two clocks
    and mostly in whole seconds; only where we had looked before, so that polling is to blame.
    """

    active: Mapping[str, int]
    polls: int
    refusals: int
    failures: int
    delays: Delays


class Counters:
    """Counts what is appended, and then tells of it."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._delays: dict[str, Delays] = {}
        self._peculiarities: dict[str, Counter[str]] = {}

    def appended(self, state: RunState, events: Sequence[Event]) -> None:
        """Takes in the state of a run and its events that were just recorded, in any thread."""
        for event in events:
            if isinstance(event, Change) and not isinstance(event, RunCreated):
                at, before = event.occurred_at, event.not_before
                if at is not None and before is not None:
                    delay = (event.observed_at - at).total_seconds()
                    self._delays.setdefault(state.source, Delays()).add(max(delay, 0.0))
        self._tell()

    def looked(self, looks: Sequence[Observation]) -> None:
        """Takes in what is peculiar about answers, before they are recorded, in any thread."""
        for look in looks:
            if look.peculiarities:
                source = look.stream.partition(":")[0]
                # Of one thread at a time, as what is recorded is: others only read it.
                self._peculiarities.setdefault(source, Counter()).update(look.peculiarities)

    def peculiarities(self, name: str) -> dict[str, int]:
        """How many answers of a source were peculiar, and in what."""
        return dict(self._peculiarities.get(name, ()))

    def told(self, name: str, status: SourceStatus) -> SourceStatus:
        """How a source stands, with what was counted of it here."""
        delays = self._delays.get(name, Delays())
        detected = sum(delays.counts)
        return status._replace(
            detected=detected,
            detection_seconds=delays.total / detected if detected else None,
            peculiarities=self.peculiarities(name),
        )

    def of(
        self, standing: Mapping[str, SourceStatus], watched: Iterable[WatchedRun]
    ) -> dict[str, SourceCounts]:
        """The counts of sources that stand so, and of the runs that are watched now."""
        active: dict[str, Counter[str]] = {name: Counter() for name in standing}
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
            for name, status in standing.items()
        }
