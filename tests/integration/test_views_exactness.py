"""Any history, in any batches, by any number of runners, gives the rows of one plain fold."""

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, delete, select, text

from projections import Views
from projections.buckets import bucket_of
from projections.checkpoint import read
from projections.costs_projection import CostsProjection
from projections.engine import open_engine
from projections.folding import Fold
from projections.migrations import upgrade
from projections.projection import Target
from projections.queries import RunRow
from projections.rebuild import rebuild
from projections.runs import RunHistory
from projections.runs_projection import RunsBatch, RunsProjection
from projections.schema import metadata
from projections.subscription import catch_up
from projections.traces import fold
from projections.views import PROJECTIONS
from tests.costs import cost_tables, priced
from tests.lives import lives, looks, second
from tests.stories import actions_of, created, ended, rows_of, started, steps_of, waiting
from tracker.core import events as e
from tracker.core.decider import decide, initial_state
from tracker.core.decider import fold as fold_state
from tracker.core.snapshot import Configuration
from tracker.core.usage import Usage
from tracker.event_store import Append, EventStore, RecordedEvent, open_event_store

BATCH = 25
ALL = (*PROJECTIONS, CostsProjection(priced("gpt-4o")))
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
]
CONFIGURATION = e.ConfigurationRecorded(
    observed_at=second(0), digest="ab", configuration=Configuration(instructions="Hello")
)


@st.composite
def histories(draw: st.DrawFn) -> dict[str, list[e.Event]]:
    """The streams of one to four runs, as decided from polls, with all that can lie between."""
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
    """The events of several runs in any order that keeps each run's own."""
    streams = draw(histories())
    order = draw(st.permutations([key for key, events in streams.items() for _ in events]))
    steps = [Append("configuration:ab", 0, [CONFIGURATION])]
    done = dict.fromkeys(streams, 0)
    for key in order:
        steps.append(Append(key, done[key], [streams[key][done[key]]]))
        done[key] += 1
    return steps


def plainly(store: EventStore) -> Tables:
    """The tables as a fold of each stream from its beginning gives them."""
    streams: dict[str, RunHistory] = {}
    for recorded in store.read_all(0, 100_000):
        key = recorded.stream
        if not isinstance(recorded.event, e.ConfigurationRecorded):
            fold(streams.setdefault(key, RunHistory(key)), recorded)
    made = [rows_of(history) for _, history in sorted(streams.items())]
    read = {key: [it.event for it in store.read(key)] for key in sorted(streams)}
    return {
        "runs": [row for row, _ in made],
        "run_phases": [phase for _, phases in made for phase in phases],
        "run_actions": [row for key, events in read.items() for row in actions_of(key, events)],
        "run_steps": [row for key, events in read.items() for row in steps_of(key, events)],
        **rollups(ended_runs := [row for row, _ in made if row.outcome is not None]),
        **cost_tables(ended_runs, "gpt-4o"),
    }


def rollups(ended_runs: list[RunRow]) -> Tables:
    """The sums and counts over ended runs, one run after another."""
    usage: dict[str, dict[tuple[Any, ...], list[Any]]] = {"usage_hourly": {}, "usage_totals": {}}
    timing = {"timing_buckets": Counter[tuple[Any, ...]](), "timing_totals": Counter()}
    for run in ended_runs:
        kind = (run.source, run.assistant_id or "", run.model or "")
        hour = run.created_at.replace(minute=0, second=0, microsecond=0)
        time = (hour, run.created_at.minute // 15)
        tokens = [getattr(run, name) for name in Usage.model_fields]
        said = any(it is not None for it in tokens[:3])
        for table, key in (("usage_hourly", (*time, *kind)), ("usage_totals", kind)):
            sums = usage[table].setdefault((*key, run.outcome), [0, 0, *[None] * 5])
            sums[:2] = sums[0] + 1, sums[1] + (not said)
            for at, count in enumerate(tokens, 2):
                sums[at] = sums[at] if count is None else (sums[at] or 0) + count
        for phase in ("queued", "running", "action", "total", "uncertainty"):
            seconds = getattr(run, f"{phase}_seconds")
            if seconds is not None:
                timing["timing_buckets"][(*time, *kind, phase, bucket_of(seconds))] += 1
                timing["timing_totals"][(*kind, phase, bucket_of(seconds))] += 1
    return {
        **{name: sorted((*key, *sums) for key, sums in it.items()) for name, it in usage.items()},
        **{name: sorted((*key, count) for key, count in it.items()) for name, it in timing.items()},
    }


def stored(engine: Engine) -> Tables:
    with engine.connect() as connection:
        return {
            name: sorted(tuple(row) for row in connection.execute(select(table)))
            for name, table in metadata.tables.items()
            if name != "checkpoints"
        }


class Meanwhile:
    """An event store during whose reads another runner applies batches of its own."""

    def __init__(self, store: EventStore, engine: Engine, data: st.DataObject) -> None:
        self._store, self._engine, self._data = store, engine, data
        self.applied = 0

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        page = self._store.read_all(after, limit)
        if self._data.draw(st.booleans()):
            batch = self._data.draw(st.integers(1, 9))
            self.applied += catch_up(self._engine, self._store, ALL, batch=batch)
        return page

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def check(engine: Engine, steps: Sequence[Append], data: st.DataObject) -> None:
    """Appends and catches up in turns, two runners in each other's way, and compares."""
    store = open_event_store("memory://")
    with engine.begin() as connection:
        for table in metadata.tables.values():
            connection.execute(delete(table))
    meanwhile = Meanwhile(store, engine, data)
    one_runner: EventStore = meanwhile  # type: ignore[assignment]
    applied = 0
    while steps:
        count = data.draw(st.integers(1, len(steps)))
        store.append(steps[:count])
        steps = steps[count:]
        applied += catch_up(engine, one_runner, ALL, batch=data.draw(st.integers(1, 9)))
    assert applied + meanwhile.applied == store.last_position()
    assert stored(engine) == plainly(store)
    rebuild(engine, store, data.draw(st.permutations(ALL)))
    assert stored(engine) == plainly(store)


def test_a_step_recorded_before_its_pause_was_seen_leaves_no_phase_behind(
    database_url: str,
) -> None:
    early = ASIDES[2].model_copy(update={"created_at": second(5), "ended_at": second(9)})
    changed = e.RunStatusChanged(
        observed_at=second(5.001), not_before=second(0), previous="queued", status="in_progress"
    )
    store = open_event_store("memory://")
    for version, event in enumerate((created(), early, changed, waiting(6.5, since=5))):
        store.append([Append("assistants:run_1", version, [event])])
    engine = _upgraded(database_url)
    catch_up(engine, store, PROJECTIONS, batch=1)
    assert stored(engine) == plainly(store)
    engine.dispose()


any_number = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return _upgraded(f"sqlite:///{tmp_path_factory.mktemp('views') / 'runs.db'}")


def _upgraded(url: str) -> Engine:
    engine = open_engine(url, create=True)
    upgrade(engine)
    return engine


@settings(any_number, max_examples=60)
@given(appends(), st.data())
def test_any_batches_give_the_rows_of_one_fold_on_sqlite(
    sqlite_engine: Engine, steps: list[Append], data: st.DataObject
) -> None:
    check(sqlite_engine, steps, data)
    sqlite_engine.dispose()


def test_any_batches_give_the_rows_of_one_fold_on_postgresql(postgres_db: str) -> None:
    engine = _upgraded(postgres_db)

    @settings(any_number, max_examples=20)
    @given(appends(), st.data())
    def compare(steps: list[Append], data: st.DataObject) -> None:
        check(engine, steps, data)

    compare()
    engine.dispose()


def many_runs(number: int) -> list[Append]:
    """Whole lives with a pause, step by step beside one another."""
    life = [
        created(),
        started(4, stamp=2, since=1),
        waiting(10, since=8),
        started(20, stamp=19, since=12, previous="requires_action"),
        ended(e.RunCompleted, 31, stamp=29, since=28, usage=Usage(total_tokens=5)),
    ]
    keys = [f"assistants:run_{it}" for it in range(number)]
    return [Append(key, version, [event]) for version, event in enumerate(life) for key in keys]


def _run_one(url: str, counts: "multiprocessing.Queue[int]") -> None:
    engine, store = open_engine(url), open_event_store(url)
    counts.put(catch_up(engine, store, ALL, batch=BATCH))
    engine.dispose()
    store.close()


def test_three_processes_and_a_kill_apply_each_event_once(database_url: str) -> None:
    engine, store = _upgraded(database_url), open_event_store(database_url)
    steps = many_runs(300)
    for start in range(0, len(steps), 200):
        store.append(steps[start : start + 200])

    spawn = multiprocessing.get_context("spawn")
    victim = spawn.Process(target=_run_until_killed, args=(database_url,))
    victim.start()
    victim.join(60)
    assert victim.exitcode == -signal.SIGKILL

    counts: multiprocessing.Queue[int] = spawn.Queue()
    runners = [spawn.Process(target=_run_one, args=(database_url, counts)) for _ in range(3)]
    for process in runners:
        process.start()
    applied = [counts.get(timeout=60) for _ in runners]
    for process in runners:
        process.join(60)
        assert process.exitcode == 0
    assert sum(applied) == len(steps) - 2 * BATCH
    assert catch_up(engine, store, ALL) == 0
    assert stored(engine) == plainly(store)
    counts.close()
    engine.dispose()
    store.close()


def _run_until_killed(url: str) -> None:
    """Is killed with the rows of its third batch written and not committed."""

    class Fatal(RunsProjection):
        batches = 0

        def begin(self, fold: Fold) -> RunsBatch:
            self.batches += 1
            return FatalBatch(fold) if self.batches == 3 else RunsBatch(fold)

    class FatalBatch(RunsBatch):
        def write(self, connection: Connection, target: Target) -> None:
            super().write(connection, target)
            os.kill(os.getpid(), signal.SIGKILL)

    projections = (*ALL[1:], Fatal())
    catch_up(open_engine(url), open_event_store(url), projections, batch=BATCH)


def test_threads_share_the_work(database_url: str) -> None:
    store = open_event_store("memory://")
    store.append(many_runs(100))
    with Views(database_url, store=store) as views:
        views.upgrade()
        counts: list[int] = []
        threads = [threading.Thread(target=lambda: counts.append(views.catch_up())) for _ in "123"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sum(counts) == 500
        assert [it.version for it in views.runs()] == [5] * 100


def test_followers_keep_the_tables_up_between_them(database_url: str) -> None:
    store = open_event_store(database_url)
    with Views(database_url) as views:
        views.upgrade()
    stop = threading.Event()

    def follow() -> None:
        with Views(database_url) as views:
            views.follow(stop, every=0.01)

    followers = [threading.Thread(target=follow) for _ in range(2)]
    for follower in followers:
        follower.start()
    with Views(database_url) as views:
        for number in range(20):
            run_id = f"run_{number}"
            store.append([Append(f"assistants:{run_id}", 0, [created(run_id=run_id)])])
            until = time.monotonic() + 30
            while len(views.runs()) != number + 1:
                assert time.monotonic() < until
                time.sleep(0.005)
        stop.set()
        for follower in followers:
            follower.join()
        assert views.catch_up() == 0
        assert views.verify() == []
    store.close()


def test_a_projection_that_fails_leaves_a_follower_following(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_event_store(database_url)
    with Views(database_url) as views:
        views.upgrade()
        engine = open_engine(database_url)
        with engine.begin() as connection:
            connection.execute(text("CREATE UNIQUE INDEX fussy ON run_steps (type)"))
        stop = threading.Event()
        follower = threading.Thread(target=views.follow, args=(stop,), kwargs={"every": 0.05})
        follower.start()
        step = e.RunStepRecorded(observed_at=second(2), step_id="s", type="t", status="completed")
        for number in range(3):
            run_id = f"run_{number}"
            append = Append(f"assistants:{run_id}", 0, [created(run_id=run_id), step])
            store.append([append])
            until = time.monotonic() + 30
            while len(views.runs()) != number + 1:
                assert time.monotonic() < until
                time.sleep(0.005)
        stop.set()
        follower.join()
        warnings = [it.getMessage() for it in caplog.records if it.levelname == "WARNING"]
        assert len(warnings) == 1
        assert "the projection 'steps' stopped after position 3, at the event" in warnings[0]
        with engine.begin() as connection:
            checkpoint = read(connection, "steps")
            assert checkpoint is not None
            assert checkpoint.position == 3
            assert "stopped after position 3" in (checkpoint.failure or "")
            connection.execute(text("DROP INDEX fussy"))
        assert views.catch_up() > 0
        with engine.begin() as connection:
            assert read(connection, "steps") == (6, 2, None, None)
        engine.dispose()
    store.close()
