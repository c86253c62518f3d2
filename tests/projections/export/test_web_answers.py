"""Answers of a web framework: JSON objects with a schema, of each kind of row."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from projections import Diagnosis, Rows, RunRow, Views
from projections.row_types import StuckRow, TimingRow
from tests.support.run_builder import created, ended, started, waiting
from tracker.core import events as e
from tracker.core.usage import Usage
from tracker.event_store import Append, open_event_store

pytestmark = pytest.mark.integration


@pytest.fixture
def views(database_url: str) -> Iterator[Views]:
    """Yields views of one run that ended and one that waits."""
    store = open_event_store("memory://")
    end = ended(e.RunCompleted, 20, stamp=11, since=8, usage=Usage(prompt_tokens=7))
    story = [created(model="gpt-4o"), started(2, stamp=1, since=1)]
    store.append([Append("assistants:run_1", 0, [*story, end])])
    other = [created(run_id="run_2", model="gpt-4o"), waiting(3, since=1)]
    store.append([Append("assistants:run_2", 0, other)])
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
        yield views


@pytest.fixture
def client(views: Views) -> TestClient:
    """Returns a client of a service with routes that return answers as they are."""
    app = FastAPI()

    @app.get("/runs")
    def runs() -> Rows[RunRow]:
        return views.runs(limit=5)

    @app.get("/list")
    def list_runs() -> list[RunRow]:
        return views.runs(limit=5)

    @app.get("/stuck")
    def stuck() -> Rows[StuckRow]:
        return views.stuck()

    @app.get("/timing")
    def timing() -> Rows[TimingRow]:
        return views.timing(by="model", percentiles=(50, 99.9))

    @app.get("/health")
    def health() -> Diagnosis:
        return views.doctor()

    @app.get("/any/{question}", response_model=None)
    def answer_any(question: str) -> Any:
        return getattr(views, question)()

    return TestClient(app)


def test_runs_are_objects(client: TestClient, views: Views) -> None:
    found = client.get("/runs").json()
    assert [it["run_id"] for it in found] == ["run_2", "run_1"]
    assert found[1]["metadata"] == {"user": "ann"}
    assert found[1]["created_at"] == "2026-01-01T12:00:00Z"
    assert list(found[1]) == list(views.run("run_1").record())
    assert client.get("/list").json() == found


def test_runs_have_a_schema(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path in ("/runs", "/list"):
        answer = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        assert answer["schema"]["type"] == "array"
        assert answer["schema"]["items"] == {"$ref": "#/components/schemas/RunRow"}
    row = document["components"]["schemas"]["RunRow"]
    assert row["properties"]["run_id"] == {"type": "string", "title": "Run Id"}
    assert row["properties"]["created_at"]["format"] == "date-time"
    assert {"run_key", "status", "total_seconds"} <= {*row["required"]}


def test_other_answers_are_objects(client: TestClient) -> None:
    timing = client.get("/timing").json()
    assert timing[0]["group"] == {"model": "gpt-4o"}
    assert set(timing[0]["percentiles"]) == {"50", "50.0", "99.9"} & set(timing[0]["percentiles"])
    assert client.get("/stuck").json()[0]["reason"] == "overdue"
    assert client.get("/health").json()["schema"]["state"] == "ok"


@pytest.mark.parametrize(
    "question",
    ["runs", "actions", "stuck", "timing", "usage", "open_usage", "status_counts", "doctor"],
)
def test_answers_without_a_declared_type_are_objects(client: TestClient, question: str) -> None:
    found = client.get(f"/any/{question}").json()
    assert all(isinstance(it, dict) for it in (found if isinstance(found, list) else [found]))
    assert found
