"""Streams passed in by hand: each item is passed on unchanged, and recording never fails them."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest

from tests.support.stream_settings import SLOW, STREAMED, topics
from tests.support.tracker_settings import QUICK
from tracker import Tracker
from tracker.errors import SettingsError, StoreUnavailable
from tracker.event_store import EventStore, open_event_store
from tracker.event_store.store import Append
from tracker.simulator import Simulator
from tracker.sources import Assistants, Responses

pytestmark = pytest.mark.integration


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=STREAMED) as running:
        yield running


async def stream_of(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


RUN = {"id": "run_1", "object": "thread.run", "thread_id": "thread_1", "created_at": 1_767_225_600}
STEP = {**RUN, "id": "step_1", "object": "thread.run.step", "run_id": "run_1"}


def encode_event(name: str, data: dict[str, Any] | str) -> str:
    return f"event: {name}\ndata: {data if isinstance(data, str) else json.dumps(data)}\n\n"


def test_what_comes_in_goes_out_whatever_it_is(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        source = Assistants("http://127.0.0.1:9/v1")
        async with Tracker("memory://", source, cadence=SLOW, steps="never") as tracker:

            async def through(items: Iterable[Any]) -> None:
                items = list(items)
                assert [item async for item in tracker.observing(stream_of(items))] == items

            text = encode_event("thread.run.queued", {**RUN, "status": "queued"})
            await through(text.splitlines())
            assert topics(tracker, "run_1") == ["run.created"]
            await through(
                [encode_event("thread.run.in_progress", {**RUN, "status": "in_progress"}).encode()]
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
            assert [event async for event in tracker.observing(stream_of([ended]))] == [ended]
            assert (await tracker.wait(theirs.run_id, timeout=300)).status == "completed"

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
            async for _ in tracker.observing(stream_of(events)):
                assert tracker.watching == []
            assert topics(tracker, "resp_1")[-1] == "run.completed"
            assert not simulator.traffic

    asyncio.run(scenario())


class Failing:
    """An event store that can be made to fail."""

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
            assert [event async for event in tracker.observing(stream_of([queued]))] == [queued]
            store.fails = False
            assert (await tracker.wait(theirs.run_id, timeout=300)).status == "completed"

    asyncio.run(scenario())
