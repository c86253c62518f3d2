"""`runfold watch` against `runfold simulate`."""

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest

from projections import Views
from tests.support.command_line import Finished, finish, run_body, runfold, start
from tests.support.loopback import listening
from tests.support.odd_polls import CaseServer
from tracker import open_event_store
from tracker.cli.apis import make_source
from tracker.core.snapshot import RunSnapshot
from tracker.recording.observation import Observation
from tracker.recording.repository import RunRepository
from tracker.simulator import Parameters, Simulator, Truth
from tracker.sources import HttpSource
from tracker.sources.payload_format import Api

pytestmark = pytest.mark.integration

KEY = "sk-the-right-4f1d9c22b7"
NOWHERE = "http://127.0.0.1:9/v1"
ASKED = "GET /v1/threads/thread_1/runs/run_1"
SOON = {"action": 0.0, "time_scale": 0.02, "stretched": 0.0}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new folder, as the current one, and the right key in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNFOLD_DB", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return tmp_path


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """A service that accepts one key only."""
    with Simulator(api_key=KEY) as running:
        yield running


def watch(simulator: Simulator, thread: str, run: str, *more: object) -> Finished:
    return runfold("watch", thread, run, "--base-url", simulator.base_url, *more)


def create_run_ending(simulator: Simulator, end: str) -> Truth:
    return simulator.create_run(parameters=Parameters.ending(end, **SOON))  # type: ignore[arg-type]


def said(done: Finished) -> str:
    """Returns the last line, which is of the program itself."""
    *lines, last = done.err.splitlines()
    assert not any(line.startswith("runfold: ") for line in lines)
    return last.removeprefix("runfold: ")


@pytest.mark.parametrize(
    ("api", "thread", "run"),
    [
        ("assistants", "-", "run_1"),
        ("agents", "-", "turn_1"),
        ("langgraph", "-", "run_1"),
        ("assistants", "", "run_1"),
        ("assistants", "thread_1", ".."),
        ("assistants", "..", "run_1"),
        ("responses", "-", "."),
        ("responses", "-", "a\x1bb"),
        ("responses", "-", "x" * 3000),
    ],
)
def test_a_run_that_can_never_be_asked_about_is_refused_at_once(
    api: str, thread: str, run: str
) -> None:
    done = runfold("watch", "--base-url", NOWHERE, "--api", api, "--", thread, run)
    assert done.code == 2
    assert done.message


def test_each_change_and_each_trouble_is_a_line() -> None:
    """Without a terminal. The trouble goes, and is told again when it comes again."""
    down = {"asked": ASKED, "status": 503, "body": {"error": {"message": "down"}}}
    shown = [
        {"asked": ASKED, "body": run_body("run_1", status)}
        for status in ("queued", "in_progress", "completed")
    ]
    answers = [shown[0], down, shown[1], down, down, shown[2]]
    with served(answers) as url:
        done = runfold("watch", "thread_1", "run_1", "--base-url", url)
    assert done.code == 0
    *lines, last = (line.partition(": ")[2] for line in done.err.splitlines())
    assert last == "reading its steps …"
    troubles = [line for line in lines if "503" in line]
    assert [line for line in lines if line in ("queued", "in_progress", "completed")][-1] == (
        "completed"
    )
    assert [it for it in dict.fromkeys(lines) if "503" not in it] == [
        "queued",
        "in_progress",
        "completed",
    ]
    assert len(troubles) == 2


@contextmanager
def served(answers: list[Any]) -> Iterator[str]:
    """Serves the answers in a thread; yields the base URL."""
    ready: Queue[Any] = Queue()

    async def serve() -> None:
        server, stop = CaseServer(answers), asyncio.Event()
        async with listening(server.serve) as port:
            ready.put((port, asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    port, loop, stop = ready.get()
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def test_the_timeout_has_a_default() -> None:
    assert "3600" in runfold("watch", "--help").out


def test_a_run_that_completes(simulator: Simulator) -> None:
    run = create_run_ending(simulator, "completed")
    done = watch(simulator, run.thread_id, run.run_id)
    assert done.code == 0
    assert "RunCompleted" in done.out
    lines = done.err.splitlines()
    assert lines[-2:] == [f"{run.run_id}: completed", f"{run.run_id}: reading its steps …"]
    assert all(line.startswith(f"{run.run_id}: ") for line in lines)
    with Views("sqlite:///runfold.db") as views:
        assert views.run(run.run_id).outcome == "completed"
    again = watch(simulator, run.thread_id, run.run_id)
    assert (again.code, again.out) == (0, done.out)
    assert again.err.splitlines()[0] == f"{run.run_id}: completed"


def test_a_run_that_fails(simulator: Simulator) -> None:
    run = create_run_ending(simulator, "failed")
    done = watch(simulator, run.thread_id, run.run_id, "--source", "mine")
    assert done.code == 1
    assert "RunFailed" in done.out
    assert done.out.startswith(f"mine:{run.run_id}, thread {run.thread_id}")


def test_a_run_that_takes_longer_than_the_timeout(simulator: Simulator) -> None:
    run = simulator.create_run(parameters=Parameters.ending("endless"))
    done = watch(simulator, run.thread_id, run.run_id, "--timeout", 1)
    assert done.code == 1
    assert said(done) == f"{run.run_id} has not ended within 1 s; watch it again to continue"
    statuses = runfold("status", "--json").document
    assert [row["runs"] for row in statuses] == [1]


def test_an_unknown_run(simulator: Simulator) -> None:
    done = watch(simulator, simulator.create_thread(), "run_9")
    assert done.code == 1
    assert "run_9" in said(done)
    assert "404" in said(done)
    assert runfold("status").out == "runs by status: none\n"


@pytest.mark.parametrize("key", ["sk-the-wrong-4f1d9c22b7", ""])
def test_a_wrong_key_is_not_shown(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    run = create_run_ending(simulator, "completed")
    done = watch(simulator, run.thread_id, run.run_id)
    assert done.code == 1
    assert "401" in said(done)
    assert said(done).endswith("Check api_key.")
    assert "sk-the" not in done.out + done.err


def test_a_server_that_cannot_be_reached() -> None:
    done = runfold("watch", "thread_1", "run_1", "--base-url", NOWHERE, "--timeout", 3)
    assert done.code == 1
    assert said(done).startswith("run_1 has not ended within 3 s; watch it again to continue. ")
    assert "127.0.0.1:9" in said(done)
    # The trouble is a line of its own as soon as it is met.
    assert done.err.startswith("run_1: GET /v1/threads/thread_1/runs/run_1 was not sent")
    assert KEY not in done.err


def test_no_service_named() -> None:
    done = runfold("watch", "thread_1", "run_1")
    assert done.code == 2
    assert done.message == "no service: pass --base-url URL or set OPENAI_BASE_URL"


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/v1", "127.0.0.1", "http://"])
def test_an_address_of_no_service(url: str) -> None:
    done = runfold("watch", "thread_1", "run_1", "--base-url", url)
    assert done.code == 2
    assert "base_url" in done.message
    assert not Path("runfold.db").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_an_interrupted_watch_keeps_what_it_saw(simulator: Simulator, folder: Path) -> None:
    run = simulator.create_run(parameters=Parameters.ending("endless"))
    arguments = ["watch", run.thread_id, run.run_id, "--base-url", simulator.base_url]
    process = start(*arguments, folder=folder, env={"OPENAI_API_KEY": KEY})
    before = sum(simulator.traffic.values())
    while process.poll() is None and sum(simulator.traffic.values()) < before + 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    done = finish(process)
    assert done.code == 130
    assert done.out == ""
    assert said(done) == "interrupted; everything recorded so far is kept"
    assert sum(row["runs"] for row in runfold("status", "--json").document) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_simulate_serves_until_it_is_interrupted(folder: Path) -> None:
    process = start("simulate", "--port", 0, "--seed", 7, "--speed", 50, folder=folder)
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("serving at ").partition(",")[0]
    for line in process.stdout:
        if line == "Ctrl-C ends it.\n":
            break
    try:
        thread = post(f"{url}/threads")["id"]
        run = post(f"{url}/threads/{thread}/runs", assistant_id="asst_1")["id"]
        watched = runfold("watch", thread, run, "--base-url", url, "--timeout", 100)
        assert "RunCreated" in watched.out
    finally:
        process.send_signal(signal.SIGINT)
        done = finish(process)
    assert (done.code, done.out, done.err) == (130, "", "")


def post(url: str, **body: object) -> dict[str, str]:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    request.add_header("Authorization", f"Bearer {KEY}")
    with urllib.request.urlopen(request, timeout=300) as answer:
        document: dict[str, str] = json.load(answer)
        return document


def test_simulate_on_a_port_in_use(simulator: Simulator) -> None:
    port = simulator.base_url.rsplit(":", 1)[1].removesuffix("/v1")
    refused = runfold("simulate", "--port", port)
    assert refused.code == 2
    assert f"127.0.0.1 port {port}" in refused.message


def test_a_server_that_is_no_such_service(folder: Path) -> None:
    page = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen(
        page, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        port = server.stdout.readline().split(" port ")[1].split()[0]
        url = f"http://127.0.0.1:{port}/v1"
        done = runfold("watch", "thread_1", "run_1", "--base-url", url, "--timeout", 60)
        server.kill()
    assert done.code == 1
    assert "127.0.0.1" in said(done) or "404" in said(done)


def test_other_open_runs_of_the_database_are_left_alone(simulator: Simulator) -> None:
    other = RunSnapshot(
        source="assistants",
        run_id="run_of_another_service",
        observed_at=datetime.now(UTC),
        status="in_progress",
        thread_id="thread_1",
    )
    store = open_event_store("sqlite:///runfold.db")
    RunRepository(store).record([Observation.of(other)])
    before = store.read("assistants:run_of_another_service")
    run = create_run_ending(simulator, "completed")
    assert watch(simulator, run.thread_id, run.run_id).code == 0
    time.sleep(0.2)
    assert store.read("assistants:run_of_another_service") == before
    store.close()


def test_a_response_is_watched_without_a_thread(simulator: Simulator) -> None:
    soon = Parameters.ending("completed", **SOON)  # type: ignore[arg-type]
    response = simulator.create_response(parameters=soon)
    done = watch(simulator, "-", response.run_id, "--api", "responses")
    assert done.code == 0
    assert "RunCompleted" in done.out
    assert done.out.startswith(f"responses:{response.run_id}, thread ")
    missing = watch(simulator, "-", response.run_id)
    assert missing.code == 2
    assert "say which thread it is on" in missing.message


def test_a_key_of_openai_is_not_shown_to_langgraph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2-4f1d9c22b7")
    for api, key in ((Api.langgraph, "lsv2-4f1d9c22b7"), (Api.responses, KEY), (Api.agents, KEY)):
        source = make_source(api, "http://127.0.0.1:9", KEY, None, None)
        assert isinstance(source, HttpSource)
        assert (source.name, source._transport._api_key) == (api.value, key)
