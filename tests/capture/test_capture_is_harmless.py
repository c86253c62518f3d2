"""Failures of a capture: the application still gets the answer that it would get without."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from tests.support.silent_sources import SilentAssistants, SilentResponses
from tests.support.tracker_settings import QUEUED
from tests.support.waiting import PATIENCE
from tracker import Tracker
from tracker.core.events import RunCompleted, RunCreated
from tracker.errors import UnknownRun
from tracker.simulator import Faults, Parameters, Simulator

SHORT: dict[str, Any] = {"time_scale": 0.02, "stretched": 0.0}
PLAIN = Parameters.ending("completed", action=0.0, **SHORT)
KEY = "sk-test-4f1d9c22b7-7e0a"
RUN = {"id": "run_1", "object": "thread.run", "thread_id": "thread_1", "status": "queued"}
PATH = "/threads/thread_1/runs/run_1"
HOST = "https://service.example/v1"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:The Assistants API is deprecated:DeprecationWarning"),
]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=PLAIN, many_active=True, api_key=KEY) as running:
        yield running


def official(simulator: Simulator, **settings: Any) -> AsyncOpenAI:
    return AsyncOpenAI(
        api_key=KEY, base_url=simulator.base_url, **{"timeout": PATIENCE, **settings}
    )


def event_types(tracker: Tracker, run_id: str, source: str | None = None) -> list[type]:
    return [type(entry.event) for entry in tracker.history(run_id, source=source)]


def make_client(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url=HOST)


def test_a_tracker_that_is_closed_in_the_middle(
    tmp_path: Path, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    simulator.parameters = QUEUED

    async def scenario() -> None:
        tracker = Tracker(f"sqlite:///{tmp_path}/runs.db", SilentAssistants(simulator.base_url))
        async with official(simulator) as given:
            runs, thread = tracker.capture(given).beta.threads.runs, simulator.create_thread()
            early = await runs.create(thread, assistant_id="asst_1")
            async with tracker:
                creates = [runs.create(thread, assistant_id="asst_1") for _ in range(20)]
                under_way = asyncio.gather(*creates)
                await asyncio.sleep(0.05)
            made = await under_way
            late = [await runs.retrieve(early.id, thread_id=thread) for _ in range(3)]
            assert [run.status for run in late] == ["queued"] * 3
            async with tracker:
                await runs.retrieve(early.id, thread_id=thread)
                assert event_types(tracker, early.id) == [RunCreated]
            assert len({run.id for run in made}) == 20

    asyncio.run(scenario())
    # It is said once, and says what to do.
    assert caplog.text.count("a call is not captured: the tracker is not open") == 1
    assert KEY not in caplog.text


def test_the_retries_of_the_client_come_through(tmp_path: Path, simulator: Simulator) -> None:
    simulator.faults = Faults(
        rate_limited=0.3, server_error=0.2, reset=0.1, posts=True, retry_after=0.01
    )

    async def scenario() -> None:
        tracker = Tracker(f"sqlite:///{tmp_path}/runs.db", SilentAssistants(simulator.base_url))
        async with tracker, official(simulator, max_retries=30) as given:
            runs, thread = tracker.capture(given).beta.threads.runs, simulator.create_thread()
            run = await runs.create(thread, assistant_id="asst_1")
            assert event_types(tracker, run.id) == [RunCreated]
            simulator.faults = Faults(server_error=0.4)
            for _ in range(5000):
                run = await runs.retrieve(run.id, thread_id=thread)
                if run.status == "completed":
                    break
                await asyncio.sleep(0.02)
            assert event_types(tracker, run.id)[-1] is RunCompleted
            simulator.faults = Faults(unavailable=1.0)
            with pytest.raises(openai.InternalServerError):
                await given.with_options(max_retries=0).beta.threads.runs.retrieve(
                    run.id, thread_id=thread
                )

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "fault", ["truncated", "malformed", "html", "empty", "wrong_id", "huge", "gzip_bomb"]
)
def test_garbage_passes_as_it_came_and_is_not_believed(
    tmp_path: Path, simulator: Simulator, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    simulator.parameters = QUEUED
    run = simulator.create_run()
    path = f"/threads/{run.thread_id}/runs/{run.run_id}"

    async def scenario() -> None:
        tracker = Tracker(f"sqlite:///{tmp_path}/runs.db", SilentAssistants(simulator.base_url))
        headers = {"authorization": f"Bearer {KEY}"}
        async with (
            tracker,
            httpx.AsyncClient(base_url=simulator.base_url, headers=headers) as plain,
            httpx.AsyncClient(base_url=simulator.base_url, headers=headers) as given,
        ):
            client = tracker.capture(given)
            await client.get(path)
            assert event_types(tracker, run.run_id) == [RunCreated]
            simulator.faults = Faults(**{fault: 1.0})  # type: ignore[arg-type]
            answers = [await asker.get(path) for asker in (plain, client, client)]
            assert answers[0].status_code == answers[1].status_code == 200
            if fault != "wrong_id":
                assert answers[0].content == answers[1].content == answers[2].content
            assert event_types(tracker, run.run_id) == [RunCreated]
            assert [state.run_id for state in tracker.watching] == []

    asyncio.run(scenario())
    logged = [record for record in caplog.records if record.name == "runfold.capture"]
    # A page is no answer of the API.
    assert len(logged) == (0 if fault == "html" else 1)
    assert KEY not in caplog.text
    assert "asst_" not in "".join(record.getMessage() for record in logged)


def test_streams_reach_the_application_chunk_by_chunk() -> None:
    sent: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        whole = json.dumps(RUN).encode()
        for number, start in enumerate(range(0, len(whole), 20)):
            sent.append(number)
            yield whole[start : start + 20]

    async def scenario(kind: str, path: str) -> list[bytes]:
        def answer(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, headers={"content-type": kind}, content=body())

        sent.clear()
        chunks = []
        async with (
            Tracker("memory://", SilentAssistants(HOST)) as tracker,
            make_client(answer) as it,
        ):
            async with tracker.capture(it).stream("GET", path) as response:
                async for chunk in response.aiter_raw():
                    chunks.append(chunk)
                    # Nobody has read ahead.
                    assert len(sent) == len(chunks)
            if kind == "application/json" and path == PATH:
                assert event_types(tracker, "run_1") == [RunCreated]
            else:
                with pytest.raises(UnknownRun):
                    tracker.history("run_1")
        return chunks

    for kind in ("application/json", "text/event-stream"):
        for path in (PATH, "/models", "https://elsewhere.example/v1" + PATH):
            chunks = asyncio.run(scenario(kind, path))
            assert (len(chunks) > 2, b"".join(chunks)) == (True, json.dumps(RUN).encode())


def test_a_body_that_is_not_read_or_packed_or_read_before() -> None:
    packed = gzip.compress(json.dumps(RUN).encode())

    async def reads(response: httpx.Response) -> None:
        await response.aread()

    async def scenario() -> None:
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        given = make_client(lambda _: httpx.Response(200, headers=headers, content=_chunks(packed)))
        async with Tracker("memory://", SilentAssistants(HOST)) as tracker, given as client:
            tracker.capture(client)
            async with client.stream("GET", PATH):
                pass
            with pytest.raises(UnknownRun):
                tracker.history("run_1")
            assert (await client.get(PATH)).json() == RUN
            assert event_types(tracker, "run_1") == [RunCreated]
        given = make_client(lambda _: httpx.Response(200, headers=headers, content=_chunks(packed)))
        given.event_hooks["response"].append(reads)
        async with Tracker("memory://", SilentAssistants(HOST)) as tracker, given as client:
            tracker.capture(client)
            assert (await client.get(PATH)).json() == RUN
            assert event_types(tracker, "run_1") == [RunCreated]

    asyncio.run(scenario())


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 7):
        yield body[start : start + 7]


def test_responses_that_come_whole_are_not_tracked_but_end_waits() -> None:
    waiting = {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "background": True,
        "output": [{"type": "function_call", "call_id": "call_1", "name": "f", "arguments": ""}],
    }
    whole = {"id": "resp_2", "object": "response", "status": "completed", "background": False}

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=whole if request.method == "POST" else waiting)

    async def scenario() -> None:
        async with (
            Tracker("memory://", SilentResponses(HOST)) as tracker,
            make_client(answer) as it,
        ):
            client = tracker.capture(it)
            await client.get("/responses/resp_1")
            assert event_types(tracker, "resp_1")[-1] is not RunCompleted
            answers = [{"type": "function_call_output", "call_id": "call_1", "output": "1"}]
            sent = {"input": answers, "previous_response_id": "resp_1"}
            await client.post("/responses", json=sent)
            assert event_types(tracker, "resp_1")[-1] is RunCompleted
            with pytest.raises(UnknownRun):
                tracker.history("resp_2")

    asyncio.run(scenario())
