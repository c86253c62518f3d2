"""Captured clients: their own calls give complete histories."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from projections import Views
from tests.support.official_client import IGNORES_DEPRECATIONS
from tests.support.silent_sources import SilentAssistants, SilentResponses
from tests.support.tracker_settings import QUEUED, TOOLS
from tests.support.waiting import PATIENCE
from tracker import BackgroundTracker, Tracker
from tracker.core.events import (
    Event,
    RunActionRequired,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunMetadataChanged,
    RunStatusChanged,
    RunStepRecorded,
    ToolOutputsSubmitted,
)
from tracker.simulator import Simulator

POLL = {"poll_interval_ms": 20}

pytestmark = [pytest.mark.integration, *IGNORES_DEPRECATIONS]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=TOOLS, many_active=True) as running:
        yield running


def official(simulator: Simulator, **settings: Any) -> AsyncOpenAI:
    return AsyncOpenAI(
        api_key="sk-4f1d9c22b7", base_url=simulator.base_url, **{"timeout": PATIENCE, **settings}
    )


def blocking(simulator: Simulator, **settings: Any) -> OpenAI:
    return OpenAI(
        api_key="sk-4f1d9c22b7", base_url=simulator.base_url, **{"timeout": PATIENCE, **settings}
    )


def event_types(
    tracker: Tracker | BackgroundTracker, run_id: str, **source: str
) -> list[type[Event]]:
    return [type(entry.event) for entry in tracker.history(run_id, **source)]


def outputs_for(run: Any) -> list[Any]:
    calls = run.required_action.submit_tool_outputs.tool_calls
    return [{"tool_call_id": call.id, "output": "1"} for call in calls]


def check_rows(database_url: str, simulator: Simulator, *run_ids: str) -> None:
    """Checks that the rows agree with the simulator, and count each token once."""
    with Views(database_url) as views:
        views.upgrade()
        views.catch_up()
        total = 0
        for run_id in run_ids:
            truth, row = simulator.truth(run_id), views.run(run_id)
            assert truth.usage is not None
            assert (row.outcome, row.total_tokens) == ("completed", truth.usage.total_tokens)
            total += truth.usage.total_tokens
            assert all(action.resolved_at is not None for action in views.actions(run_id))
        assert sum(row.total_tokens or 0 for row in views.usage(by="model")) == total
        assert views.verify() == []


def test_runs_of_the_official_client(database_url: str, simulator: Simulator) -> None:
    async def scenario() -> str:
        api = SilentAssistants(simulator.base_url)
        async with Tracker(database_url, api) as tracker, official(simulator) as given:
            client = tracker.capture(given)
            assert client is given
            runs, thread = client.beta.threads.runs, (await client.beta.threads.create()).id
            run = await runs.create_and_poll(thread_id=thread, assistant_id="asst_1", **POLL)
            assert run.status == "requires_action"
            assert tracker.watching[0].needs_action
            run = await runs.submit_tool_outputs_and_poll(
                run_id=run.id, thread_id=thread, tool_outputs=outputs_for(run), **POLL
            )
            assert run.status == "completed"
            seen = event_types(tracker, run.id)
            assert seen[0] is RunCreated
            assert seen[-1] is RunCompleted
            assert seen.count(ToolOutputsSubmitted) == seen.count(RunActionRequired) == 1
            assert seen.index(RunActionRequired) < seen.index(ToolOutputsSubmitted)
            assert tracker.watching == []

            page = await runs.steps.list(run.id, thread_id=thread)
            ended = [step.id for step in page.data if step.status == "completed"]
            assert event_types(tracker, run.id).count(RunStepRecorded) == len(ended) > 0
            await runs.steps.retrieve(ended[0], run_id=run.id, thread_id=thread)
            assert event_types(tracker, run.id).count(RunStepRecorded) == len(ended)
            return run.id

    check_rows(database_url, simulator, asyncio.run(scenario()))


def test_a_change_is_decoded_once_however_often_it_is_asked_for(
    tmp_path: Path, simulator: Simulator
) -> None:
    simulator.parameters = QUEUED

    async def scenario() -> None:
        api = SilentAssistants(simulator.base_url)
        async with (
            Tracker(f"sqlite:///{tmp_path}/runs.db", api) as tracker,
            official(simulator) as given,
        ):
            runs, thread = tracker.capture(given).beta.threads.runs, simulator.create_thread()
            made = await runs.create(thread, assistant_id="asst_1")
            watched = tracker.watching
            assert [state.run_id for state in watched] == [made.id]
            before = api.decoded
            for _ in range(50):
                await runs.with_raw_response.retrieve(made.id, thread_id=thread)
            assert api.decoded - before <= 1
            theirs = simulator.create_run(thread)
            before = api.decoded
            for _ in range(10):
                await runs.retrieve(theirs.run_id, thread_id=thread)
                await runs.list(thread)
            # The one, and the page of both.
            assert api.decoded - before == 1 + 2
            assert event_types(tracker, theirs.run_id) == [RunCreated]
            # What somebody else made is watched by whom it is of concern to.
            assert tracker.watching == watched

            await runs.update(made.id, thread_id=thread, metadata={"team": "blue"})
            assert event_types(tracker, made.id)[-1] is RunMetadataChanged
            moment = datetime.now(UTC)
            await runs.retrieve(theirs.run_id, thread_id=thread)
            await runs.cancel(theirs.run_id, thread_id=thread)
            # Not before the last look that did not show it, though it was not recorded again.
            first = tracker.history(theirs.run_id)[1].event
            assert isinstance(first, RunStatusChanged | RunCancelled)
            assert first.not_before is not None
            assert moment <= first.not_before <= first.observed_at
            assert {state.run_id for state in tracker.watching} == {made.id, theirs.run_id}
            for _ in range(5000):
                run = await runs.retrieve(theirs.run_id, thread_id=thread)
                if run.status == "cancelled":
                    break
                await asyncio.sleep(0.02)
            assert event_types(tracker, theirs.run_id)[-1] is RunCancelled

    asyncio.run(scenario())


def test_responses_of_the_official_client(database_url: str, simulator: Simulator) -> None:
    simulator.parameters = replace(TOOLS, max_actions=1)
    ask: Any = {
        "model": "gpt-5",
        "background": True,
        "tools": [{"type": "function", "name": "look_up", "parameters": {}, "strict": False}],
    }

    async def scenario() -> list[str]:
        api = SilentResponses(simulator.base_url)
        async with Tracker(database_url, api) as tracker, official(simulator) as given:
            responses = tracker.capture(given).responses
            chain, response = [], await responses.create(input="Hi", **ask)
            while True:
                chain.append(response.id)
                assert tracker.watching[-1].run_id == response.id
                while response.status in ("queued", "in_progress"):
                    await asyncio.sleep(0.02)
                    response = await responses.retrieve(response.id)
                calls = [item for item in response.output if item.type == "function_call"]
                if not calls:
                    break
                given_back: Any = [
                    {"type": "function_call_output", "call_id": call.call_id, "output": "{}"}
                    for call in calls
                ]
                response = await responses.create(
                    input=given_back, previous_response_id=response.id, **ask
                )
            assert len(chain) > 1
            assert event_types(tracker, chain[0])[-2:] == [ToolOutputsSubmitted, RunCompleted]
            assert event_types(tracker, chain[-1])[-1] is RunCompleted
            assert tracker.watching == []

            simulator.parameters = QUEUED
            stopped = await responses.create(input="Hi", **ask)
            await responses.cancel(stopped.id)
            assert event_types(tracker, stopped.id)[-1] is RunCancelled
            return chain

    chain = asyncio.run(scenario())
    with Views(database_url) as views:
        views.upgrade()
        views.catch_up()
        assert [views.run(run_id).outcome for run_id in chain] == ["completed"] * len(chain)


def test_threads_with_a_blocking_client(database_url: str, simulator: Simulator) -> None:
    api, other = SilentAssistants(simulator.base_url), SilentResponses(simulator.base_url)
    with (
        blocking(simulator) as client,
        Tracker(database_url, api, other).in_background() as tracker,
    ):
        runs = tracker.capture(client.with_options(timeout=300)).beta.threads.runs

        def follow(number: int) -> str:
            thread = simulator.create_thread()
            run = runs.create_and_poll(thread_id=thread, assistant_id="asst_1", **POLL)
            assert tracker.wait(run.id, until="actionable", timeout=0).needs_action
            run = runs.submit_tool_outputs_and_poll(
                run_id=run.id, thread_id=thread, tool_outputs=outputs_for(run), **POLL
            )
            seen = event_types(tracker, run.id)
            assert (seen[0], seen[-1]) == (RunCreated, RunCompleted)
            assert seen.count(ToolOutputsSubmitted) == 1
            return run.id

        with ThreadPoolExecutor(4) as pool:
            run_ids = list(pool.map(follow, range(8)))
        simulator.parameters = QUEUED
        response = client.responses.create(model="gpt-5", input="Hi", background=True)
        client.responses.cancel(response.id)
        assert event_types(tracker, response.id) == [RunCreated, RunCancelled]
    check_rows(database_url, simulator, *run_ids)
