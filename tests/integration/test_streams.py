"""Streams of a simulated service, read over real HTTP, and the histories that they leave."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, OpenAI

from projections import Views
from tracker import Tracker
from tracker.core.events import RunCompleted, RunStepRecorded
from tracker.errors import SettingsError, StoreUnavailable
from tracker.event_store import EventStore, open_event_store
from tracker.event_store.store import Append
from tracker.polling.cadence import Cadence
from tracker.simulator import Faults, Parameters, Simulator
from tracker.sources import Assistants, Responses

QUICK = Cadence(shortest=0.05, longest=0.2, start=200.0)
# A run that was seen is not looked at within any of these tests.
SLOW = Cadence(shortest=500, longest=1000)
PLAIN = Parameters.ending("completed", action=0.0, time_scale=0.05, stretched=0.0, answers="client")
TOOL: Any = {"type": "function", "function": {"name": "price", "parameters": {"type": "object"}}}

pytestmark = [
    pytest.mark.filterwarnings("ignore:The Assistants API is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning"),
]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=PLAIN) as running:
        yield running


def topics(tracker: Any, run_id: str) -> list[str]:
    return [entry.event.topic for entry in tracker.history(run_id)]


def test_a_run_is_recorded_from_its_stream_alone(database_url: str, simulator: Simulator) -> None:
    simulator.parameters = replace(PLAIN, action=1.0, max_actions=1)

    async def scenario() -> str:
        source = Assistants(simulator.base_url)
        async with (
            AsyncOpenAI(api_key="sk-1234", base_url=simulator.base_url, max_retries=0) as client,
            Tracker(database_url, source, cadence=SLOW, steps="never") as tracker,
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
            state = await tracker.wait(run_id, timeout=20, until="actionable")
            outputs: Any = [{"tool_call_id": call.id, "output": "1"} for call in state.tool_calls]
            # Stamps are of whole seconds, and the next start has to have another.
            await asyncio.sleep(1.1)
            second = await runs.submit_tool_outputs(
                run_id, thread_id=thread.id, tool_outputs=outputs, stream=True
            )
            said = [event async for event in tracker.observing(second)]
            assert said[-1].event == "thread.run.completed"
            assert (await tracker.wait(run_id, timeout=20)).status == "completed"
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
            Tracker(database_url, source, cadence=SLOW) as tracker,
            client.stream("POST", "/responses", json=body) as answer,
        ):
            passed = [piece async for piece in tracker.observing(answer.aiter_raw(7))]
            whole = b"".join(passed)
            assert {len(piece) for piece in passed[:-1]} == {7}
            last = json.loads(whole.strip().rpartition(b"data: ")[2])
            run_id, usage = last["response"]["id"], last["response"]["usage"]
            state = await tracker.wait(run_id, timeout=20)
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
            state = await tracker.wait(seen[0], timeout=20)
            assert (state.status, state.source) == ("completed", api)
            assert isinstance(tracker.history(seen[0])[-1].event, RunCompleted)

    asyncio.run(scenario())


async def given(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


RUN = {"id": "run_1", "object": "thread.run", "thread_id": "thread_1", "created_at": 1_767_225_600}
STEP = {**RUN, "id": "step_1", "object": "thread.run.step", "run_id": "run_1"}


def named(name: str, data: dict[str, Any] | str) -> str:
    return f"event: {name}\ndata: {data if isinstance(data, str) else json.dumps(data)}\n\n"


def test_what_comes_in_goes_out_whatever_it_is(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        source = Assistants("http://127.0.0.1:9/v1")
        async with Tracker("memory://", source, cadence=SLOW, steps="never") as tracker:

            async def through(items: Iterable[Any]) -> None:
                items = list(items)
                assert [item async for item in tracker.observing(given(items))] == items

            text = named("thread.run.queued", {**RUN, "status": "queued"})
            await through(text.splitlines())
            assert topics(tracker, "run_1") == ["run.created"]
            await through(
                [named("thread.run.in_progress", {**RUN, "status": "in_progress"}).encode()]
            )
            assert len(topics(tracker, "run_1")) == 2
            await through(
                [
                    b"\xff\x00",
                    memoryview(b"\n\n"),
                    b"event: thread.run.completed\ndata: {\n\n",
                    b"event: thread.run.completed\ndata: {}\n\n",
                    bytearray(b"event: thread.run.completed\ndata: [1]\n\n"),
                    b"event: thread.run.step.completed\ndata: {}\n\n",
                    b'event: thread.run.step.completed\ndata: {"run_id": "run_1"}\n\n',
                    b"event: thread.run.completed\ndata: " + b"x" * 2_500_000 + b"\n\n",
                    None,
                    {"event": "thread.run.completed", "data": 7},
                ]
            )
            assert len(topics(tracker, "run_1")) == 2
            await through(
                [{"event": "thread.run.completed", "data": {**RUN, "status": "completed"}}]
            )
            assert topics(tracker, "run_1")[-1] == "run.completed"
            with pytest.raises(SettingsError, match="has to be one line"):
                await through(["data: a\ndata: b"])

    with caplog.at_level(logging.WARNING, "runfold.streams"):
        asyncio.run(scenario())
    said = [record.getMessage() for record in caplog.records if record.name == "runfold.streams"]
    assert sum("cannot be read" in line for line in said) == 3
    assert sum("cannot be recorded" in line for line in said) == 3
    assert sum("too large" in line for line in said) == 1
    assert "xxx" not in "".join(said)


def test_a_single_event_may_be_observed() -> None:
    async def scenario() -> None:
        sources = Assistants("http://127.0.0.1:9/v1"), Responses("http://127.0.0.1:9/v1")
        async with Tracker("memory://", *sources) as tracker:
            queued = {"event": "thread.run.queued", "data": {**RUN, "status": "queued"}}
            assert len(tracker.observe(queued)) == 1
            assert tracker.observe(queued) == []
            assert tracker.observe({"event": "thread.message.delta", "data": {}}) == []
            step = {"event": "thread.run.step.completed", "data": {**STEP, "status": "completed"}}
            assert [event.topic for event in tracker.observe(json.dumps(step))] == [
                "run.step_recorded"
            ]
            assert tracker.observe(step) == []
            response = {"id": "resp_1", "object": "response", "status": "in_progress"}
            made = {"type": "response.in_progress", "sequence_number": 1, "response": response}
            assert len(tracker.observe(made)) == 2
            assert tracker.observe({"type": "response.output_text.delta", "delta": "x"}) == []

    asyncio.run(scenario())


def test_a_step_of_a_run_that_is_not_known_has_it_watched(simulator: Simulator) -> None:
    async def scenario() -> None:
        theirs = simulator.create_run()
        step = {**STEP, "run_id": theirs.run_id, "thread_id": theirs.thread_id}
        ended = {"event": "thread.run.step.completed", "data": {**step, "status": "completed"}}
        source = Assistants(simulator.base_url)
        async with Tracker("memory://", source, cadence=QUICK) as tracker:
            assert [event async for event in tracker.observing(given([ended]))] == [ended]
            assert (await tracker.wait(theirs.run_id, timeout=20)).status == "completed"

    asyncio.run(scenario())


def test_a_response_that_is_not_kept_is_not_asked_about(simulator: Simulator) -> None:
    async def scenario() -> None:
        sent = {"id": "resp_1", "object": "response", "store": False}
        events = [
            {"type": f"response.{status}", "response": {**sent, "status": status}}
            for status in ("created", "in_progress", "completed")
        ]
        source = Responses(simulator.base_url)
        async with Tracker("memory://", source, cadence=QUICK) as tracker:
            async for _ in tracker.observing(given(events)):
                assert tracker.watching == []
            assert topics(tracker, "resp_1")[-1] == "run.completed"
            assert not simulator.traffic

    asyncio.run(scenario())


class Failing:
    """An event store that fails while it is told to."""

    def __init__(self) -> None:
        self.fails = False
        self._store = open_event_store("memory://")

    def append(self, appends: list[Append]) -> None:
        if self.fails:
            raise StoreUnavailable("the disk is full")
        self._store.append(appends)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_a_store_that_fails_does_not_fail_the_stream(simulator: Simulator) -> None:
    async def scenario() -> None:
        theirs = simulator.create_run()
        store: Any = Failing()
        checked: EventStore = store
        source = Assistants(simulator.base_url)
        async with Tracker(checked, source, cadence=QUICK) as tracker:
            store.fails = True
            queued = {"event": "thread.run.queued", "data": simulator.body(theirs.run_id)}
            assert [event async for event in tracker.observing(given([queued]))] == [queued]
            store.fails = False
            assert (await tracker.wait(theirs.run_id, timeout=20)).status == "completed"

    asyncio.run(scenario())


def test_without_an_event_loop(database_url: str, simulator: Simulator) -> None:
    tracker = Tracker(database_url, Responses(simulator.base_url), cadence=SLOW)
    with (
        tracker.in_background() as background,
        OpenAI(api_key="sk-1234", base_url=simulator.base_url, max_retries=0) as client,
    ):
        stream = client.responses.create(model="gpt-5", input="Hi", background=True, stream=True)
        events: list[Any] = list(background.observing(stream))
        assert events[-1].type == "response.completed"
        run_id = events[-1].response.id
        assert topics(background, run_id)[-1] == "run.completed"
        assert simulator.traffic == {"200": 1}
