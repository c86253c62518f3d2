"""Histories as lines and back: the same bytes, and each event once."""

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.event_exports import export_lines, import_exported, store_of_stories
from tests.support.examples import examples
from tests.support.generated_runs import lives, looks
from tests.support.run_builder import created
from tracker import EventStore, open_event_store
from tracker.core import events as e
from tracker.core.snapshot import Configuration, RunSnapshot
from tracker.event_store import Append
from tracker.import_export.exporter import export_events
from tracker.import_export.importer import import_lines
from tracker.import_export.line_reader import Line
from tracker.recording.observation import Observation
from tracker.recording.repository import RunRepository
from tracker.runtime.clock import SystemClock

pytestmark = pytest.mark.integration

NAMES = ("run_1", "run_2", "run_3")


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "memory":
        return "memory://"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'runs.db'}"
    postgres: str = request.getfixturevalue("postgres_db")
    return postgres


@pytest.fixture
def store(url: str) -> Iterator[EventStore]:
    opened = open_event_store(url)
    yield opened
    opened.close()


@st.composite
def polls(draw: st.DrawFn) -> list[RunSnapshot]:
    """Draws polls of several runs, in a mixed order."""
    seen = [
        draw(lives(run_id=name).flatmap(looks))
        for name in NAMES[: draw(st.integers(1, len(NAMES)))]
    ]
    order = draw(st.permutations([i for i, each in enumerate(seen) for _ in each]))
    rest = [iter(each) for each in seen]
    metadata = draw(
        st.dictionaries(
            st.text(max_size=3),
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
            max_size=3,
        )
    )
    return [next(rest[i]).model_copy(update={"metadata": metadata}) for i in order]


@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(polls())
def test_exported_and_imported_it_is_the_same_to_the_byte(
    store: EventStore, seen: list[RunSnapshot]
) -> None:
    store.forget([entry.stream for entry in store.read_all()])
    origin = open_event_store("memory://")
    histories = RunRepository(origin)
    for snapshot in seen:
        histories.record([Observation.of(snapshot)])
    lines = export_lines(origin)
    report = import_exported(store, lines)
    events = lines.count(b"\n")
    assert (report.recorded, report.events, report.bad) == (events, events, [])
    assert export_lines(store) == lines
    # To where they are already, they add nothing.
    for there in (origin, store):
        report = import_exported(there, lines)
        assert (report.recorded, report.events, report.runs, report.bad) == (events, 0, 0, [])
        assert export_lines(there) == lines


def test_a_line_is_what_the_store_has(store: EventStore) -> None:
    store.append([Append("assistants:run_1", 0, [created(model="gpt-4o", metadata={"ü": "\n"})])])
    assert (
        export_lines(store)
        == (
            '{"stream":"assistants:run_1","version":1,"topic":"run.created/1","event":'
            '{"observed_at":"2026-01-01T12:00:01.250000Z","occurred_at":"2026-01-01T12:00:00Z",'
            '"source":"assistants","run_id":"run_1","status":"queued","model":"gpt-4o",'
            '"expires_at":"2026-01-01T12:10:00Z","metadata":{"ü":"\\n"}}}\n'
        ).encode()
    )


def test_configurations_come_along(store: EventStore) -> None:
    origin = open_event_store("memory://")
    snapshot = RunSnapshot(
        source="assistants",
        run_id="run_1",
        observed_at=created().observed_at,
        status="queued",
        configuration=Configuration(instructions="be brief"),
    )
    RunRepository(origin).record([Observation.of(snapshot)])
    lines = export_lines(origin)
    assert b"configuration.recorded/1" in lines
    assert import_exported(store, lines).bad == []
    assert export_lines(store) == lines


def test_snapshots_and_events_in_one_file(store: EventStore) -> None:
    events = export_lines(store_of_stories("run_1", events=2)).splitlines(keepends=True)
    body = {
        "id": "run_1",
        "object": "thread.run",
        "thread_id": "thread_1",
        "status": "completed",
        "created_at": int(created().occurred_at.timestamp()),  # type: ignore[union-attr]
        "completed_at": int(created().occurred_at.timestamp()) + 20,  # type: ignore[union-attr]
    }
    report = import_exported(store, [*events, json.dumps(body).encode()])
    assert (report.recorded, report.snapshots, report.bad) == (2, 1, [])
    kinds = [type(entry.event) for entry in store.read("assistants:run_1")]
    # What identifies the run was told by both, and differs.
    kinds.remove(e.RunIdentified)
    assert kinds[:3] == [e.RunCreated, e.RunStatusChanged, e.RunCompleted]


def test_neither_direction_grows_with_the_number_of_lines(tmp_path: Path) -> None:
    def lines(number: int) -> Iterator[Line]:
        stories = [export_lines(store_of_stories("run_0"))]
        for index in range(number // 4):
            for line in stories[0].replace(b"run_0", b"run_%d" % index).splitlines():
                yield Line("events.jsonl", index, line)

    store = open_event_store(f"sqlite:///{tmp_path / 'runs.db'}")
    tracemalloc.start()
    try:
        report = import_lines(lines(20_000), store, source=None, clock=SystemClock())
        _, importing = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        counted = export_events(store, lambda part: None)
        _, exporting = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        store.close()
    assert (report.recorded, report.events, report.runs, report.bad) == (20_000, 20_000, 5_000, [])
    assert counted == 20_000
    # The events take over 20 MB as objects; the heads that are kept under 2.
    assert importing < 8_000_000
    assert exporting < 8_000_000
