"""Results of a way of polling, compared with the true lives of the runs.

An event is a run that ends or waits for an action. It is seen if a look showed it while it
lasted. One that no look showed is told of later where the history has it in the end, by a step;
the loops of a client have no such thing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from statistics import fmean

from tracker.core.events import RunActionRequired, RunEnded, RunStepRecorded
from tracker.core.status import REQUIRES_ACTION, is_ended
from tracker.event_store import EventStore

_BUILT_IN = {"code_interpreter", "file_search"}

# What was seen of each run: when, and which status that needs somebody or ends it.
Sightings = dict[str, list[tuple[float, str]]]
# When each run waited, as its history has it: a moment of the pause, by the server's clock.
Told = dict[str, list[float]]


@dataclass
class Outcome:
    """What one way of polling came to; `delays` in seconds, `core` as a share of a core.

    Of the events, so many were `told` later, and so many are `missed`. Of the requests, so many
    were for `steps`. So many runs have `ended` meanwhile.
    """

    delays: list[float] = field(default_factory=list)
    told: int = 0
    missed: int = 0
    ended: int = 0
    open: int = 0
    requests: int = 0
    steps: int = 0
    refused: int = 0
    core: float = 0.0

    @property
    def mean(self) -> float:
        """Mean delay; nan if there were no events."""
        return fmean(self.delays) if self.delays else nan

    @property
    def p95(self) -> float:
        """The delay that 95 % of the events stay below; nan if there were none."""
        return sorted(self.delays)[int(0.95 * len(self.delays))] if self.delays else nan

    def a_run(self, requests: int) -> float:
        """Returns requests for each run that ended; nan if none did."""
        return requests / self.ended if self.ended else nan


def judge(
    outcome: Outcome,
    transitions: list[tuple[str, float]],
    sightings: list[tuple[float, str]],
    told: list[float],
    since: float,
    until: float,
    end: float,
) -> None:
    """Adds the delays of one run's events between `since` and `until`."""
    for number, (status, at) in enumerate(transitions):
        if not (status == REQUIRES_ACTION or is_ended(status)) or not since <= at < until:
            continue
        outcome.ended += is_ended(status)
        # Our clock and the service's are one; the answer may have been on its way.
        later = [moment for moment, what in sightings if moment >= at and what == status]
        gone = transitions[number + 1][1] if number + 1 < len(transitions) else float("inf")
        if later and later[0] <= gone + 1.0:
            outcome.delays.append(later[0] - at)
        elif any(at - 1.0 <= moment <= gone for moment in told):
            outcome.told += 1
        elif gone <= end:
            outcome.missed += 1
        else:
            outcome.open += 1
            outcome.delays.append(end - at)


def sightings_in(store: EventStore) -> tuple[Sightings, Told]:
    """What histories have seen of each run, and which pauses their steps tell of."""
    found, told = Sightings(), Told()
    for recorded in store.read_all(limit=1_000_000):
        event, run_id = recorded.event, recorded.stream.partition(":")[2]
        if isinstance(event, RunEnded):
            sighting = (event.observed_at.timestamp(), event.status)
        elif isinstance(event, RunActionRequired) and not event.inferred:
            sighting = (event.observed_at.timestamp(), REQUIRES_ACTION)
        else:
            if isinstance(event, RunStepRecorded) and set(event.tools) - _BUILT_IN:
                assert event.created_at is not None
                told.setdefault(run_id, []).append(event.created_at.timestamp())
            continue
        found.setdefault(run_id, []).append(sighting)
    return found, told
