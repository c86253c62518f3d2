"""Responses in the background: the official client, the simulator and a tracker."""

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from openai import AsyncOpenAI

from projections import Views
from tests.support.official_client import IGNORES_DEPRECATIONS
from tests.support.responses_settings import ASKING, TOOLS
from tests.support.tracker_pairs import count_shards
from tests.support.tracker_settings import PLAIN, QUICK
from tests.support.waiting import until
from tracker import Tracker
from tracker.core.events import RunCompleted, RunVanished, ToolOutputsSubmitted
from tracker.errors import NotFound, SettingsError
from tracker.leases.shards import SHARDS
from tracker.simulator import Simulator
from tracker.sources import Answer, Assistants, Responses

pytestmark = [pytest.mark.integration, *IGNORES_DEPRECATIONS]


def test_calls_are_answered_from_response_to_response(
    database_url: str, simulator: Simulator
) -> None:
    simulator.parameters = ASKING

    async def scenario() -> list[str]:
        source = Responses(simulator.base_url)
        async with Tracker(database_url, source, cadence=QUICK) as tracker:
            response = await tracker.responses.create(
                model="gpt-5", input="Hi", tools=TOOLS, metadata={"customer": "ann"}
            )
            chain = [response.id]
            state = await tracker.wait(response.id, timeout=300, until="actionable")
            while state.needs_action:
                outputs = [
                    {"type": "function_call_output", "call_id": call.id, "output": "{}"}
                    for call in state.tool_calls
                ]
                ended = asyncio.create_task(tracker.wait(chain[-1], timeout=300))
                await asyncio.sleep(0)
                response = await tracker.responses.create(
                    model="gpt-5", input=outputs, tools=TOOLS, previous_response_id=chain[-1]
                )
                assert (await ended).status == "completed"
                chain.append(response.id)
                state = await tracker.wait(response.id, timeout=300, until="actionable")
            assert state.status == "completed"
            assert tracker.watching == []
            for answered in chain[:-1]:
                kinds = [type(entry.event) for entry in tracker.history(answered)]
                assert kinds[-2:] == [ToolOutputsSubmitted, RunCompleted]
                # Looking at it again shows it waiting, which is no news.
                await tracker.responses.retrieve(answered)
                assert len(tracker.history(answered)) == len(kinds)
        return chain

    chain = asyncio.run(scenario())
    assert len(chain) == 3
    with Views(database_url) as views:
        views.upgrade()
        views.catch_up()
        for run_id in chain:
            truth, row = simulator.truth(run_id), views.run(run_id)
            assert truth.usage is not None
            assert row.outcome == "completed"
            assert row.total_tokens == truth.usage.total_tokens
        waits = [action for run_id in chain for action in views.actions(run_id)]
        assert waits
        assert all(action.resolved_at is not None for action in waits)


def test_somebody_elses_next_response_ends_a_wait(simulator: Simulator) -> None:
    simulator.parameters = replace(ASKING, max_actions=1)
    first = simulator.create_response(tools=TOOLS)

    async def scenario() -> None:
        source = Responses(simulator.base_url)
        async with Tracker("memory://", source, cadence=QUICK) as tracker:
            await tracker.watch(None, first.run_id)
            state = await tracker.wait(first.run_id, timeout=300, until="actionable")
            outputs = [
                {"type": "function_call_output", "call_id": call.id} for call in state.tool_calls
            ]
            second = simulator.create_response(previous_response_id=first.run_id, input=outputs)
            await tracker.watch(None, second.run_id)
            assert (await tracker.wait(first.run_id, timeout=300)).status == "completed"
            assert (await tracker.wait(second.run_id, timeout=300)).status == "completed"

    asyncio.run(scenario())


def test_an_answer_in_a_conversation_names_no_response(simulator: Simulator) -> None:
    simulator.parameters = replace(ASKING, max_actions=1)

    async def scenario() -> None:
        source = Responses(simulator.base_url)
        async with Tracker("memory://", source, cadence=QUICK) as tracker:
            made = await tracker.responses.create(
                model="gpt-5", input="Hi", tools=TOOLS, conversation="conv_1"
            )
            state = await tracker.wait(made.id, timeout=300, until="actionable")
            assert state.thread_id == "conv_1"
            outputs = [
                {"type": "function_call_output", "call_id": call.id} for call in state.tool_calls
            ]
            await tracker.responses.create(model="gpt-5", input=outputs, conversation="conv_1")
            assert (await tracker.wait(made.id, timeout=300)).status == "completed"

    asyncio.run(scenario())


def test_a_response_is_watched_again_after_a_restart(tmp_path: Any, simulator: Simulator) -> None:
    simulator.parameters = replace(PLAIN, time_scale=0.1)
    url = f"sqlite:///{tmp_path}/runs.db"

    async def scenario() -> None:
        async with Tracker(url, Responses(simulator.base_url), cadence=QUICK) as tracker:
            made = await tracker.responses.create(model="gpt-5", input="Hi")
        async with Tracker(url, Responses(simulator.base_url), cadence=QUICK) as tracker:
            assert [state.run_id for state in tracker.watching] == [made.id]
            assert (await tracker.wait(made.id, timeout=300)).status == "completed"

    asyncio.run(scenario())


class Counting(Responses):
    """A source that records which responses it was asked about."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url)
        self.asked: set[str] = set()

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        self.asked.add(run_id)
        return await super().fetch(thread_id, run_id, known)


def test_responses_are_divided_among_trackers_though_they_have_no_thread(
    postgres_db: str, simulator: Simulator
) -> None:
    simulator.parameters = replace(PLAIN, time_scale=0.5)

    async def scenario() -> None:
        sources = [Counting(simulator.base_url) for _ in range(2)]
        async with AsyncExitStack() as stack:
            first, second = [
                await stack.enter_async_context(Tracker(postgres_db, source, cadence=QUICK))
                for source in sources
            ]
            await until(lambda: count_shards(postgres_db) == [SHARDS // 2] * 2)
            made = [await first.responses.create(model="gpt-5", input="Hi") for _ in range(16)]
            states = [await second.wait(response.id, timeout=300) for response in made]
            assert {state.status for state in states} == {"completed"}
        assert sources[0].asked | sources[1].asked == {response.id for response in made}
        assert sources[0].asked
        assert sources[1].asked

    asyncio.run(scenario())


def test_a_response_that_the_service_forgot_has_not_failed(simulator: Simulator) -> None:
    simulator.parameters = replace(ASKING, max_actions=1)

    async def scenario() -> None:
        source = Responses(simulator.base_url)
        async with (
            AsyncOpenAI(api_key="sk-4f1d9c22b7", base_url=simulator.base_url) as client,
            Tracker("memory://", source, cadence=QUICK) as tracker,
        ):
            made = await tracker.responses.create(model="gpt-5", input="Hi", tools=TOOLS)
            await tracker.wait(made.id, timeout=300, until="actionable")
            await client.responses.delete(made.id)
            with pytest.raises(NotFound):
                await tracker.wait(made.id, timeout=300)
            # That it vanished is recorded while those who wait are told.
            await until(lambda: isinstance(tracker.history(made.id)[-1].event, RunVanished))

    asyncio.run(scenario())


def test_a_cancelled_response(simulator: Simulator) -> None:
    simulator.parameters = replace(PLAIN, time_scale=10.0)

    async def scenario() -> None:
        source = Responses(simulator.base_url)
        async with Tracker("memory://", source, cadence=QUICK) as tracker:
            made = await tracker.responses.create(model="gpt-5", input="Hi")
            await tracker.responses.cancel(made.id)
            state = await tracker.wait(made.id, timeout=300)
            assert state.status == "cancelled"
            assert tracker.watching == []

    asyncio.run(scenario())


def test_what_is_observed_goes_to_the_source_that_knows_its_shape(simulator: Simulator) -> None:
    async def scenario() -> None:
        url = simulator.base_url
        sources = Assistants(url), Responses(url, name="azure")
        async with Tracker("memory://", *sources) as tracker:
            response = {"id": "resp_1", "object": "response", "status": "failed"}
            assert tracker.observe(response)
            assert tracker.observe(json.dumps({**response, "object": "thread.run"}))
            assert tracker.history("resp_1", source="azure")
            assert tracker.history("resp_1", source="assistants")
            with pytest.raises(SettingsError, match="the shape of none of the tracker's"):
                tracker.observe({"id": "x"})
            assert tracker.responses is not None
            with pytest.raises(SettingsError, match="'azure' has no Assistants resource"):
                tracker.runs_of("azure")
            with pytest.raises(SettingsError, match="say which thread"):
                await tracker.watch(None, "run_1", source="assistants")
        two = Responses(url, name="a"), Responses(url, name="b")
        async with Tracker("memory://", *two) as tracker:
            with pytest.raises(SettingsError, match="the shape of a, b"):
                tracker.observe(response)
            with pytest.raises(SettingsError, match=r"say which, with responses_of\(name\)"):
                _ = tracker.responses

    asyncio.run(scenario())
