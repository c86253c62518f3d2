"""The worked examples, run as they are: real processes, real HTTP, a simulated service."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.support.command_line import environment
from tests.support.paths import ROOT
from tracker import open_event_store
from tracker.core.events import (
    RunActionRequired,
    RunCompleted,
    RunCreated,
    ToolOutputsSubmitted,
)
from tracker.simulator import Parameters, Simulator
from tracker.webhooks import sign

pytestmark = pytest.mark.integration

WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOOLS = Parameters.ending(
    "completed",
    action=1.0,
    max_actions=1,
    unanswered=0.0,
    stretched=0.0,
    time_scale=0.02,
    answers="client",
)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=TOOLS, api_key="sk-example-4f1d9c22b7") as running:
        yield running


def settings(simulator: Simulator, url: str) -> dict[str, str]:
    return {
        **environment(),
        "BASE_URL": simulator.base_url,
        "API_KEY": "sk-example-4f1d9c22b7",
        "RUNFOLD_DB": url,
    }


@contextmanager
def served(
    folder: Path, env: dict[str, str], *options: str, name: str = "fastapi_service"
) -> Iterator[httpx.Client]:
    app = f"tests.examples.{name}:app"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", app, "--port", "0", *options],
            cwd=folder,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            with httpx.Client(
                base_url=read_address(folder / "log", process), timeout=300
            ) as client:
                for _ in range(1200):
                    with suppress(httpx.ConnectError):
                        client.get("/runs/none")
                        break
                    assert process.poll() is None, (folder / "log").read_text()
                    time.sleep(0.1)
                yield client
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) in (0, -signal.SIGTERM), (folder / "log").read_text()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert "Traceback" not in (folder / "log").read_text()


def read_address(log: Path, process: subprocess.Popen[bytes]) -> str:
    for _ in range(1200):
        found = re.search(r"running on (http://127.0.0.1:\d+)", log.read_text())
        if found:
            return found[1]
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(f"it does not serve: {log.read_text()}")


def ended(client: httpx.Client, run_id: str) -> list[str]:
    for _ in range(1200):
        shown = client.get(f"/runs/{run_id}").json()["events"]
        if "run.completed" in shown:
            return shown
        time.sleep(0.1)
    raise AssertionError(f"{run_id} has not ended: {shown}")


def test_a_fastapi_service_runs_the_tools(
    tmp_path: Path, simulator: Simulator, database_url: str
) -> None:
    runs_the_tools(tmp_path, simulator, database_url)


def test_its_workers_share_the_work(tmp_path: Path, simulator: Simulator, postgres_db: str) -> None:
    runs_the_tools(tmp_path, simulator, postgres_db, "--workers", "2")
    # One of them at a time runs tools: none is refused as too late.
    assert simulator.traffic["400"] == 0


def runs_the_tools(folder: Path, simulator: Simulator, url: str, *options: str) -> None:
    threads = [simulator.create_thread() for _ in range(6)]
    with served(folder, settings(simulator, url), *options) as client:
        runs = [
            client.post(f"/threads/{thread}/runs", params={"customer": "ann"}).json()["run_id"]
            for thread in threads
        ]
        for run_id in runs:
            topics = ended(client, run_id)
            assert topics[0] == "run.created"
            assert "run.tool_outputs_submitted" in topics
        assert client.get("/runs/run_of_nobody").status_code == 404
    store = open_event_store(url)
    kinds = [type(entry.event) for entry in store.read_all(limit=10_000)]
    store.close()
    assert kinds.count(RunCompleted) == kinds.count(ToolOutputsSubmitted) == len(threads)


def test_a_service_that_is_started_again_answers_what_waited(
    tmp_path: Path, simulator: Simulator, database_url: str
) -> None:
    env = settings(simulator, database_url)
    with served(tmp_path, env) as client:
        run_id = client.post(
            f"/threads/{simulator.create_thread()}/runs", params={"customer": "ann"}
        ).json()["run_id"]
    time.sleep(1)
    with served(tmp_path, env) as client:
        assert "run.action_required" in ended(client, run_id)


def test_a_service_is_told_of_responses_and_streams_others(
    tmp_path: Path, simulator: Simulator, database_url: str
) -> None:
    env = {**settings(simulator, database_url), "WEBHOOK_SECRET": WEBHOOK_SECRET}
    theirs, other = (simulator.create_response().run_id for _ in range(2))

    def told(run_id: str, secret: str = WEBHOOK_SECRET) -> tuple[bytes, dict[str, str]]:
        event = {"object": "event", "type": "response.completed", "data": {"id": run_id}}
        body = json.dumps(event).encode()
        return body, sign(body, secret, f"wh_{run_id}", datetime.now(UTC))

    with served(tmp_path, env, name="response_service") as client:
        body, headers = told(theirs)
        for _ in range(3):
            assert client.post("/webhooks", content=body, headers=headers).status_code == 200
        body, headers = told(other, "whsec_b3RoZXI=")
        refused = client.post("/webhooks", content=body, headers=headers)
        assert refused.status_code == 400
        assert "a signature that does not fit" in refused.text
        said = client.post("/ask", params={"question": "How long?"})
        assert len(said.text.split()) > 1
        # Whoever asked this one goes away.
        with client.stream("POST", "/ask", params={"question": "And now?"}) as answer:
            next(answer.iter_text())
    store = open_event_store(database_url)
    recorded = list(store.read_all(limit=10_000))
    store.close()
    created = {entry.stream for entry in recorded if isinstance(entry.event, RunCreated)}
    assert len(created) == 3
    assert f"responses:{theirs}" in created
    assert f"responses:{other}" not in created
    [ended, *_] = [entry for entry in recorded if isinstance(entry.event, RunCompleted)]
    assert ended.stream == f"responses:{theirs}"


def test_a_script_runs_the_tools(tmp_path: Path, simulator: Simulator) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "tests/examples/script.py"),
         simulator.create_thread()],
        cwd=tmp_path,
        env=settings(simulator, ""),
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    run_id, status, *_ = done.stdout.split()
    assert status == "completed"
    store = open_event_store(f"sqlite:///{tmp_path}/runs.db")
    kinds = [type(entry.event) for entry in store.read(f"assistants:{run_id}")]
    store.close()
    assert {RunActionRequired, ToolOutputsSubmitted, RunCompleted} <= set(kinds)
