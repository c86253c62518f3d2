"""Exported events that do not fit their history: reported, and never recorded."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.event_exports import export_lines, import_exported, store_of_stories, story
from tests.support.run_builder import created, ended
from tracker import EventStore, open_event_store
from tracker.core import events as e
from tracker.errors import StoreError
from tracker.event_store import Append
from tracker.import_export.importer import ImportReport

pytestmark = pytest.mark.integration


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path / 'runs.db'}"}
    opened = open_event_store(urls.get(request.param) or request.getfixturevalue("postgres_db"))
    yield opened
    opened.close()


def test_what_a_store_lacks_is_added(store: EventStore) -> None:
    import_exported(store, export_lines(store_of_stories("run_1", "run_2", events=2)))
    report = import_exported(store, export_lines(store_of_stories("run_1", "run_2", "run_3")))
    assert (report.recorded, report.events, report.runs, report.bad) == (12, 8, 1, [])
    found = store.read_many(["assistants:run_1", "assistants:run_3"])
    assert [entry.event for entry in found["assistants:run_1"]] == story()
    assert [entry.event for entry in found["assistants:run_3"]] == story("run_3")
    # And what a file lacks stays.
    report = import_exported(store, export_lines(store_of_stories("run_1", events=3)))
    assert (report.recorded, report.events, report.bad) == (3, 0, [])


def test_a_history_that_differs_is_named_and_left(store: EventStore) -> None:
    other = [created(), ended(e.RunFailed, 9, stamp=8, since=1)]
    store.append([Append("assistants:run_1", 0, other)])
    report = import_exported(store, export_lines(store_of_stories("run_1", "run_2")))
    assert report.bad == [
        "events.jsonl:3: assistants:run_1: its version 2 is another event in this database; "
        "nothing more of it is imported. Keep the one that is there, or import into an empty "
        "database"
    ]
    assert (report.recorded, report.events, report.bad_lines) == (5, 4, 1)
    assert [entry.event for entry in store.read("assistants:run_1")] == other
    assert [entry.event for entry in store.read("assistants:run_2")] == story("run_2")


def test_a_history_with_a_gap_ends_before_it(store: EventStore) -> None:
    lines = export_lines(store_of_stories("run_1", "run_2")).splitlines(keepends=True)
    lines[2] = lines[2][:-9] + b"\n"
    report = import_exported(store, lines)
    assert report.bad[0].startswith("events.jsonl:3: not JSON")
    assert report.bad[1:] == [
        "events.jsonl:5: assistants:run_1: version 3 comes, and version 2 is missing; nothing "
        "more of it is imported. Import the whole export, in its order"
    ]
    assert [entry.event for entry in store.read("assistants:run_1")] == story()[:1]
    assert [entry.event for entry in store.read("assistants:run_2")] == story("run_2")
    # The cure that it names.
    assert import_exported(store, export_lines(store_of_stories("run_1", "run_2"))).events == 3


def test_what_is_refused_stays_so_in_later_batches(store: EventStore) -> None:
    store.append([Append("assistants:run_1", 0, [created(), ended(e.RunFailed, 9, 8, 1)])])
    others = [f"other_{number}" for number in range(1_000)]
    origin = store_of_stories("run_1", events=2)
    origin.append([Append(f"assistants:{name}", 0, [created(run_id=name)]) for name in others])
    origin.append([Append("assistants:run_1", 2, story()[2:])])
    report = import_exported(store, export_lines(origin))
    assert (report.bad_lines, report.events) == (1, 1_000)
    assert len(store.read("assistants:run_1")) == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"stream": 7}, "stream: not the name of a stream"),
        ({"stream": "assistants:\0"}, "stream: not the name of a stream"),
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
    [line, second] = export_lines(store_of_stories("run_1", events=2)).splitlines()
    store = open_event_store("memory://")
    report = import_exported(store, [json.dumps(json.loads(line) | changes).encode(), second])
    assert report.bad[0].startswith("events.jsonl:1: ")
    assert reason in report.bad[0]
    assert (report.recorded, report.events) == (0, 0)
    assert export_lines(store) == b""


def test_two_at_once_add_each_event_once(database_url: str) -> None:
    lines = export_lines(store_of_stories(*(f"run_{number}" for number in range(300))))
    reports: list[ImportReport] = []

    def import_all() -> None:
        store = open_event_store(database_url)
        reports.append(import_exported(store, lines))
        store.close()

    open_event_store(database_url).close()
    threads = [threading.Thread(target=import_all) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [(report.recorded, report.bad) for report in reports] == [(1_200, [])] * 2
    assert sum(report.events for report in reports) == 1_200
    store = open_event_store(database_url)
    assert export_lines(store) == lines
    store.close()


def test_the_export_of_another_store_is_refused_in_the_end() -> None:
    store = open_event_store("memory://")
    failed = ended(e.RunFailed, 9, stamp=8, since=1)
    names = [f"run_{number}" for number in range(10_500)]
    store.append([Append(f"assistants:{n}", 0, [created(run_id=n), failed]) for n in names])
    before = export_lines(store)
    theirs = before.replace(b"server_error", b"other").replace(b"run.failed/1", b"run.cancelled/1")
    assert theirs != before
    with pytest.raises(StoreError, match="import into an empty database"):
        import_exported(store, theirs)
    assert export_lines(store) == before
