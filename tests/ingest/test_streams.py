"""Streams of a simulated service over real HTTP, and the histories that they give."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, OpenAI

from projections import Views
from tests.support.official_client import IGNORES_DEPRECATIONS
from tests.support.stream_settings import SLOW, STREAMED, topics
from tests.support.tracker_settings import QUICK
from tracker import Tracker
from tracker.core.events import RunCompleted, RunStepRecorded
from tracker.simulator import Faults, Parameters, Simulator
from tracker.sources import Assistants, Responses

TOOL: Any = {"type": "function", "function": {"name": "price", "parameters": {"type": "object"}}}

pytestmark = [pytest.mark.integration, *IGNORES_DEPRECATIONS]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=STREAMED) as running:
        yield running


def test_a_run_is_recorded_from_its_stream_alone(database_url: str, simulator: Simulator) -> None:
    simulator.parameters = replace(STREAMED, action=1.0, max_actions=1)

    async def scenario() -> str:
        source = Assistants(simulator.base_url)
        async with (
            AsyncOpenAI(
                api_key="sk-4f1d9c22b7", base_url=simulator.base_url, max_retries=0
            ) as client,
            Tracker(database_url, source, cadence=SLOW, steps="never", resume=False) as tracker,
        ):
            runs = client.beta.threads.runs
            thread = await client.beta.threads.create()
            first = await runs.create(thread.id, assistant_id="asst_1", tools=[TOOL], stream=True)
            event: Any = None
            async for event in tracker.observing(first):
                if event.event.startswith("thread.run.") and event.event.count(".") == 2:
                    # It is durable by the time that it is passed on.
                    assert topics(tracker, event.data.id)
            assert event.event == "thread.run.requires_action"
            run_id = event.data.id
            state = await tracker.wait(run_id, timeout=300, until="actionable")
            outputs: Any = [{"tool_call_id": call.id, "output": "1"} for call in state.tool_calls]
            # Stamps are of whole seconds, and the next start has to have another.
            await asyncio.sleep(1.1)
            second = await runs.submit_tool_outputs(
                run_id, thread_id=thread.id, tool_outputs=outputs, stream=True
            )
            said = [event async for event in tracker.observing(second)]
            assert said[-1].event == "thread.run.completed"
            assert (await tracker.wait(run_id, timeout=300)).status == "completed"
            assert tracker.watching == []
            # Every request was one of the client's.
            assert simulator.traffic == {"200": 3}
            recorded = [entry.event for entry in tracker.history(run_id)]
            steps = [event.step_id for event in recorded if isinstance(event, RunStepRecorded)]
            assert sorted(steps) == sorted(step.id for step in simulator.truth(run_id).steps)
        return run_id

    run_id = asyncio.run(scenario())
    truth = simulator.truth(run_id)
    with Views(database_url) as views:
        views.upgrade()
        views.catch_up()
        row = views.run(run_id)
        assert truth.usage is not None
        assert (row.outcome, row.total_tokens) == ("completed", truth.usage.total_tokens)
        assert [phase.status for phase in views.phases(run_id)] == [
            status for status, _ in truth.transitions[:-1]
        ]
        assert views.verify() == []


@pytest.mark.parametrize("end", ["completed", "failed", "incomplete"])
def test_a_response_is_recorded_from_the_bytes_of_its_stream(
    database_url: str, simulator: Simulator, end: Any
) -> None:
    simulator.parameters = Parameters.ending(end, action=0.0, time_scale=0.02, stretched=0.0)

    async def scenario() -> None:
        body = {"model": "gpt-5", "input": "Hi", "background": True, "stream": True}
        source = Responses(simulator.base_url)
        async with (
            httpx.AsyncClient(base_url=simulator.base_url) as client,
            Tracker(database_url, source, cadence=SLOW, resume=False) as tracker,
            client.stream("POST", "/responses", json=body) as answer,
        ):
            passed = [piece async for piece in tracker.observing(answer.aiter_raw(7))]
            whole = b"".join(passed)
            assert {len(piece) for piece in passed[:-1]} == {7}
            last = json.loads(whole.strip().rpartition(b"data: ")[2])
            run_id, usage = last["response"]["id"], last["response"]["usage"]
            state = await tracker.wait(run_id, timeout=300)
            assert state.status == end
            assert (state.usage and state.usage.total_tokens) == (usage and usage["total_tokens"])
            assert simulator.traffic == {"200": 1}

    asyncio.run(scenario())


@pytest.mark.parametrize("api", ["assistants", "responses"])
def test_a_stream_that_breaks_loses_nothing_and_its_run_is_polled_on(
    database_url: str, simulator: Simulator, api: str
) -> None:
    simulator.faults = Faults(cut=1.0, posts=True)

    async def scenario() -> None:
        url = simulator.base_url
        sources = Assistants(url), Responses(url)
        path, body = "/responses", {"model": "gpt-5", "background": True, "stream": True}
        if api == "assistants":
            path = f"/threads/{simulator.create_thread()}/runs"
            body = {"assistant_id": "asst_1", "stream": True}
        async with (
            httpx.AsyncClient(base_url=url) as client,
            Tracker(database_url, *sources, cadence=QUICK) as tracker,
        ):
            async with client.stream("POST", path, json=body) as answer:
                got, broken = b"", None
                try:
                    async for piece in tracker.observing(answer.aiter_bytes()):
                        got += piece
                except httpx.RemoteProtocolError as error:
                    broken = error
            assert broken is not None
            simulator.faults = Faults()
            seen = [state.run_id for state in tracker.watching]
            assert len(seen) == 1
            # Broken within an event, after some were whole.
            assert not got.endswith(b"\n\n")
            assert b"completed" not in got.rpartition(b"\n\n")[0].replace(b'"completed_at"', b"")
            assert topics(tracker, seen[0])[0] == "run.created"
            state = await tracker.wait(seen[0], timeout=300)
            assert (state.status, state.source) == ("completed", api)
            assert isinstance(tracker.history(seen[0])[-1].event, RunCompleted)

    asyncio.run(scenario())


def test_without_an_event_loop(database_url: str, simulator: Simulator) -> None:
    tracker = Tracker(database_url, Responses(simulator.base_url), cadence=SLOW, resume=False)
    with (
        tracker.in_background() as background,
        OpenAI(
            api_key="sk-4f1d9c22b7", base_url=simulator.base_url, max_retries=0, timeout=300
        ) as client,
    ):
        stream = client.responses.create(model="gpt-5", input="Hi", background=True, stream=True)
        events: list[Any] = list(background.observing(stream))
        assert events[-1].type == "response.completed"
        run_id = events[-1].response.id
        assert topics(background, run_id)[-1] == "run.completed"
        assert simulator.traffic == {"200": 1}
