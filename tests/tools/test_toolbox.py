"""Tools of a tracker: every run that waits for them is answered once."""

import asyncio
import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.tracker_settings import QUICK, TOOLS, tracker_of
from tests.support.waiting import block_until, until
from tracker import Delivery, Tracker, open_event_store
from tracker.core.events import RunActionRequired, ToolOutputsSubmitted
from tracker.errors import SettingsError, ToolInterrupted
from tracker.simulator import Simulator
from tracker.sources import AgentTurns, LangGraph, Responses
from tracker.tools.journal import open_journal

pytestmark = pytest.mark.integration

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture(autouse=True)
def asking(simulator: Simulator) -> None:
    simulator.parameters = TOOLS


async def create(tracker: Tracker, simulator: Simulator, *tools: dict[str, Any]) -> str:
    run = await tracker.runs.create(
        simulator.create_thread(), assistant_id="asst_1", tools=list(tools) or [WEATHER]
    )
    return run.id


def submitted(tracker: Tracker, run: str) -> list[str]:
    events = [it.event for it in tracker.history(run)]
    found = [it.tool_call_ids for it in events if isinstance(it, ToolOutputsSubmitted)]
    return [call for calls in found for call in calls]


def test_tools_of_both_colours_answer_their_calls(database_url: str, simulator: Simulator) -> None:
    tracker = tracker_of(database_url, simulator)
    asked: list[tuple[str, str]] = []
    threads: set[str] = set()

    @tracker.tool
    async def get_weather(city: str, unit: str = "celsius") -> str:
        asked.append((city, unit))
        return "mild"

    @tracker.tool("find_order")
    def look_up(order_number: str, with_items: bool) -> dict[str, object]:
        threads.add(threading.current_thread().name)
        return {"number": order_number, "items": with_items}

    order = {"type": "function", "function": {"name": "find_order"}}

    async def scenario() -> None:
        async with tracker:
            runs = [await create(tracker, simulator, WEATHER, order) for _ in range(6)]
            states = [await tracker.wait(run, timeout=300) for run in runs]
            assert {state.status for state in states} == {"completed"}
            for run in runs:
                calls = submitted(tracker, run)
                assert len(calls) == len(set(calls)) > 0

    asyncio.run(scenario())
    assert simulator.traffic["400"] == 0
    assert asked or threads
    assert all(it.startswith("runfold-tools") for it in threads)


@pytest.mark.parametrize("is_plain", [False, True])
def test_twenty_runs_that_wait_are_answered_at_once(
    tmp_path: Path, simulator: Simulator, is_plain: bool
) -> None:
    tracker = tracker_of(f"sqlite:///{tmp_path}/runs.db", simulator)
    begun: list[str] = []

    def look_up(city: str, unit: str = "celsius") -> str:
        begun.append(city)
        # The first calls of all runs are under way at once, or this fails.
        block_until(lambda: len(begun) >= 20)
        return "mild"

    async def look_up_on_loop(city: str, unit: str = "celsius") -> str:
        begun.append(city)
        await until(lambda: len(begun) >= 20)
        return "mild"

    tracker.tool("get_weather")(look_up if is_plain else look_up_on_loop)

    async def scenario() -> None:
        async with tracker:
            runs = [await create(tracker, simulator, WEATHER) for _ in range(20)]
            for run in runs:
                assert (await tracker.wait(run, timeout=300)).status == "completed"

    asyncio.run(scenario())


def test_an_error_is_an_output_in_words(tmp_path: Path, simulator: Simulator) -> None:
    tracker = tracker_of(f"sqlite:///{tmp_path}/runs.db", simulator)
    sent: list[str] = []
    errors: list[Exception] = []

    def explain(error: Exception) -> str:
        errors.append(error)
        return "ask again later"

    @tracker.tool
    def get_weather(city: int) -> str:
        raise AssertionError("its arguments do not fit")

    @tracker.tool("find_order", on_error=explain)
    async def look_up(order_number: str, with_items: bool) -> str:
        raise KeyError(order_number)

    _note_outputs(tracker, sent)
    order = {"type": "function", "function": {"name": "find_order"}}

    async def scenario() -> None:
        async with tracker:
            for tool in (WEATHER, order):
                run = await create(tracker, simulator, tool)
                assert (await tracker.wait(run, timeout=300)).status == "completed"

    asyncio.run(scenario())
    assert any(it.startswith("Error: the arguments of get_weather do not fit: city") for it in sent)
    assert "ask again later" in sent
    assert [type(it) for it in errors] == [KeyError] * len(errors)


def _note_outputs(tracker: Tracker, sent: list[str]) -> None:
    """Notes the outputs that the source sends."""
    source: Any = tracker._sources["assistants"]
    submit = source.submit_tool_outputs

    async def note(thread: str, run: str, outputs: list[dict[str, str]], **more: Any) -> Any:
        sent.extend(it["output"] for it in outputs)
        return await submit(thread, run, outputs, **more)

    source.submit_tool_outputs = note


def test_calls_without_a_tool_are_left_to_handlers(tmp_path: Path, simulator: Simulator) -> None:
    tracker = tracker_of(f"sqlite:///{tmp_path}/runs.db", simulator)
    seen: list[str] = []

    @tracker.tool
    async def nobody_asks_for_this() -> str:
        raise AssertionError

    @tracker.on(RunActionRequired)
    async def answer(delivery: Delivery) -> None:
        assert isinstance(delivery.event, RunActionRequired)
        seen.append(delivery.run_id)
        outputs = [{"tool_call_id": it.id, "output": "1"} for it in delivery.event.tool_calls]
        await tracker.runs.submit_tool_outputs(delivery.thread_id, delivery.run_id, outputs)

    async def scenario() -> None:
        async with tracker:
            run = await create(tracker, simulator)
            assert (await tracker.wait(run, timeout=300)).status == "completed"
            assert seen == [run]
            await until(
                lambda: tracker.deliveries()[0].position == tracker.deliveries()[1].position
            )

    asyncio.run(scenario())


def test_a_run_that_others_answered_meanwhile_is_left_alone(
    tmp_path: Path, simulator: Simulator
) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"

    async def wait_for_action() -> str:
        async with tracker_of(url, simulator) as tracker:
            run = await create(tracker, simulator)
            await tracker.wait(run, timeout=300, until="actionable")
            return run

    called: list[str] = []

    async def serve(run: str) -> None:
        tracker = tracker_of(url, simulator, resume=False)

        @tracker.tool
        def get_weather(city: str, unit: str) -> str:
            called.append(city)
            return "mild"

        async with tracker:
            await until(lambda: tracker.deliveries()[0].position >= last)

    store = open_event_store(url)
    # A tracker with tools was here before: the name has its checkpoint.
    last = 0
    asyncio.run(serve(""))
    run = asyncio.run(wait_for_action())
    simulator.submit_outputs(run)
    last = store.last_position()
    store.close()
    asyncio.run(serve(run))
    assert called == []


@pytest.mark.parametrize("has_finished", [True, False])
def test_a_call_that_is_made_once_is_not_made_again(
    database_url: str, simulator: Simulator, has_finished: bool
) -> None:
    store, sent = open_event_store(database_url), []
    journal = open_journal(store)
    errors: list[Exception] = []

    def explain(error: Exception) -> str:
        errors.append(error)
        return str(error)

    def make_tracker() -> Tracker:
        tracker = tracker_of(database_url, simulator)

        @tracker.tool(once=True, on_error=explain)
        def get_weather(city: str, unit: str) -> str:
            raise AssertionError("made twice")

        @tracker.on(RunActionRequired, name="before")
        async def kill(delivery: Delivery) -> None:
            pass

        _note_outputs(tracker, sent)
        return tracker

    async def scenario() -> None:
        tracker = make_tracker()
        begin = type(journal).begin

        # As if a process had been killed between its calls and their submission.
        def begin_again(self: Any, stream: str, call_id: str) -> Any:
            begin(self, stream, call_id)
            if has_finished:
                self.finish(stream, call_id, "mild")
            return begin(self, stream, call_id)

        type(journal).begin = begin_again  # type: ignore[method-assign]
        try:
            async with tracker:
                run = await create(tracker, simulator)
                assert (await tracker.wait(run, timeout=300)).status == "completed"
        finally:
            type(journal).begin = begin  # type: ignore[method-assign]

    asyncio.run(scenario())
    store.close()
    if has_finished:
        assert (set(sent), errors) == ({"mild"}, [])
    else:
        assert all("may have been carried out" in it for it in sent)
        assert [type(it) for it in errors] == [ToolInterrupted] * len(sent)


def test_nothing_is_left_of_calls_that_are_answered(tmp_path: Path, simulator: Simulator) -> None:
    tracker = tracker_of(f"sqlite:///{tmp_path}/runs.db", simulator)
    calls: list[str] = []

    @tracker.tool(once=True)
    def get_weather(city: str, unit: str) -> str:
        calls.append(city)
        return "mild"

    async def scenario() -> None:
        async with tracker:
            run = await create(tracker, simulator)
            assert (await tracker.wait(run, timeout=300)).status == "completed"
            assert len(calls) == len(submitted(tracker, run))

    asyncio.run(scenario())
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database:
        assert database.execute("SELECT * FROM runfold_tool_calls").fetchall() == []


def test_a_blocking_tracker_has_tools_too(tmp_path: Path, simulator: Simulator) -> None:
    tracker = tracker_of(f"sqlite:///{tmp_path}/runs.db", simulator).in_background()

    @tracker.tool
    def get_weather(city: str, unit: str = "celsius") -> int:
        return len(tracker.watching)

    with tracker:
        run = tracker.runs.create(simulator.create_thread(), assistant_id="asst_1", tools=[WEATHER])
        assert tracker.wait(run.id, timeout=300).status == "completed"
        block_until(lambda: tracker.deliveries()[0].position > 1)


def test_a_response_is_continued_by_the_next_one(database_url: str, simulator: Simulator) -> None:
    source = Responses(simulator.base_url, api_key="key-4f1d9c22b7")
    tracker = Tracker(database_url, source, cadence=QUICK)
    cities: list[str] = []

    @tracker.tool
    async def get_weather(city: str, unit: str) -> str:
        cities.append(city)
        return "mild"

    tool = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}

    async def scenario() -> None:
        async with tracker:
            first = await tracker.responses.create(model="gpt-5", input="Hi", tools=[tool])
            state = await tracker.wait(first.id, timeout=300)
            assert state.status == "completed"
            assert submitted(tracker, first.id)
            await until(lambda: len(simulator_responses(simulator)) == 2)
            [_, second] = simulator_responses(simulator)
            await until(lambda: any(it.run_id == second for it in tracker.watching))
            assert (await tracker.wait(second, timeout=300)).status == "completed"

    asyncio.run(scenario())
    assert cities
    assert simulator.traffic["400"] == 0


def simulator_responses(simulator: Simulator) -> list[str]:
    return list(simulator._service.world.responses)


class GraphService:
    """A LangGraph server with a thread that stops at an interrupt, and goes on when resumed."""

    def __init__(self) -> None:
        self.resumed: list[Any] = []
        self.stop = {"id": "i1", "value": {"question": "Pay 12 €?"}}

    def answer(self, request: httpx.Request) -> httpx.Response:
        path, is_resumed = request.url.path, bool(self.resumed)
        if request.method == "POST":
            self.resumed.append(json.loads(request.content)["command"]["resume"])
            return httpx.Response(200, json=self.run(2))
        if path.endswith("/state"):
            task = {"id": "1", "name": "approve", "interrupts": [] if is_resumed else [self.stop]}
            return httpx.Response(200, json={"next": [], "tasks": [task], "values": {}})
        if path.endswith("/runs"):
            return httpx.Response(200, json=[self.run(2)] if is_resumed else [self.run(1)])
        return httpx.Response(200, json=self.run(int(path[-1])))

    @staticmethod
    def run(number: int) -> dict[str, Any]:
        stamp = f"2026-01-01T00:00:0{number}+00:00"
        return {
            "run_id": f"run_{number}",
            "thread_id": "thread_1",
            "assistant_id": "agent",
            "status": "success",
            "created_at": stamp,
            "updated_at": stamp,
            "metadata": {},
        }


def test_a_graph_is_resumed_with_the_value(tmp_path: Path) -> None:
    service = GraphService()
    transport = httpx.MockTransport(service.answer)
    source = LangGraph("http://127.0.0.1:9", transport=transport)
    tracker = Tracker(f"sqlite:///{tmp_path}/runs.db", source, cadence=QUICK)

    @tracker.tool
    def approve(question: str) -> bool:
        return question == "Pay 12 €?"

    async def scenario() -> None:
        async with tracker:
            await tracker.watch("thread_1", "run_1")
            assert (await tracker.wait("run_1", timeout=300)).status == "completed"
            assert (await tracker.wait("run_2", timeout=300)).status == "completed"

    asyncio.run(scenario())
    assert service.resumed == [True]


class SessionService:
    """An Agents service with a turn that waits for one call."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.events += json.loads(request.content)["events"]
            return httpx.Response(200)
        if "/turns" in request.url.path:
            return httpx.Response(200, json=self.turn())
        action = {
            "type": "function_call",
            "turn_id": "turn_1",
            "call_id": "call_1",
            "name": "get_weather",
            "arguments": '{"city": "Oslo"}',
        }
        actions = [] if self.events else [action]
        document = {"object": "agent.session", "id": "session_1", "required_actions": actions}
        return httpx.Response(200, json=document)

    def turn(self) -> dict[str, Any]:
        return {
            "id": "turn_1",
            "object": "agent.session.turn",
            "session_id": "session_1",
            "status": "completed" if self.events else "waiting",
            "created_at": 1767225600,
            "started_at": 1767225601,
            "completed_at": 1767225602 if self.events else None,
        }


def test_a_turn_gets_its_results_as_events(tmp_path: Path) -> None:
    service = SessionService()
    transport = httpx.MockTransport(service.answer)
    source = AgentTurns("http://127.0.0.1:9", transport=transport)
    tracker = Tracker(f"sqlite:///{tmp_path}/runs.db", source, cadence=QUICK)

    @tracker.tool
    async def get_weather(city: str) -> str:
        return f"mild in {city}"

    async def scenario() -> None:
        async with tracker:
            await tracker.watch("session_1", "turn_1")
            assert (await tracker.wait("turn_1", timeout=300)).status == "completed"
            assert submitted(tracker, "turn_1") == ["call_1"]

    asyncio.run(scenario())
    assert service.events == [
        {
            "type": "agent.session.input.tool_result",
            "turn_id": "turn_1",
            "call_id": "call_1",
            "success": True,
            "output": "mild in Oslo",
        }
    ]


def test_tools_are_registered_before_and_once(simulator: Simulator) -> None:
    tracker = tracker_of("memory://", simulator)
    tracker.tool(print_nothing)
    with pytest.raises(SettingsError, match="already"):
        tracker.tool("print_nothing")(print_nothing)
    tracker.tool("print_nothing", handlers="others")(print_nothing)

    async def scenario() -> None:
        async with tracker:
            with pytest.raises(SettingsError, match="before"):
                tracker.tool("late")(print_nothing)
            with pytest.raises(SettingsError, match="before"):
                tracker.tool("late", handlers="late")(print_nothing)
            assert [it.name for it in tracker.deliveries()] == ["tools", "others"]

    asyncio.run(scenario())


def print_nothing() -> None:
    """Does nothing."""
