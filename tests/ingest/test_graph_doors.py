"""Runs of LangGraph servers and look-alikes, by every door that brings them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.graph_payloads import graph_run, thread_state
from tests.support.loopback import listening
from tests.support.odd_documents import check_import, make_input, read_cases
from tests.support.odd_polls import CaseServer
from tests.support.scripted_server import SkippingClock
from tests.support.tracker_settings import QUICK
from tests.support.waiting import until
from tracker import Tracker
from tracker.core.events import RunActionRequired, RunVanished
from tracker.core.state import RunState
from tracker.errors import UnknownRun
from tracker.sources import LangGraph

pytestmark = pytest.mark.integration

KIND = "langgraph_interrupted"
IMPORTS, POLLS = read_cases("import", KIND), read_cases("poll", KIND)
OBSERVED = read_cases("observe", KIND)
NOWHERE = "http://127.0.0.1:9"
RUN = "/threads/thread-1/runs/run-1"
without = pytest.mark.skipif(not IMPORTS, reason="no odd documents beside this checkout")


@without
@pytest.mark.parametrize("case", IMPORTS, ids=lambda case: case["name"])
def test_an_odd_import(case: dict[str, Any], database_url: str, tmp_path: Path) -> None:
    check_import(case, database_url, tmp_path)


@without
@pytest.mark.parametrize("case", OBSERVED, ids=lambda case: case["name"])
def test_an_odd_document_that_is_handed_in(case: dict[str, Any]) -> None:
    async def main() -> None:
        async with Tracker("memory://", LangGraph(NOWHERE), cadence=QUICK) as tracker:
            for payload in make_input(case):
                tracker.observe(payload)
            history = tracker.history("graph_1")
            assert isinstance(history[-1].event, RunActionRequired)

    asyncio.run(main())


async def poll(answers: list[Any], thread: str, run: str) -> RunState:
    """Polls a run until it ended or requires an action; returns its state."""
    server = CaseServer(answers)
    async with listening(server.serve) as port:
        source = LangGraph(f"http://127.0.0.1:{port}")
        async with Tracker("memory://", source, cadence=QUICK) as tracker:
            await tracker.watch(thread, run)
            return await tracker.wait(run, timeout=10, until="actionable")


@without
@pytest.mark.parametrize(
    "case", [it for it in POLLS if "status" in it["expect"]], ids=lambda case: case["name"]
)
def test_an_odd_poll(case: dict[str, Any]) -> None:
    expected = case["expect"]
    state = asyncio.run(poll(make_input(case), "thread_1", "graph_1"))
    assert state.status == expected["status"]
    assert len(state.tool_calls) == expected.get("actions", 0)
    if "action_id" in expected:
        assert state.tool_calls[0].id == expected["action_id"]
    if "error_message" in expected:
        assert state.error is not None
        assert state.error.message == expected["error_message"]


def test_a_thread_that_was_deleted_holds_no_other() -> None:
    """Both answers come with words of the framework, as those for a wrong address do."""
    bare = {"status": 404, "body": {"detail": "Not Found"}}
    lives = graph_run("running", 2) | {"thread_id": "thread-2"}
    answers = [
        {"asked": f"GET {RUN}", **bare},
        {"asked": "GET /threads/thread-1/runs", **bare},
        {"asked": "GET /ok", **bare},
        {"asked": "GET /threads/thread-2/runs/run-2", "status": 200, "body": lives},
    ]

    async def main() -> None:
        server = CaseServer(answers)
        async with listening(server.serve) as port:
            source = LangGraph(f"http://127.0.0.1:{port}")
            clock = SkippingClock()
            async with Tracker("memory://", source, cadence=QUICK, clock=clock) as tracker:
                await tracker.watch("thread-2", "run-2")
                await until(lambda: server.count("GET /threads/thread-2/runs/run-2") > 0)
                tracker.observe(graph_run("running"))
                await tracker.watch("thread-1", "run-1")
                await until(lambda: server.count(f"GET {RUN}") == 1)
                await until(lambda: "run-1" in tracker.troubles)
                status = tracker.sources_status()["langgraph"]
                assert (status.refusing, status.breaker) == (None, "closed")
                clock.skip(6)
                await until(lambda: len(tracker.watching) == 1)
                assert [it.run_id for it in tracker.watching] == ["run-2"]
                await until(lambda: isinstance(tracker.history("run-1")[-1].event, RunVanished))
                assert tracker.sources_status()["langgraph"].refusing is None

    asyncio.run(main())


@pytest.mark.parametrize(
    ("run", "state", "status"),
    [
        # Duragraph and aegra call a run that waits for a person interrupted.
        (graph_run("interrupted"), thread_state({"id": "i1"}, after=["ask"]), "requires_action"),
        (graph_run("interrupted"), thread_state(after=["ask"]), "cancelled"),
        (graph_run("interrupted", cancel_reason="by ann"), thread_state(), "cancelled"),
        # Functions of Azure have no checkpointer unless one is configured.
        (graph_run("success"), {"detail": "Checkpoint not found"}, "completed"),
        (graph_run("error", error="boom"), {"detail": "Checkpoint not found"}, "failed"),
    ],
)
def test_what_look_alikes_call_interrupted_or_have_no_state_of(
    run: dict[str, Any], state: Any, status: str
) -> None:
    answers = [
        {"asked": f"GET {RUN}", "body": run},
        {"asked": "GET /threads/thread-1/runs", "body": [run]},
        {
            "asked": "GET /threads/thread-1/state",
            "status": 404 if "detail" in state else 200,
            "body": state,
        },
    ]

    async def main() -> None:
        server = CaseServer(answers)
        async with listening(server.serve) as port:
            source = LangGraph(f"http://127.0.0.1:{port}")
            async with Tracker("memory://", source, cadence=QUICK) as tracker:
                await tracker.watch("thread-1", "run-1")
                found = await tracker.wait("run-1", until="actionable", timeout=60)
                assert (found.status, found.incomplete_reason) == (status, run.get("cancel_reason"))

    asyncio.run(main())


@pytest.mark.parametrize("stopped", [True, False])
def test_a_webhook_that_does_not_tell_has_the_server_asked(stopped: bool) -> None:
    run = graph_run("success")
    state = thread_state(after=["work"] if stopped else [])
    answers = [
        {"asked": f"GET {RUN}", "body": run},
        {"asked": "GET /threads/thread-1/runs", "body": [run]},
        {"asked": "GET /threads/thread-1/state", "body": state},
    ]

    async def main() -> None:
        server = CaseServer(answers)
        async with listening(server.serve) as port:
            source = LangGraph(f"http://127.0.0.1:{port}")
            async with Tracker("memory://", source, cadence=QUICK) as tracker:
                assert tracker.observe({**run, "values": {"messages": []}}) == []
                with pytest.raises(UnknownRun):
                    tracker.history("run-1")
                await until(lambda: server.count("GET /threads/thread-1/state") > 0)
                found = await tracker.wait("run-1", until="actionable", timeout=20)
                assert found.status == ("requires_action" if stopped else "completed")

    asyncio.run(main())


def test_documents_that_are_of_no_use_do_not_open_the_breaker() -> None:
    """Ten runs whose answers are about others, beside one that lives."""
    lives = graph_run("running", 2) | {"thread_id": "thread-2"}
    odd = [
        {"asked": f"GET /threads/t{number}/runs/r{number}", "body": {"status": "running"}}
        for number in range(10)
    ]
    answers = [*odd, {"asked": "GET /threads/thread-2/runs/run-2", "body": lives}]

    async def main() -> None:
        server = CaseServer(answers)
        async with listening(server.serve) as port:
            source = LangGraph(f"http://127.0.0.1:{port}")
            async with Tracker("memory://", source, cadence=QUICK) as tracker:
                for number in range(10):
                    await tracker.watch(f"t{number}", f"r{number}")
                await until(lambda: len(server.asked) >= 25)
                assert tracker.sources_status()["langgraph"].breaker == "closed"
                await tracker.watch("thread-2", "run-2")
                await until(lambda: server.count("GET /threads/thread-2/runs/run-2") > 0)
                assert tracker.sources_status()["langgraph"].breaker == "closed"
                assert len(tracker.troubles) == 10

    asyncio.run(main())
