"""Responses of the simulator, read by the official client and by a tracker."""

import asyncio
from dataclasses import replace
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import ResponseFunctionToolCall

from projections import Views
from tests.support.official_client import IGNORES_DEPRECATIONS
from tests.support.responses_settings import ASKING, TOOLS
from tests.support.tracker_settings import PLAIN, QUICK, SHORT
from tracker import Tracker
from tracker.simulator import ManualClock, Parameters, Simulator
from tracker.sources import Assistants, Responses

pytestmark = [pytest.mark.integration, *IGNORES_DEPRECATIONS]


def test_the_official_client_from_a_call_to_the_end() -> None:
    clock = ManualClock()
    asking = replace(ASKING, time_scale=1.0, max_actions=1)
    with (
        Simulator(seed=5, clock=clock, parameters=asking, poll_after_ms=250) as sim,
        OpenAI(
            api_key="sk-4f1d9c22b7", base_url=sim.base_url, max_retries=0, timeout=300
        ) as client,
    ):
        made = client.responses.create(
            model="gpt-5", input="Hi", background=True, tools=TOOLS, metadata={"team": "blue"}
        )
        assert (made.status, made.object, made.background) == ("queued", "response", True)
        assert (made.usage, made.metadata, made.output) == (None, {"team": "blue"}, [])
        raw = client.responses.with_raw_response.retrieve(made.id)
        assert raw.headers["openai-poll-after-ms"] == "250"
        clock.advance(300)
        asked = client.responses.retrieve(made.id)
        calls = [item for item in asked.output if isinstance(item, ResponseFunctionToolCall)]
        assert (asked.status, asked.incomplete_details) == ("completed", None)
        assert calls
        assert {call.name for call in calls} == {"find_order"}
        truth = sim.truth(made.id)
        assert truth.usage is not None
        assert asked.usage is not None
        assert asked.usage.input_tokens == truth.usage.prompt_tokens
        assert asked.usage.output_tokens_details.reasoning_tokens == truth.usage.reasoning_tokens
        with pytest.raises(openai.BadRequestError, match="No tool output found"):
            client.responses.create(
                model="gpt-5", background=True, previous_response_id=made.id, input="Well?"
            )
        outputs: list[Any] = [
            {"type": "function_call_output", "call_id": call.call_id, "output": "{}"}
            for call in calls
        ]
        following = client.responses.create(
            model="gpt-5", background=True, previous_response_id=made.id, input=outputs, tools=TOOLS
        )
        assert following.previous_response_id == made.id
        clock.advance(300)
        done = client.responses.retrieve(following.id)
        assert done.status == "completed"
        assert done.output_text
        with pytest.raises(openai.BadRequestError, match="Cannot cancel a completed response"):
            client.responses.cancel(following.id)


def test_invalid_responses_are_refused() -> None:
    clock = ManualClock()
    with (
        Simulator(clock=clock, parameters=PLAIN) as sim,
        OpenAI(
            api_key="sk-4f1d9c22b7", base_url=sim.base_url, max_retries=0, timeout=300
        ) as client,
    ):
        with pytest.raises(openai.BadRequestError, match="background=true"):
            client.responses.create(model="gpt-5", input="Hi")
        with pytest.raises(openai.BadRequestError, match="Previous response"):
            client.responses.create(
                model="gpt-5", input="Hi", background=True, previous_response_id="resp_0"
            )
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve("resp_0")
        made = client.responses.create(model="gpt-5", input="Hi", background=True)
        assert client.responses.cancel(made.id).status == "cancelled"
        assert client.responses.cancel(made.id).status == "cancelled"
        client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(made.id)


@pytest.mark.parametrize("end", ["completed", "failed", "incomplete", "cancelled"])
def test_both_shapes_of_the_official_client_are_tracked_to_the_same_truth(
    database_url: str, simulator: Simulator, end: Any
) -> None:
    simulator.parameters = Parameters.ending(end, action=0.0, **SHORT)

    async def scenario() -> tuple[str, str]:
        url = simulator.base_url
        sources = Assistants(url), Responses(url)
        async with (
            AsyncOpenAI(
                api_key="sk-4f1d9c22b7", base_url=url, max_retries=0, timeout=300
            ) as client,
            Tracker(database_url, *sources, cadence=QUICK) as tracker,
        ):
            thread = await client.beta.threads.create()
            run = await client.beta.threads.runs.create(thread.id, assistant_id="asst_1")
            response = await client.responses.create(model="gpt-5", input="Hi", background=True)
            await tracker.watch(thread.id, run.id, source="assistants")
            await tracker.watch(None, response.id, source="responses")
            states = [await tracker.wait(it, timeout=300) for it in (run.id, response.id)]
            assert [state.status for state in states] == [end, end]
            raw = await client.responses.with_raw_response.retrieve(response.id)
            assert tracker.observe(raw.text) == []
        return run.id, response.id

    with_thread, without = asyncio.run(scenario())
    with Views(database_url) as views:
        views.upgrade()
        views.catch_up()
        for run_id in (with_thread, without):
            truth, row = simulator.truth(run_id), views.run(run_id)
            usage = truth.usage
            assert row.outcome == truth.status == end
            assert row.total_tokens == (usage and usage.total_tokens)
            assert row.cached_tokens == (usage and usage.cached_tokens)
            assert row.error_code == truth.error_code
            assert row.incomplete_reason == truth.incomplete_reason
        assert views.run(without).thread_id is None
        assert views.verify() == []
