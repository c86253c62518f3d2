"""A real LangGraph server on loopback, its runs tracked to their ends.

The server is no part of this project's environment. To run these tests, give it one of its own,
anywhere, and say where its program is:

    python3 -m venv /somewhere/langgraph
    /somewhere/langgraph/bin/pip install 'langgraph-cli[inmem]'
    RUNFOLD_LANGGRAPH=/somewhere/langgraph/bin/langgraph python -m pytest \
        tests/sources/test_langgraph_server.py
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from projections import Views
from tests.support.loopback import listening
from tests.support.waiting import until
from tracker import Tracker
from tracker.core.events import RunVanished
from tracker.errors import NotFound, UnknownRun
from tracker.polling.policy.cadence import Cadence
from tracker.sources import LangGraph

PROGRAM = os.environ.get("RUNFOLD_LANGGRAPH") or shutil.which("langgraph")
QUICK = Cadence(shortest=0.05, longest=0.3, start=200.0)
START_SECONDS = 90

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        PROGRAM is None, reason="no LangGraph server: this file says how to install one"
    ),
]

GRAPH = """
import asyncio
from typing import TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt


class State(TypedDict, total=False):
    seconds: float
    asks: int
    fails: bool
    answer: object


async def work(state):
    await asyncio.sleep(state.get("seconds", 0.2))
    if state.get("fails"):
        raise RuntimeError("boom")
    answers = [interrupt({"question": number}) for number in range(state.get("asks", 0))]
    return {"answer": answers}


builder = StateGraph(State)
builder.add_node("work", work)
builder.add_edge(START, "work")
builder.add_edge("work", END)
graph = builder.compile()
"""


class Server:
    """A client of a running server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, path: str, document: object = None) -> Any:
        request = urllib.request.Request(
            self.url + path,
            method="POST",
            data=json.dumps({} if document is None else document).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def delete(self, path: str) -> None:
        request = urllib.request.Request(self.url + path, method="DELETE")
        with urllib.request.urlopen(request, timeout=30):
            pass

    def start(self, thread: str | None = None, **settings: Any) -> tuple[str, str]:
        """Starts a run, on a new thread unless one is named. Returns the ids of both."""
        thread = thread or self.post("/threads")["thread_id"]
        run = self.post(f"/threads/{thread}/runs", {"assistant_id": "agent", **settings})
        return thread, run["run_id"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("langgraph")
    (folder / "graph.py").write_text(GRAPH, "utf-8")
    graphs = {
        "dependencies": ["."],
        "graphs": {"agent": "./graph.py:graph"},
        # Webhooks go to this machine.
        "webhooks": {"url": {"disable_loopback": False, "require_https": False}},
    }
    (folder / "langgraph.json").write_text(json.dumps(graphs), "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    log = (folder / "server.log").open("wb")
    process = subprocess.Popen(
        [str(PROGRAM), "dev", "--no-browser", "--no-reload", "--port", str(port)],
        cwd=folder,
        env={**os.environ, "LANGSMITH_TRACING": "false"},
        stdout=log,
        stderr=log,
        stdin=subprocess.DEVNULL,
    )
    try:
        running = Server(f"http://127.0.0.1:{port}")
        _await(running, process, Path(log.name))
        yield running
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def _await(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/ok", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")


def tracker_of(server: Server, store: str = "memory://") -> Tracker:
    return Tracker(store, LangGraph(server.url), cadence=QUICK)


def test_runs_come_to_their_ends(database_url: str, server: Server) -> None:
    async def scenario() -> dict[str, str]:
        async with tracker_of(server, database_url) as tracker:
            found = {}
            for end, settings in (
                ("completed", {"input": {"seconds": 0.3}, "metadata": {"customer": "ann"}}),
                ("failed", {"input": {"fails": True}}),
                ("cancelled", {"input": {"seconds": 60}}),
            ):
                thread, run = server.start(**settings)
                await tracker.watch(thread, run)
                if end == "cancelled":
                    await asyncio.sleep(1)
                    server.post(f"/threads/{thread}/runs/{run}/cancel?wait=0")
                state = await tracker.wait(run, timeout=60)
                assert state.status == end
                found[end] = run
            return found

    found = asyncio.run(scenario())
    with Views(database_url) as views:
        views.upgrade()
        views.catch_up()
        for end, run_id in found.items():
            row = views.run(run_id)
            assert (row.source, row.outcome, row.total_tokens) == ("langgraph", end, None)
            assert row.ended_at is not None
            assert row.ended_at >= row.created_at
        assert views.run(found["completed"]).metadata["customer"] == "ann"
        assert "boom" in (views.run(found["failed"]).error_message or "")
        assert views.verify() == []


def test_a_stopped_run_waits_until_another_answers_it(server: Server) -> None:
    async def scenario() -> None:
        async with tracker_of(server) as tracker:
            thread, run = server.start(input={"asks": 2})
            for _ in range(2):
                await tracker.watch(thread, run)
                state = await tracker.wait(run, timeout=60, until="actionable")
                [call] = state.tool_calls
                assert (state.status, call.type, call.name) == (
                    "requires_action",
                    "interrupt",
                    "work",
                )
                _, following = server.start(thread, command={"resume": "yes"})
                await tracker.watch(thread, following)
                assert (await tracker.wait(run, timeout=60)).status == "completed"
                run = following
            assert (await tracker.wait(run, timeout=60)).status == "completed"

    asyncio.run(scenario())


def test_a_breakpoint_is_a_wait_too(server: Server) -> None:
    async def scenario() -> None:
        async with tracker_of(server) as tracker:
            thread, run = server.start(input={"seconds": 0.1}, interrupt_before=["work"])
            await tracker.watch(thread, run)
            state = await tracker.wait(run, timeout=60, until="actionable")
            assert [call.type for call in state.tool_calls] == ["breakpoint"]

    asyncio.run(scenario())


def test_runs_in_a_row_on_one_thread(server: Server) -> None:
    async def scenario() -> None:
        async with tracker_of(server) as tracker:
            thread, first = server.start(input={"seconds": 0.5})
            runs = [first, *(server.start(thread, input={"seconds": 0.2})[1] for _ in range(3))]
            for run in runs:
                await tracker.watch(thread, run)
            states = [await tracker.wait(run, timeout=60) for run in runs]
            assert {state.status for state in states} == {"completed"}

    asyncio.run(scenario())


async def expect_vanished(tracker: Tracker, run: str) -> None:
    """Waits until a run is missing, and that is recorded."""
    with pytest.raises(NotFound):
        await tracker.wait(run, timeout=60)
    await until(lambda: isinstance(tracker.history(run)[-1].event, RunVanished), 60)


def test_a_run_that_was_rolled_back_has_vanished(server: Server) -> None:
    async def scenario() -> None:
        async with tracker_of(server) as tracker:
            thread, run = server.start(input={"seconds": 60})
            await tracker.watch(thread, run)
            await until(lambda: tracker.watching[0].status == "in_progress", 60)
            server.post(f"/threads/{thread}/runs/{run}/cancel?wait=1&action=rollback")
            await expect_vanished(tracker, run)

    asyncio.run(scenario())


def test_runs_of_a_deleted_thread_vanish_and_hold_no_other(server: Server) -> None:
    async def scenario() -> None:
        async with tracker_of(server) as tracker:
            gone, run = server.start(input={"asks": 1})
            thread, other = server.start(input={"seconds": 2})
            await tracker.watch(gone, run)
            await tracker.wait(run, timeout=60, until="actionable")
            await tracker.watch(thread, other)
            server.delete(f"/threads/{gone}")
            await expect_vanished(tracker, run)
            assert (await tracker.wait(other, timeout=60)).status == "completed"

    asyncio.run(scenario())


def test_a_run_that_another_one_interrupts_is_cancelled(server: Server) -> None:
    async def scenario() -> None:
        async with tracker_of(server) as tracker:
            thread, run = server.start(input={"seconds": 60})
            await tracker.watch(thread, run)
            await until(lambda: tracker.watching[0].status == "in_progress", 60)
            _, other = server.start(thread, input={"seconds": 0.1}, multitask_strategy="interrupt")
            assert (await tracker.wait(run, timeout=60)).status == "cancelled"
            await tracker.watch(thread, other)
            assert (await tracker.wait(other, timeout=60)).status == "completed"

    asyncio.run(scenario())


def test_runs_that_nobody_made_a_thread_for(server: Server) -> None:
    async def scenario() -> None:
        async with tracker_of(server) as tracker:
            settings = {"assistant_id": "agent", "input": {"seconds": 1}}
            kept = server.post("/runs", {**settings, "on_completion": "keep"})
            deleted = server.post("/runs", {**settings, "on_completion": "delete"})
            for run in (kept, deleted):
                await tracker.watch(run["thread_id"], run["run_id"])
            assert (await tracker.wait(kept["run_id"], timeout=60)).status == "completed"
            # The server deletes it with its thread when it is done.
            await expect_vanished(tracker, deleted["run_id"])

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("settings", "ends"),
    [
        ({"input": {"asks": 1}}, "requires_action"),
        ({"input": {"seconds": 0.1}, "interrupt_before": ["work"]}, "requires_action"),
        ({"input": {"seconds": 0.1}}, "completed"),
        ({"input": {"fails": True}}, "failed"),
    ],
)
def test_a_webhook_of_the_server_is_a_hint(
    server: Server, settings: dict[str, Any], ends: str
) -> None:
    async def scenario() -> None:
        slow = Cadence(shortest=500, longest=1000)
        source = LangGraph(server.url)
        async with Tracker("memory://", source, cadence=slow) as tracker:
            bodies: list[bytes] = []

            async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.partition(b":")[2])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length")
                )
                bodies.append(await reader.readexactly(length))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()

            async with listening(receive) as port:
                _, run = await asyncio.to_thread(
                    server.start, webhook=f"http://127.0.0.1:{port}/hook", **settings
                )
                await until(lambda: bool(bodies), 60)
                await asyncio.to_thread(tracker.observe, bodies[0])

            def is_known() -> bool:
                watched = {it.run_id: it.status for it in tracker.watching}
                return watched.get(run) == ends or is_recorded(tracker, run, ends)

            await until(is_known, 60)

    asyncio.run(scenario())


def is_recorded(tracker: Tracker, run: str, ends: str) -> bool:
    """True if the last event of a run is its end of that name."""
    try:
        return tracker.history(run)[-1].event.topic == f"run.{ends}"
    except UnknownRun:
        return False
