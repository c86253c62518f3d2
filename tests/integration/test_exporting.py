"""Histories to lines and back: the same bytes, each event once, no history bent."""

import json
import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lives import lives, looks
from tests.stories import created, ended, started, waiting
from tracker import EventStore, open_event_store
from tracker.clock import SystemClock
from tracker.core import events as e
from tracker.core.snapshot import Configuration, RunSnapshot
from tracker.errors import StoreError
from tracker.event_store import Append
from tracker.exporting import export_events
from tracker.histories import Histories, look
from tracker.importing import ImportReport, import_lines
from tracker.line_files import Line

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


def exported(store: EventStore) -> bytes:
    parts: list[bytes] = []
    count = export_events(store, parts.append)
    whole = b"".join(parts)
    assert whole.count(b"\n") == count
    return whole


def imported(store: EventStore, lines: bytes | Sequence[bytes]) -> ImportReport:
    each = lines.splitlines(keepends=True) if isinstance(lines, bytes) else lines
    numbered = (Line("events.jsonl", number, line) for number, line in enumerate(each, 1))
    return import_lines(numbered, store, source=None, clock=SystemClock())


def story(run_id: str = "run_1") -> list[e.Event]:
    return [
        created(run_id=run_id),
        started(2, stamp=1, since=1),
        waiting(10, since=8),
        ended(e.RunCompleted, 20, stamp=19, since=12, previous="requires_action"),
    ]


def of_stories(*run_ids: str, events: int = 4) -> EventStore:
    """A store in memory with the first events of these runs, turn by turn."""
    store = open_event_store("memory://")
    for version in range(events):
        for run_id in run_ids:
            store.append([Append(f"assistants:{run_id}", version, [story(run_id)[version]])])
    return store


@st.composite
def polls(draw: st.DrawFn) -> list[RunSnapshot]:
    """Looks at the lives of several runs, in an order that mixes them."""
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


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(polls())
def test_exported_and_imported_it_is_the_same_to_the_byte(
    store: EventStore, seen: list[RunSnapshot]
) -> None:
    store.forget([entry.stream for entry in store.read_all()])
    origin = open_event_store("memory://")
    histories = Histories(origin)
    for snapshot in seen:
        histories.record([look(snapshot)])
    lines = exported(origin)
    report = imported(store, lines)
    events = lines.count(b"\n")
    assert (report.recorded, report.events, report.bad) == (events, events, [])
    assert exported(store) == lines
    # To where they are already, they add nothing.
    for there in (origin, store):
        report = imported(there, lines)
        assert (report.recorded, report.events, report.runs, report.bad) == (events, 0, 0, [])
        assert exported(there) == lines


def test_a_line_is_what_the_store_has(store: EventStore) -> None:
    store.append([Append("assistants:run_1", 0, [created(model="gpt-4o", metadata={"ü": "\n"})])])
    assert (
        exported(store)
        == (
            '{"stream":"assistants:run_1","version":1,"topic":"run.created/1","event":'
            '{"observed_at":"2026-01-01T12:00:01.250000Z","occurred_at":"2026-01-01T12:00:00Z",'
            '"source":"assistants","run_id":"run_1","status":"queued","model":"gpt-4o",'
            '"expires_at":"2026-01-01T12:10:00Z","metadata":{"ü":"\\n"}}}\n'
        ).encode()
    )


def test_what_a_store_lacks_is_added(store: EventStore) -> None:
    imported(store, exported(of_stories("run_1", "run_2", events=2)))
    report = imported(store, exported(of_stories("run_1", "run_2", "run_3")))
    assert (report.recorded, report.events, report.runs, report.bad) == (12, 8, 1, [])
    found = store.read_many(["assistants:run_1", "assistants:run_3"])
    assert [entry.event for entry in found["assistants:run_1"]] == story()
    assert [entry.event for entry in found["assistants:run_3"]] == story("run_3")
    # And what a file lacks stays.
    report = imported(store, exported(of_stories("run_1", events=3)))
    assert (report.recorded, report.events, report.bad) == (3, 0, [])


def test_a_history_that_differs_is_named_and_left(store: EventStore) -> None:
    other = [created(), ended(e.RunFailed, 9, stamp=8, since=1)]
    store.append([Append("assistants:run_1", 0, other)])
    report = imported(store, exported(of_stories("run_1", "run_2")))
    assert report.bad == [
        "events.jsonl:3: assistants:run_1: its version 2 is another event in this database; "
        "nothing more of it is taken. Keep the one that is there, or import into an empty database"
    ]
    assert (report.recorded, report.events, report.bad_lines) == (5, 4, 1)
    assert [entry.event for entry in store.read("assistants:run_1")] == other
    assert [entry.event for entry in store.read("assistants:run_2")] == story("run_2")


def test_a_history_with_a_gap_ends_before_it(store: EventStore) -> None:
    lines = exported(of_stories("run_1", "run_2")).splitlines(keepends=True)
    lines[2] = lines[2][:-9] + b"\n"
    report = imported(store, lines)
    assert report.bad[0].startswith("events.jsonl:3: not JSON")
    assert report.bad[1:] == [
        "events.jsonl:5: assistants:run_1: version 3 comes, and version 2 is missing; nothing "
        "more of it is taken. Import the whole export, in its order"
    ]
    assert [entry.event for entry in store.read("assistants:run_1")] == story()[:1]
    assert [entry.event for entry in store.read("assistants:run_2")] == story("run_2")
    # The cure that it names.
    assert imported(store, exported(of_stories("run_1", "run_2"))).events == 3


def test_what_is_refused_stays_so_in_later_batches(store: EventStore) -> None:
    store.append([Append("assistants:run_1", 0, [created(), ended(e.RunFailed, 9, 8, 1)])])
    others = [f"other_{number}" for number in range(1_000)]
    origin = of_stories("run_1", events=2)
    origin.append([Append(f"assistants:{name}", 0, [created(run_id=name)]) for name in others])
    origin.append([Append("assistants:run_1", 2, story()[2:])])
    report = imported(store, exported(origin))
    assert (report.bad_lines, report.events) == (1, 1_000)
    assert len(store.read("assistants:run_1")) == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"stream": 7}, "stream: not the name of one"),
        ({"stream": "assistants:\0"}, "stream: not the name of one"),
        ({"stream": "assistants:run_9"}, "no event for version 1 of stream 'assistants:run_9'"),
        ({"version": 2}, "no event for version 2"),
        ({"version": 0}, "version: not a whole number"),
        ({"version": True}, "version: not a whole number"),
        ({"version": 2**63}, "version: not a whole number"),
        ({"topic": None}, "topic: not a text"),
        ({"topic": "run.created/9"}, "cannot be read by this release"),
        ({"topic": "run.ended_well/1"}, "cannot be read by this release"),
        ({"topic": "run.reappeared/1"}, "cannot be read by this release"),
        ({"event": []}, "event: not a JSON object"),
        ({"event": {}}, "cannot be read by this release"),
    ],
)
def test_a_line_that_is_no_event_of_its_stream(changes: dict[str, Any], reason: str) -> None:
    [line, second] = exported(of_stories("run_1", events=2)).splitlines()
    store = open_event_store("memory://")
    report = imported(store, [json.dumps(json.loads(line) | changes).encode(), second])
    assert report.bad[0].startswith("events.jsonl:1: ")
    assert reason in report.bad[0]
    assert (report.recorded, report.events) == (0, 0)
    assert exported(store) == b""


def test_configurations_come_along(store: EventStore) -> None:
    origin = open_event_store("memory://")
    snapshot = RunSnapshot(
        source="assistants",
        run_id="run_1",
        observed_at=created().observed_at,
        status="queued",
        configuration=Configuration(instructions="be brief"),
    )
    Histories(origin).record([look(snapshot)])
    lines = exported(origin)
    assert b"configuration.recorded/1" in lines
    assert imported(store, lines).bad == []
    assert exported(store) == lines


def test_snapshots_and_events_in_one_file(store: EventStore) -> None:
    events = exported(of_stories("run_1", events=2)).splitlines(keepends=True)
    body = {
        "id": "run_1",
        "object": "thread.run",
        "thread_id": "thread_1",
        "status": "completed",
        "created_at": int(created().occurred_at.timestamp()),  # type: ignore[union-attr]
        "completed_at": int(created().occurred_at.timestamp()) + 20,  # type: ignore[union-attr]
    }
    report = imported(store, [*events, json.dumps(body).encode()])
    assert (report.recorded, report.snapshots, report.bad) == (2, 1, [])
    kinds = [type(entry.event) for entry in store.read("assistants:run_1")]
    assert kinds[:3] == [e.RunCreated, e.RunStatusChanged, e.RunCompleted]


def test_two_at_once_add_each_event_once(database_url: str) -> None:
    lines = exported(of_stories(*(f"run_{number}" for number in range(300))))
    reports: list[ImportReport] = []

    def bring() -> None:
        store = open_event_store(database_url)
        reports.append(imported(store, lines))
        store.close()

    open_event_store(database_url).close()
    threads = [threading.Thread(target=bring) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [(report.recorded, report.bad) for report in reports] == [(1_200, [])] * 2
    assert sum(report.events for report in reports) == 1_200
    store = open_event_store(database_url)
    assert exported(store) == lines
    store.close()


def test_the_export_of_another_store_is_refused_in_the_end() -> None:
    store = open_event_store("memory://")
    failed = ended(e.RunFailed, 9, stamp=8, since=1)
    names = [f"run_{number}" for number in range(10_500)]
    store.append([Append(f"assistants:{n}", 0, [created(run_id=n), failed]) for n in names])
    before = exported(store)
    theirs = before.replace(b"server_error", b"other").replace(b"run.failed/1", b"run.cancelled/1")
    assert theirs != before
    with pytest.raises(StoreError, match="import into an empty database"):
        imported(store, theirs)
    assert exported(store) == before


def test_neither_direction_grows_with_the_number_of_lines(tmp_path: Path) -> None:
    def lines(number: int) -> Iterator[Line]:
        stories = [exported(of_stories("run_0"))]
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
