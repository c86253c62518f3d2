"""Snapshots and events of many runs, interleaved: the load of the benchmarks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from random import Random

from tracker.core.decider import decide
from tracker.core.events import Event, RunCompleted, RunCreated, RunStatusChanged, run_stream
from tracker.core.snapshot import Configuration, RunSnapshot
from tracker.core.state import evolve, initial_state
from tracker.core.usage import Usage
from tracker.event_store import Append, EventStore, RecordedEvent

BIRTH = datetime(2026, 1, 1, 12, tzinfo=UTC)
_CONFIGURATION = Configuration(
    instructions="Be brief, and use the tools.",
    tools=({"type": "function", "function": {"name": "price"}},),
)
# Runs of three, four and five events.
_LIVES = (
    ("queued", "in_progress", "completed"),
    ("queued", "in_progress", "cancelling", "completed"),
    ("queued", "in_progress", "paused", "in_progress", "completed"),
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One look at one run, the one event that it is worth, and the event's place."""

    stream: str
    version: int
    snapshot: RunSnapshot
    event: Event


def arrivals(runs: int, number: int) -> list[Arrival]:
    """All looks at `runs` runs in the order of their arrival, shuffled between the runs.

    Another `number` gives other runs, so that one database takes many rounds.
    """
    rng = Random(number)
    waiting = [_arrivals_of(f"run_{number:04d}{run:020d}", rng) for run in range(runs)]
    order = [run for run, life in enumerate(waiting) for _ in life]
    rng.shuffle(order)
    lives = [iter(life) for life in waiting]
    return [next(lives[run]) for run in order]


def batches(arrived: Sequence[Arrival], size: int) -> Iterator[Sequence[Arrival]]:
    """`arrived` in parts of `size`."""
    for start in range(0, len(arrived), size):
        yield arrived[start : start + size]


def appends(batch: Sequence[Arrival]) -> list[Append]:
    """A batch as the event store takes it: the events of each stream together."""
    streams: dict[str, list[Arrival]] = {}
    for arrival in batch:
        streams.setdefault(arrival.stream, []).append(arrival)
    return [
        Append(stream, entries[0].version - 1, [entry.event for entry in entries])
        for stream, entries in streams.items()
    ]


def count_checked(store: EventStore) -> int:
    """How many events a store holds; asserts that each stream is whole and in order."""
    recorded: list[RecordedEvent] = []
    while page := store.read_all(recorded[-1].position if recorded else 0, 5000):
        recorded += page
    by_stream = sorted(recorded, key=itemgetter(1, 0))
    for stream, entries in groupby(by_stream, key=itemgetter(1)):
        versions = [entry.version for entry in entries]
        assert versions == list(range(1, len(versions) + 1)), stream
    return len(recorded)


def _arrivals_of(run_id: str, rng: Random) -> list[Arrival]:
    state = initial_state
    entered = BIRTH + timedelta(seconds=rng.randrange(3600))
    arrived: list[Arrival] = []
    for place, status in enumerate(rng.choice(_LIVES)):
        snapshot = _snapshot(run_id, status, entered, place, rng)
        decided = decide(state, snapshot)
        assert [type(event) for event in decided] == [_kind(place, status)], decided
        state = evolve(state, decided[0])
        arrived.append(Arrival(run_stream("assistants", run_id), place + 1, snapshot, decided[0]))
    return arrived


def _kind(place: int, status: str) -> type[Event]:
    if place == 0:
        return RunCreated
    return RunCompleted if status == "completed" else RunStatusChanged


def _snapshot(run_id: str, status: str, born: datetime, place: int, rng: Random) -> RunSnapshot:
    entered = born + timedelta(seconds=7 * place)
    asked = entered + timedelta(microseconds=rng.randrange(100_000, 900_000))
    ended = status == "completed"
    own = Random(run_id)  # what stays the same in all looks at a run
    tokens = rng.randrange(100, 9_000)
    return RunSnapshot(
        source="assistants",
        run_id=run_id,
        observed_at=asked + timedelta(microseconds=31_415),
        asked_at=asked,
        unchanged_until=asked - timedelta(microseconds=412_345) if place else None,
        status=status,
        thread_id=f"thread_{own.randrange(10**24):024d}",
        assistant_id=f"asst_{own.randrange(12):024d}",
        model="gpt-4o-mini",
        created_at=born,
        started_at=born + timedelta(seconds=7) if place else None,
        expires_at=None if ended else born + timedelta(seconds=600),
        ended_at=entered if ended else None,
        usage=Usage(prompt_tokens=tokens, completion_tokens=99, total_tokens=tokens + 99)
        if ended
        else None,
        metadata={"user": f"user_{own.randrange(1000)}", "team": "blue"},
        configuration=_CONFIGURATION,
    )
