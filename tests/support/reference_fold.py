"""Generated histories, and the tables that one plain fold of each gives."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Engine, select

from projections.database import migrations
from projections.database.engine import open_engine
from projections.database.schema import STATE_TABLES, metadata, runs
from projections.folding.histogram import bucket_of
from projections.folding.run_row import RunTrace
from projections.folding.status_trace import fold
from projections.projectors.costs import CostsProjection
from projections.row_types import RunRow
from projections.views import PROJECTIONS
from tests.support.cost_fixtures import cost_tables, price_list
from tests.support.generated_runs import lives, looks, second
from tests.support.run_builder import (
    actions_of,
    created,
    ended,
    rows_of,
    started,
    steps_of,
    values_of,
    waiting,
)
from tracker.core import events as e
from tracker.core.decider import decide
from tracker.core.decider import fold as fold_state
from tracker.core.snapshot import Configuration
from tracker.core.state import initial_state
from tracker.core.usage import TOKEN_COUNTS, Usage
from tracker.event_store import Append, EventStore

ALL = (*PROJECTIONS, CostsProjection(price_list("gpt-4o")))


Tables = dict[str, list[tuple[Any, ...]]]


ASIDES: list[e.Event] = [
    e.ToolOutputsSubmitted(observed_at=second(1), tool_call_ids=("call_1",)),
    e.RunStepRecorded(observed_at=second(2.5), step_id="s", type="t", status="completed"),
    e.RunStepRecorded(
        observed_at=second(90),
        step_id="tools",
        type="tool_calls",
        status="completed",
        tools=("price",),
        tool_call_ids=("call_1",),
        created_at=second(5),
        ended_at=second(9),
        usage=Usage(total_tokens=3),
    ),
    e.RunMetadataChanged(observed_at=second(3), previous={}, metadata={"ü\x00": [1, None, "\x00"]}),
    e.RunTimesChanged(observed_at=second(4), started_at=second(3), expires_at=second(700.5)),
    e.RunVanished(observed_at=second(5)),
    e.RunReappeared(observed_at=second(6)),
    e.RunAnomalyObserved(observed_at=second(7), kind="k", status="x", known_status="y"),
    e.RunUsageReported(observed_at=second(8), usage=Usage(prompt_tokens=2**63 - 1)),
    e.RunUsageReported(observed_at=second(9), usage=Usage(prompt_tokens=20, completion_tokens=3)),
    e.RunUsageReported(observed_at=second(9.5), usage=Usage(completion_tokens=10**12)),
    e.RunUsageReported(observed_at=second(9.6), usage=Usage(cached_tokens=7)),
    e.RunUsageReported(
        observed_at=second(9.7), usage=Usage(cache_write_tokens=5, service_tier="flex")
    ),
    e.RunIdentified(observed_at=second(9.75), model="gpt-4o-mini", assistant_id="asst_2"),
    e.RunIdentified(observed_at=second(9.8), model="gpt-4o", thread_id="thread_2"),
    e.RunIdentified(observed_at=second(9.9), created_at=second(-4000), configuration_digest="ab"),
]


CONFIGURATION = e.ConfigurationRecorded(
    observed_at=second(0), digest="ab", configuration=Configuration(instructions="Hello")
)


@st.composite
def histories(draw: st.DrawFn) -> dict[str, list[e.Event]]:
    """Draws the streams of one to four runs, as decided from polls, with other events between."""
    streams: dict[str, list[e.Event]] = {}
    for number in range(draw(st.integers(1, 4))):
        life = draw(lives(stamps=draw(st.booleans()), run_id=f"run_{number}"))
        state, events = initial_state, []
        for look in draw(looks(life)):
            shift = timedelta(microseconds=draw(st.sampled_from([0, 1, 250_000])))
            decided = decide(
                state, look.model_copy(update={"observed_at": look.observed_at + shift})
            )
            state = fold_state(decided, state)
            events += decided
        for aside in draw(st.lists(st.sampled_from(ASIDES), max_size=3)):
            if events:
                events.insert(draw(st.integers(1, len(events))), aside)
        streams[f"assistants:run_{number}"] = events
    return streams


@st.composite
def appends(draw: st.DrawFn) -> list[Append]:
    """Draws the events of several runs in any order that keeps each run's own."""
    streams = draw(histories())
    order = draw(st.permutations([key for key, events in streams.items() for _ in events]))
    steps = [Append("configuration:ab", 0, [CONFIGURATION])]
    done = dict.fromkeys(streams, 0)
    for key in order:
        steps.append(Append(key, done[key], [streams[key][done[key]]]))
        done[key] += 1
    return steps


def fold_tables(store: EventStore) -> Tables:
    """Returns the tables as a fold of each stream from its beginning gives them."""
    streams: dict[str, RunTrace] = {}
    for recorded in store.read_all(0, 100_000):
        key = recorded.stream
        if not isinstance(recorded.event, e.ConfigurationRecorded):
            fold(streams.setdefault(key, RunTrace(key)), recorded)
    made = [rows_of(history) for _, history in sorted(streams.items())]
    read = {key: [it.event for it in store.read(key)] for key in sorted(streams)}
    return {
        "runs": [values_of(row)[: len(runs.c)] for row, _ in made],
        "run_phases": [values_of(phase) for _, phases in made for phase in phases],
        "run_actions": [
            values_of(row) for key, events in read.items() for row in actions_of(key, events)
        ],
        "run_steps": [
            values_of(row) for key, events in read.items() for row in steps_of(key, events)
        ],
        **rollups(ended_runs := [row for row, _ in made if row.outcome is not None]),
        **cost_tables(ended_runs, "gpt-4o"),
    }


def rollups(ended_runs: list[RunRow]) -> Tables:
    """Returns the sums and counts over ended runs."""
    usage: dict[str, dict[tuple[Any, ...], list[Any]]] = {"usage_hourly": {}, "usage_totals": {}}
    timing: dict[str, dict[tuple[Any, ...], list[int]]]
    timing = {"timing_buckets": {}, "timing_totals": {}}
    for run in ended_runs:
        kind = (run.source, run.assistant_id or "", run.model or "")
        hour = run.created_at.replace(minute=0, second=0, microsecond=0)
        time = (hour, run.created_at.minute // 15)
        tokens = [getattr(run, name) for name in TOKEN_COUNTS]
        said = any(it is not None for it in tokens[:3])
        for table, key in (("usage_hourly", (*time, *kind)), ("usage_totals", kind)):
            empty = [0, 0, *[None] * len(tokens), *[0] * len(tokens)]
            sums = usage[table].setdefault((*key, run.outcome, run.service_tier or ""), empty)
            sums[:2] = sums[0] + 1, sums[1] + (not said)
            for at, count in enumerate(tokens, 2):
                sums[at] = sums[at] if count is None else (sums[at] or 0) + count
                sums[at + len(tokens)] += count is not None
        for phase in ("queued", "running", "action", "total"):
            least = getattr(run, f"{phase}_at_least_seconds")
            most = getattr(run, f"{phase}_at_most_seconds")
            found = [getattr(run, f"{phase}_seconds"), least, most]
            for at, seconds in enumerate(found):
                if seconds is None and (at < 2 or least is None):
                    continue
                ended_as = (*kind, run.outcome, phase, bucket_of(seconds))
                for table, key in (
                    ("timing_buckets", (*time, *ended_as)),
                    ("timing_totals", ended_as),
                ):
                    timing[table].setdefault(key, [0, 0, 0])[at] += 1
    return {
        **{name: sorted((*key, *sums) for key, sums in it.items()) for name, it in usage.items()},
        **{name: sorted((*key, *it) for key, it in rows.items()) for name, rows in timing.items()},
    }


def read_tables(engine: Engine) -> Tables:
    """Returns the stored rows of all tables but those of the projections' own state."""
    with engine.connect() as connection:
        return {
            name: sorted(tuple(row) for row in connection.execute(select(table)))
            for name, table in metadata.tables.items()
            if name not in STATE_TABLES
        }


def many_runs(number: int) -> list[Append]:
    """Returns complete histories with a pause, step by step beside one another."""
    life = [
        created(),
        started(4, stamp=2, since=1),
        waiting(10, since=8),
        started(20, stamp=19, since=12, previous="requires_action"),
        ended(e.RunCompleted, 31, stamp=29, since=28, usage=Usage(total_tokens=5)),
    ]
    keys = [f"assistants:run_{it}" for it in range(number)]
    return [Append(key, version, [event]) for version, event in enumerate(life) for key in keys]


def open_migrated(url: str) -> Engine:
    """Returns an engine on a database with the tables of this release."""
    engine = open_engine(url, create=True)
    migrations.upgrade(engine)
    return engine
