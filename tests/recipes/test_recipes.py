"""The recipes, run as they are, against a simulated service. Their packages are an extra."""

import asyncio
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from projections import RunRow, StuckRow, Views
from projections.row_types import field_names
from tests.support.command_line import run_body
from tests.support.waiting import block_until, until
from tracker import Tracker
from tracker.simulator import Parameters, Simulator
from tracker.sources import Assistants

pytestmark = pytest.mark.integration

QUICK = Parameters.ending("completed", action=0.0, stretched=0.0, time_scale=0.02)
KEY = "sk-recipe-4f1d9c22b7"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with Simulator(parameters=QUICK, api_key=KEY, many_active=True) as running:
        monkeypatch.setenv("RUNFOLD_DB", f"sqlite:///{tmp_path}/runfold.db")
        monkeypatch.setenv("OPENAI_BASE_URL", running.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield running


def load(name: str, package: str) -> ModuleType:
    """Imports a recipe for the first time, or skips the test without its package."""
    pytest.importorskip(package, reason=f"{package} is missing: pip install -e '.[recipes]'")
    module = f"tests.recipes.{name}"
    sys.modules.pop(module, None)
    return importlib.import_module(module)


def record(url: str, *bodies: dict[str, Any]) -> None:
    """Records runs, in a database with all tables."""

    async def observe() -> None:
        async with Tracker(url, Assistants("http://127.0.0.1:9/v1"), resume=False) as tracker:
            for body in bodies:
                tracker.observe(body)

    asyncio.run(observe())
    with Views(url) as views:
        views.upgrade()
        views.catch_up()


def test_fastapi_lists_runs_with_a_schema(service: Simulator, tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="fastapi is missing: pip install -e '.[recipes]'")
    from fastapi.testclient import TestClient

    ended = [run_body(f"run_{it}", created_at=1_750_000_000 + it) for it in range(7)]
    record(f"sqlite:///{tmp_path}/runfold.db", *ended)
    recipe = load("fastapi_app", "fastapi")
    with TestClient(recipe.app) as client:
        rows = client.get("/runs").json()
        assert [it["run_id"] for it in rows] == [f"run_{it}" for it in (6, 5, 4, 3, 2)]
        assert tuple(rows[0]) == field_names(RunRow)
        assert rows[0]["created_at"] == "2025-06-15T15:06:46Z"
        assert rows[0]["total_tokens"] == 42
        assert client.get("/runs/run_3").json()["status"] == "completed"
        assert client.get("/runs/run_9").status_code == 404
        schema = client.get("/openapi.json").json()
    recipe.views.close()
    answer = schema["paths"]["/runs"]["get"]["responses"]["200"]["content"]["application/json"]
    assert answer["schema"]["type"] == "array"
    assert answer["schema"]["items"] == {"$ref": "#/components/schemas/RunRow"}
    row = schema["components"]["schemas"]["RunRow"]
    assert tuple(row["properties"]) == field_names(RunRow)
    assert row["properties"]["created_at"] == {
        "type": "string",
        "format": "date-time",
        "title": "Created At",
    }


def test_flask_starts_and_lists_runs(service: Simulator) -> None:
    recipe = load("flask_app", "flask")
    try:
        client = recipe.app.test_client()
        created = client.post(f"/threads/{service.create_thread()}/runs")
        assert created.status_code == 202
        run_id = created.json["run_id"]
        recipe.tracker.wait(run_id, timeout=60)
        block_until(lambda: client.get(f"/runs/{run_id}").json.get("status") == "completed")
        assert [it["run_id"] for it in client.get("/runs").json] == [run_id]
        assert client.get("/runs/run_9").status_code == 404
    finally:
        recipe.tracker.stop()
        recipe.views.close()


def test_django_starts_and_lists_runs(service: Simulator) -> None:
    recipe = load("django_app", "django")
    from django.test import Client

    try:
        client = Client()
        created = client.post(f"/threads/{service.create_thread()}/runs")
        assert created.status_code == 202
        run_id = created.json()["run_id"]
        recipe.tracker.wait(run_id, timeout=60)
        block_until(lambda: client.get(f"/runs/{run_id}").json().get("status") == "completed")
        listed = client.get("/runs").json()
        assert [it["run_id"] for it in listed["runs"]] == [run_id]
        assert listed["next"] is None
        assert client.get("/runs/run_9").status_code == 404
    finally:
        recipe.tracker.stop()
        recipe.views.close()


def test_celery_waits_for_a_run(service: Simulator) -> None:
    recipe = load("celery_tasks", "celery")
    recipe.start()
    try:
        created = recipe.create_task.apply(args=[service.create_thread()])
        assert recipe.wait_task.apply(args=[created.get()]).get() == "completed"
    finally:
        recipe.stop()


def test_a_notebook_shows_tables(
    service: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("IPython", reason="ipython is missing: pip install -e '.[recipes]'")
    from IPython.core.interactiveshell import InteractiveShell

    record(f"sqlite:///{tmp_path}/runfold.db", run_body("run_1"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    book = json.loads(Path(__file__).with_name("notebook.ipynb").read_text("utf-8"))
    shell = InteractiveShell.instance()
    try:
        results = [
            shell.run_cell("".join(cell["source"]))
            for cell in book["cells"]
            if cell["cell_type"] == "code"
        ]
        for it in results:
            it.raise_error()
        assert "<table" in results[1].result._repr_html_()
        assert "run_1" in results[1].result._repr_html_()
        assert list(results[2].result["phase"])[-1] == "total"
        shell.user_ns["views"].close()
    finally:
        InteractiveShell.clear_instance()


def test_each_stuck_run_is_told_once(service: Simulator, tmp_path: Path) -> None:
    from tests.recipes.stuck_alert import alert_on_stuck

    url = f"sqlite:///{tmp_path}/runfold.db"
    record(url, run_body("run_1", "in_progress"), run_body("run_2"))
    told: list[StuckRow] = []
    tries: list[str] = []

    def send(row: StuckRow) -> None:
        tries.append(row.run_id)
        if len(tries) == 1:
            raise ConnectionError("the pager does not answer")
        told.append(row)

    async def follow() -> None:
        api = Assistants(service.base_url, KEY)
        with Views(url) as views:
            tracker = Tracker(url, api, resume=False)
            alert_on_stuck(tracker, views, send, every=0.05)
            async with tracker:
                await until(lambda: bool(told))
                # Some more checks find the same.
                await asyncio.sleep(0.2)

    asyncio.run(asyncio.wait_for(follow(), 120))
    assert [it.run_id for it in told] == ["run_1"]
    assert tries == ["run_1", "run_1"]


def test_a_bus_gets_each_event_under_its_position(service: Simulator, tmp_path: Path) -> None:
    from tests.recipes.message_bus import publish_events

    url = f"sqlite:///{tmp_path}/runfold.db"
    record(url, run_body("run_1", "in_progress"), run_body("run_1"))
    messages: dict[str, tuple[str, str]] = {}
    refused: list[str] = []

    class Bus:
        def publish(self, topic: str, *, key: str, body: str) -> None:
            if not refused:
                refused.append(key)
                raise ConnectionError("the bus does not answer")
            messages[key] = (topic, body)

    async def follow() -> None:
        tracker = Tracker(url, Assistants(service.base_url, KEY), resume=False)
        publish_events(tracker, Bus())
        async with tracker:
            events = tracker.history("run_1")
            await until(lambda: len(messages) == len(events))
            assert sorted(messages, key=int) == [str(it.position) for it in events]
            assert [messages[str(it.position)][0] for it in events] == [
                f"runs.{type(it.event).__name__}" for it in events
            ]

    asyncio.run(asyncio.wait_for(follow(), 120))
    assert json.loads(messages[refused[0]][1])["run_id"] == "run_1"
