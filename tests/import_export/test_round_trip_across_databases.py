"""Exports through empty stores, from SQLite to PostgreSQL and back: equal to the byte."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections import Views
from tests.support.event_exports import export_lines, import_exported
from tests.support.generated_runs import lives, looks
from tests.support.golden_files import GOLDEN_DATABASES, GOLDEN_EVENTS
from tests.support.paths import GOLDEN
from tracker import EventStore, open_event_store
from tracker.core import events as e
from tracker.core.snapshot import Configuration, RunSnapshot
from tracker.event_store import Append
from tracker.event_store.codec import decode
from tracker.forgetting import forget_thread
from tracker.recording.observation import Observation
from tracker.recording.repository import RunRepository

pytestmark = pytest.mark.integration


@pytest.fixture
def urls(tmp_path: Path, postgres_db: str) -> list[str]:
    """The URLs of empty stores."""
    return [f"sqlite:///{tmp_path}/first.db", postgres_db, f"sqlite:///{tmp_path}/last.db"]


def import_all(store: EventStore, lines: bytes) -> None:
    report = import_exported(store, lines)
    assert report.bad == []
    assert report.recorded == report.events == lines.count(b"\n")


def import_through(urls: list[str], lines: bytes) -> list[list[tuple[str, int, e.Event]]]:
    """Imports an export into each store in turn. Returns the events of each."""
    histories = []
    for url in urls:
        store = open_event_store(url)
        assert export_lines(store) == b""
        import_all(store, lines)
        again = export_lines(store)
        assert again == lines
        histories.append([(it.stream, it.version, it.event) for it in store.read_all(0, 100_000)])
        lines = again
        store.close()
    return histories


def golden_lines() -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yields each golden event, in a stream that it may be in."""
    run, version = "assistants:run_0", 1
    for number, line in enumerate(GOLDEN_EVENTS):
        kind = e.EVENTS[str(line["topic"]).partition("/")[0]]
        document = {"topic": line["topic"], "event": line["state"]}
        if kind is e.RunCreated:
            document["event"] = line["state"] | {"run_id": f"run_{number}"}
            yield f"assistants:run_{number}", 1, document
        elif kind is e.ConfigurationRecorded:
            yield e.configuration_stream(line["state"]["digest"]), 1, document
        else:
            version += 1
            yield run, version, document


def test_every_golden_event(urls: list[str]) -> None:
    lines = [
        json.dumps({"stream": stream, "version": version, **document}).encode() + b"\n"
        for stream, version, document in golden_lines()
    ]
    origin = open_event_store("memory://")
    import_all(origin, b"".join(lines))
    whole = export_lines(origin)
    topics = [json.loads(line)["topic"] for line in whole.splitlines()]
    assert set(topics) == {f"{kind.topic}/{kind.topic_version}" for kind in e.EVENTS.values()}
    assert len(topics) == len(GOLDEN_EVENTS)
    expected = [
        (stream, version, decode(document["topic"], json.dumps(document["event"]).encode()))
        for stream, version, document in golden_lines()
    ]
    for found in import_through(urls, whole):
        assert found == expected


@pytest.mark.parametrize("golden", GOLDEN_DATABASES)
def test_a_golden_database(golden: str, urls: list[str], tmp_path: Path, postgres_db: str) -> None:
    if golden.endswith(".sql"):
        with psycopg.connect(postgres_db) as connection:
            connection.execute((GOLDEN / golden).read_bytes())
        origin, urls = postgres_db, [url for url in urls if url != postgres_db]
    else:
        origin = f"sqlite:///{shutil.copy(GOLDEN / golden, tmp_path)}"
    store = open_event_store(origin)
    lines = export_lines(store)
    store.close()
    assert lines.count(b"\n") > 50
    assert b"run.step_recorded" in lines
    import_through(urls, lines)
    assert tables(urls[-1]) == tables(urls[0]) == tables(origin)


def tables(url: str) -> dict[str, list[dict[str, Any]]]:
    """Returns the tables as rebuilt from the events alone."""
    with Views(url) as views:
        views.upgrade()
        views.rebuild()
        assert views.verify() == []
        runs = views.runs(limit=None).records()
        actions = views.actions().records()
        usage = views.usage(by=("hour", "model", "outcome")).records()
        timing = views.timing(by="assistant_id").records()
    assert len(runs) > 5
    return {"runs": runs, "actions": actions, "usage": usage, "timing": timing}


def test_what_was_forgotten_leaves_no_trace(urls: list[str]) -> None:
    origin = open_event_store(urls[0])
    histories = RunRepository(origin)
    for number in range(40):
        snapshot = RunSnapshot(
            source="assistants",
            run_id=f"run_{number}",
            thread_id=f"thread_{number % 3}",
            observed_at=datetime(2026, 1, 1, 12, number, tzinfo=UTC),
            status="completed",
            configuration=Configuration(instructions=f"be brief, {number % 4}"),
        )
        histories.record([Observation.of(snapshot)])
    whole = export_lines(origin)
    forgotten = forget_thread(origin, "thread_1")
    lines = export_lines(origin)
    origin.close()
    assert forgotten.events > 0
    assert lines.count(b"\n") == whole.count(b"\n") - forgotten.events
    assert b"thread_1" in whole
    assert b"thread_1" not in lines
    assert lines.count(b"configuration.recorded/1") == 4
    import_through(urls[1:], lines)


@st.composite
def retracted_polls(draw: st.DrawFn) -> list[RunSnapshot]:
    """Draws polls of two runs whose service also retracts earlier answers."""
    seen = [it for name in ("run_1", "run_2") for it in draw(lives(run_id=name).flatmap(looks))]
    status = st.sampled_from(("queued", "in_progress", "failed", "completed", "resting"))
    again = draw(st.lists(st.sampled_from(seen), max_size=4) if seen else st.just([]))
    return [*seen, *(it.model_copy(update={"status": draw(status)}) for it in again)]


@given(retracted_polls())
def test_whatever_a_service_takes_back(seen: list[RunSnapshot]) -> None:
    origin, there = open_event_store("memory://"), open_event_store("memory://")
    histories = RunRepository(origin)
    for snapshot in seen:
        histories.record([Observation.of(snapshot)])
    lines = export_lines(origin)
    import_all(there, lines)
    assert export_lines(there) == lines


def test_anomalies_steps_and_outputs(urls: list[str]) -> None:
    origin = open_event_store("memory://")
    histories = RunRepository(origin)
    body: dict[str, Any] = {"source": "assistants", "run_id": "run_1", "thread_id": "thread_1"}
    for second, status in enumerate(("queued", "completed", "failed", "in_progress", "completed")):
        moment = datetime(2026, 1, 1, 12, 0, second, tzinfo=UTC)
        more = {"metadata": {"seen": "ü\n\u2028"}} if second else {}
        snapshot = RunSnapshot(observed_at=moment, status=status, **more, **body)
        histories.record([Observation.of(snapshot)])
    version = len(origin.read("assistants:run_1"))
    moment = datetime(2026, 1, 1, 12, 1, tzinfo=UTC)
    step = e.RunStepRecorded(observed_at=moment, step_id="s", type="message_creation", status="x")
    sent = e.ToolOutputsSubmitted(observed_at=moment, tool_call_ids=("a", "b"))
    origin.append([Append("assistants:run_1", version, [step, sent])])
    lines = export_lines(origin)
    assert lines.count(b"run.anomaly_observed/1") == 1
    for found in import_through(urls, lines):
        assert [event for *_, event in found] == [it.event for it in origin.read_all()]
