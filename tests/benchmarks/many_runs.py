"""Many runs over thirty days, as events in the order in which they happened."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

from tracker.core.events import (
    RUN_ENDS,
    Event,
    RunActionRequired,
    RunCreated,
    RunStatusChanged,
    RunUsageReported,
)
from tracker.core.snapshot import RunError, ToolCall
from tracker.core.usage import Usage
from tracker.event_store import Append, EventStore

FIRST = datetime(2026, 3, 15, tzinfo=UTC)
DAYS = 30
ASSISTANTS = 20
MODELS = ("gpt-4o", "gpt-4o-mini", "o4-mini", "gpt-4.1", "gpt-4.1-nano")
# Of a thousand runs: how many come to which end; what is left stays open.
_ENDS = {"completed": 900, "failed": 50, "cancelled": 28, "expired": 12, "incomplete": 8}
_TRANSACTION = 250
_SECOND = timedelta(seconds=1)


def fill(store: EventStore, runs: int, *, seed: int = 0, days: float = DAYS) -> int:
    """Appends the events of `runs` runs, and returns how many there were.

    They begin all through so many days, a thousand and more beside one another. One in a
    hundred has its usage corrected later. Another `seed` gives other runs of the same days.
    """
    waiting: list[Append] = []
    count = total = 0
    for entry in _entries(runs, seed, days):
        waiting.append(entry)
        count += 1
        if count >= _TRANSACTION:
            store.append(_together(waiting))
            total, count, waiting = total + count, 0, []
    store.append(_together(waiting))
    return total + count


def _together(entries: list[Append]) -> list[Append]:
    """The entries of one stream as one, which is what the event store takes."""
    streams: dict[str, tuple[int, list[Event]]] = {}
    for stream, expected, events in entries:
        streams.setdefault(stream, (expected, []))[1].extend(events)
    return [Append(stream, *entry) for stream, entry in streams.items()]


def _entries(runs: int, seed: int, days: float) -> Iterator[Append]:
    """Single events, in the order of the moments at which they were seen."""
    rng = Random(seed)
    pause = days * 86_400 / runs
    heap: list[tuple[datetime, str, int, Event]] = []
    for number in range(runs):
        born = FIRST + timedelta(seconds=int(number * pause))
        while heap and heap[0][0] <= born:
            _, stream, version, event = heapq.heappop(heap)
            yield Append(stream, version, [event])
        run_id = f"run_{seed:02d}{number:022d}"
        for version, event in enumerate(_life(run_id, born, rng)):
            heapq.heappush(heap, (event.observed_at, f"assistants:{run_id}", version, event))
    while heap:
        _, stream, version, event = heapq.heappop(heap)
        yield Append(stream, version, [event])


def _life(run_id: str, born: datetime, rng: Random) -> list[Event]:
    assistant = rng.randrange(ASSISTANTS)
    moment = born
    late = timedelta(microseconds=rng.randrange(50_000, 900_000))
    events: list[Event] = [
        RunCreated(
            observed_at=born + late,
            occurred_at=born,
            source="assistants",
            run_id=run_id,
            status="queued",
            thread_id=f"thread_{rng.randrange(10**8):024d}",
            assistant_id=f"asst_{assistant:024d}",
            model=MODELS[assistant % len(MODELS)],
            expires_at=born + timedelta(seconds=600),
            metadata={"team": f"team_{assistant % 7}"},
        )
    ]

    def later(seconds: float) -> dict[str, datetime]:
        nonlocal moment
        moment += timedelta(seconds=max(1, round(seconds)))
        return {"observed_at": moment + late, "occurred_at": moment, "not_before": moment - _SECOND}

    def work() -> None:
        events.append(
            RunStatusChanged(
                **later(rng.lognormvariate(0, 0.7)), previous="x", status="in_progress"
            )
        )

    work()
    kind = rng.choices([*_ENDS, None], [*_ENDS.values(), 2])[0]
    if rng.random() < 0.25:
        times = later(rng.lognormvariate(2, 0.5)) | {"occurred_at": None}
        call = ToolCall(id=f"call_{run_id[-12:]}", type="function", name="price", arguments="{}")
        events.append(RunActionRequired(**times, previous="in_progress", tool_calls=(call,)))
        if kind is None:
            return events
        work()
    if kind is None:
        return events
    tokens = rng.randrange(100, 9_000)
    usage = Usage(prompt_tokens=tokens, completion_tokens=99, total_tokens=tokens + 99)
    end = later(rng.lognormvariate(2 + assistant / 20, 0.45))
    error = RunError(code="server_error", message="no") if kind == "failed" else None
    said = None if kind == "expired" else usage
    events.append(RUN_ENDS[kind](**end, previous="in_progress", usage=said, error=error))
    if rng.random() < 0.01 and said is not None:
        later(rng.uniform(60, 86_400))
        corrected = Usage(prompt_tokens=tokens + 1, completion_tokens=99, total_tokens=tokens + 100)
        events.append(RunUsageReported(observed_at=moment + late, previous=usage, usage=corrected))
    return events
