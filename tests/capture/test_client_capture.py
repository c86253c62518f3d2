"""Clients that can be captured (blocking, plain, Azure), and those that cannot."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from openai import AsyncAzureOpenAI

from tests.support.official_client import IGNORES_DEPRECATIONS
from tests.support.scripted_server import NOW, ScriptedServer, run_of
from tests.support.silent_sources import SilentAssistants
from tests.support.tracker_settings import QUEUED
from tracker import BackgroundTracker, Tracker
from tracker.core.events import Event, RunCancelled, RunCompleted, RunCreated
from tracker.errors import NotFound, SettingsError
from tracker.simulator import Simulator
from tracker.sources import LangGraph, Responses

pytestmark = [pytest.mark.integration, *IGNORES_DEPRECATIONS]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=QUEUED, many_active=True) as running:
        yield running


def event_types(
    tracker: Tracker | BackgroundTracker, run_id: str, **source: str
) -> list[type[Event]]:
    return [type(entry.event) for entry in tracker.history(run_id, **source)]


def test_a_blocking_client_beside_a_tracker_on_an_event_loop(
    tmp_path: Path, simulator: Simulator
) -> None:
    async def scenario() -> None:
        api = SilentAssistants(simulator.base_url)
        tracker = Tracker(f"sqlite:///{tmp_path}/runs.db", api)
        with httpx.Client(base_url=simulator.base_url) as client:
            tracker.capture(client)
            async with tracker:
                path = f"/threads/{simulator.create_thread()}/runs"
                body = {"assistant_id": "asst_1"}
                made = await asyncio.to_thread(client.post, path, json=body)
                assert event_types(tracker, made.json()["id"]) == [RunCreated]
                # On the loop itself nobody waits for the loop; leaving does.
                again = client.post(path, json=body).json()["id"]  # noqa: ASYNC212
            with Tracker(f"sqlite:///{tmp_path}/runs.db", api).in_background() as later:
                assert event_types(later, again) == [RunCreated]

    asyncio.run(scenario())


def test_blocking_responses(database_url: str, simulator: Simulator) -> None:
    with Tracker(database_url, Responses(simulator.base_url)).in_background() as tracker:
        made = tracker.responses.create(model="gpt-5", input="Hi")
        assert [state.run_id for state in tracker.watching] == [made.id]
        assert tracker.responses.retrieve(made.id).status == "queued"
        assert tracker.responses_of("responses").cancel(made.id).status == "cancelled"
        assert event_types(tracker, made.id) == [RunCreated, RunCancelled]
        with pytest.raises(SettingsError, match="nobody"):
            tracker.responses_of("nobody").retrieve(made.id)
        with pytest.raises(NotFound):
            tracker.responses.retrieve("resp_0")
        with pytest.raises(SettingsError, match="0 sources"):
            tracker.runs.retrieve("thread_1", "run_1")
    with pytest.raises(SettingsError, match="does not run"):
        _ = tracker.responses


def test_plain_httpx_and_a_thread_that_comes_with_its_run(
    tmp_path: Path, simulator: Simulator
) -> None:
    async def scenario() -> None:
        api = SilentAssistants(simulator.base_url)
        async with (
            Tracker(f"sqlite:///{tmp_path}/runs.db", api) as tracker,
            httpx.AsyncClient(base_url=simulator.base_url) as given,
        ):
            client = tracker.capture(given)
            # Twice is once.
            assert tracker.capture(client) is given
            made = await client.post("/threads/runs", json={"assistant_id": "asst_1"})
            [watched] = tracker.watching
            assert (watched.run_id, watched.thread_id) == (
                made.json()["id"],
                made.json()["thread_id"],
            )
            assert len(given.event_hooks["request"]) == 1
            await client.post(f"/threads/{watched.thread_id}/runs/{watched.run_id}/cancel")
            assert len(tracker.history(watched.run_id)) == 2

    asyncio.run(scenario())


def test_the_client_of_azure(tmp_path: Path) -> None:
    async def scenario() -> None:
        service = ScriptedServer(run_of("queued"), run_of("completed", completed_at=NOW))
        async with service.serving() as url:
            endpoint = url.removesuffix("/v1")
            api = SilentAssistants(f"{endpoint}/openai", api_version="2025-05-01", beta=None)
            given = AsyncAzureOpenAI(
                azure_endpoint=endpoint, api_key="sk-4f1d9c22b7", api_version="2025-05-01"
            )
            async with Tracker(f"sqlite:///{tmp_path}/runs.db", api) as tracker, given:
                runs = tracker.capture(given).beta.threads.runs
                for _ in range(2):
                    await runs.retrieve("run_1", thread_id="thread_1")
                assert event_types(tracker, "run_1")[-1] is RunCompleted
            assert all(b" /openai/threads/thread_1/runs/run_1?" in head for head in service.heads)

    asyncio.run(scenario())


def test_what_cannot_be_captured_says_so(simulator: Simulator) -> None:
    tracker = Tracker("memory://", SilentAssistants(simulator.base_url))
    with pytest.raises(SettingsError, match="object cannot be captured"):
        tracker.capture(object())
    with httpx.Client() as client:
        with pytest.raises(SettingsError, match="nobody"):
            tracker.capture(client, source="nobody")
        with pytest.raises(SettingsError, match="only calls to Assistants and Responses"):
            Tracker("memory://", LangGraph(simulator.base_url)).capture(client)
        assert client.event_hooks == {"request": [], "response": []}
