"""The official client against the simulator, over HTTP on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.support.official_client import IGNORES_DEPRECATIONS
from tracker.simulator import ManualClock, Parameters, Simulator

CALM = Parameters.ending("completed", action=0, stretched=0, answers="client")
ASKING = replace(CALM, action=1, max_actions=1)

pytestmark = [pytest.mark.integration, *IGNORES_DEPRECATIONS]


class Bench:
    """A simulator on a manual clock, and a client of it."""

    def __init__(self, sim: Simulator, clock: ManualClock, client: OpenAI) -> None:
        self.sim = sim
        self.clock = clock
        self.client = client
        self.runs = client.beta.threads.runs

    def thread(self) -> str:
        return self.client.beta.threads.create().id


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Simulator, ManualClock, OpenAI]]:
    clock = ManualClock()
    with (
        Simulator(
            seed=11, clock=clock, api_key="sk-right-4f1d9c22b7-key", poll_after_ms=250
        ) as sim,
        OpenAI(
            api_key="sk-right-4f1d9c22b7-key", base_url=sim.base_url, max_retries=0, timeout=300
        ) as client,
    ):
        yield sim, clock, client


@pytest.fixture
def bench(shared: tuple[Simulator, ManualClock, OpenAI]) -> Bench:
    sim, clock, client = shared
    sim.parameters = CALM
    return Bench(sim, clock, client)


def test_a_run_from_creation_to_its_end(bench: Bench) -> None:
    thread = bench.thread()
    made = bench.runs.create(thread, assistant_id="asst_1", metadata={"team": "blue"})
    assert (made.status, made.object, made.thread_id) == ("queued", "thread.run", thread)
    assert made.metadata == {"team": "blue"}
    assert made.usage is None

    bench.clock.advance(300)
    done = bench.runs.retrieve(made.id, thread_id=thread)
    truth = bench.sim.truth(made.id)
    assert done.status == "completed"
    assert done.usage is not None
    assert truth.usage is not None
    assert done.usage.total_tokens == truth.usage.total_tokens
    assert done.expires_at is None
    assert done.completed_at == int(truth.transitions[-1][1])


def test_headers_tell_the_date_and_when_to_poll(bench: Bench) -> None:
    thread = bench.thread()
    run = bench.runs.create(thread, assistant_id="asst_1")
    raw = bench.runs.with_raw_response.retrieve(run.id, thread_id=thread)

    assert raw.headers["openai-poll-after-ms"] == "250"
    assert raw.headers["x-request-id"].startswith("req_")
    assert "2027" in raw.headers["date"]

    bench.clock.advance(300)
    raw = bench.runs.with_raw_response.retrieve(run.id, thread_id=thread)
    assert "openai-poll-after-ms" not in raw.headers


def test_tool_outputs_continue_a_run(bench: Bench) -> None:
    bench.sim.parameters = ASKING
    thread = bench.thread()
    run = bench.runs.create(thread, assistant_id="asst_1")
    bench.clock.advance(200)
    run = bench.runs.retrieve(run.id, thread_id=thread)
    assert run.status == "requires_action"
    assert run.required_action is not None
    calls = run.required_action.submit_tool_outputs.tool_calls
    assert all(call.function.name and call.function.arguments for call in calls)

    with pytest.raises(openai.BadRequestError, match="Expected tool outputs"):
        bench.runs.submit_tool_outputs(run.id, thread_id=thread, tool_outputs=[])

    outputs = [{"tool_call_id": call.id, "output": "done"} for call in calls]
    run = bench.runs.submit_tool_outputs(run.id, thread_id=thread, tool_outputs=outputs)
    assert run.status == "queued"

    bench.clock.advance(200)
    assert bench.runs.retrieve(run.id, thread_id=thread).status == "completed"
    steps = list(bench.runs.steps.list(run.id, thread_id=thread, order="asc"))
    step = next(step for step in steps if step.step_details.type == "tool_calls"
                 and step.step_details.tool_calls[0].type == "function")  # fmt: skip
    assert step.step_details.tool_calls[0].function.output == "done"


def test_tool_outputs_cover_all_calls_at_once(bench: Bench) -> None:
    bench.sim.parameters = ASKING
    thread = bench.thread()
    while True:
        run = bench.runs.create(thread, assistant_id="asst_1")
        bench.clock.advance(200)
        run = bench.runs.retrieve(run.id, thread_id=thread)
        assert run.required_action is not None
        calls = run.required_action.submit_tool_outputs.tool_calls
        if len(calls) > 1:
            break
        bench.clock.advance(400)

    some = [{"tool_call_id": calls[0].id, "output": "done"}]
    with pytest.raises(openai.BadRequestError):
        bench.runs.submit_tool_outputs(run.id, thread_id=thread, tool_outputs=some)
    assert bench.sim.truth(run.id).status == "requires_action"


def test_steps_add_up_to_the_usage_of_the_run(bench: Bench) -> None:
    thread = bench.thread()
    run = bench.runs.create(thread, assistant_id="asst_1")
    bench.clock.advance(300)
    run = bench.runs.retrieve(run.id, thread_id=thread)
    steps = list(bench.runs.steps.list(run.id, thread_id=thread, limit=1))

    assert run.usage is not None
    assert sum(step.usage.total_tokens for step in steps if step.usage) == run.usage.total_tokens
    again = bench.runs.steps.retrieve(steps[0].id, run_id=run.id, thread_id=thread)
    assert again == steps[0]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_list_of_runs_pages_by_itself(bench: Bench, order: str) -> None:
    thread = bench.thread()
    made = []
    for _ in range(7):
        made.append(bench.runs.create(thread, assistant_id="asst_1").id)
        bench.clock.advance(600)
    expected = made if order == "asc" else made[::-1]

    listed = [run.id for run in bench.runs.list(thread, limit=3, order=order)]  # type: ignore[arg-type]
    assert listed == expected

    page = bench.runs.list(thread, limit=2, order=order, before=expected[4])  # type: ignore[arg-type]
    assert [run.id for run in page.data] == expected[2:4]


def test_a_run_is_cancelled(bench: Bench) -> None:
    thread = bench.thread()
    run = bench.runs.create(thread, assistant_id="asst_1")
    assert bench.runs.cancel(run.id, thread_id=thread).status == "cancelling"

    bench.clock.advance(5)
    run = bench.runs.retrieve(run.id, thread_id=thread)
    assert run.status == "cancelled"
    assert run.cancelled_at is not None
    with pytest.raises(openai.BadRequestError, match="Cannot cancel run with status 'cancelled'"):
        bench.runs.cancel(run.id, thread_id=thread)


def test_metadata_is_updated_unless_the_run_is_at_work(bench: Bench) -> None:
    thread = bench.thread()
    run = bench.runs.create(thread, assistant_id="asst_1", metadata={"a": "1"})
    run = bench.runs.update(run.id, thread_id=thread, metadata={"b": "2"})
    assert run.metadata == {"b": "2"}

    bench.clock.advance(2.1)
    with pytest.raises(openai.BadRequestError, match="Cannot update run with status 'in_progress'"):
        bench.runs.update(run.id, thread_id=thread, metadata={})
    with pytest.raises(openai.BadRequestError, match=r"metadata\.n"):
        bench.runs.update(run.id, thread_id=thread, metadata={"n": 1})  # type: ignore[dict-item]


def test_an_active_run_locks_its_thread(bench: Bench) -> None:
    thread = bench.thread()
    run = bench.runs.create(thread, assistant_id="asst_1")
    messages = bench.client.beta.threads.messages

    with pytest.raises(openai.BadRequestError, match=f"while a run {run.id} is active"):
        messages.create(thread, role="user", content="hello")
    with pytest.raises(openai.BadRequestError, match=f"active run {run.id}"):
        bench.runs.create(thread, assistant_id="asst_1")
    with pytest.raises(openai.BadRequestError, match="do not accept tool outputs"):
        bench.runs.submit_tool_outputs(run.id, thread_id=thread, tool_outputs=[])

    bench.clock.advance(600)
    messages.create(thread, role="user", content="hello")
    assert [each.role for each in messages.list(thread, order="asc")] == ["assistant", "user"]


def test_an_assistant_gives_its_runs_model_and_tools(bench: Bench) -> None:
    made = bench.client.beta.assistants.create(model="gpt-4.1", tools=[{"type": "file_search"}])
    assert bench.client.beta.assistants.retrieve(made.id) == made

    run = bench.client.beta.threads.create_and_run(
        assistant_id=made.id, thread={"messages": [{"role": "user", "content": "hello"}]}
    )
    assert run.model == "gpt-4.1"
    assert [tool.type for tool in run.tools] == ["file_search"]
    assert bench.client.beta.threads.retrieve(run.thread_id).id == run.thread_id


def test_the_old_version_has_its_own_shape(bench: Bench) -> None:
    bench.sim.parameters = replace(CALM, incomplete=1)
    thread = bench.thread()
    run = bench.runs.create(thread, assistant_id="asst_1")
    bench.clock.advance(300)
    old = bench.runs.retrieve(
        run.id, thread_id=thread, extra_headers={"OpenAI-Beta": "assistants=v1"}
    )
    new = bench.runs.retrieve(run.id, thread_id=thread)

    assert (old.status, new.status) == ("completed", "incomplete")
    assert old.incomplete_details == new.incomplete_details
    assert old.model_extra == {"file_ids": []}


def test_unknown_ids_are_not_found(bench: Bench) -> None:
    thread = bench.thread()
    run = bench.runs.create(thread, assistant_id="asst_1")

    with pytest.raises(openai.NotFoundError, match="No run found with id 'run_0'"):
        bench.runs.retrieve("run_0", thread_id=thread)
    with pytest.raises(openai.NotFoundError, match="No thread found with id 'thread_0'"):
        bench.runs.create("thread_0", assistant_id="asst_1")
    with pytest.raises(openai.NotFoundError, match="No run step found with id 'step_0'"):
        bench.runs.steps.retrieve("step_0", run_id=run.id, thread_id=thread)
    with pytest.raises(openai.NotFoundError, match="No assistant found with id 'me'"):
        bench.runs.create(thread, assistant_id="me")
    with pytest.raises(openai.BadRequestError, match="limit"):
        bench.runs.list(thread, limit=1000)
    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        bench.client.models.list()


def test_a_wrong_key_is_refused_and_not_repeated(bench: Bench) -> None:
    client = bench.client.with_options(api_key="sk-wrong-key-of-4f1d9c22b7")
    with pytest.raises(openai.AuthenticationError, match="Incorrect API key provided") as caught:
        client.beta.threads.create()

    assert caught.value.code == "invalid_api_key"
    assert "wrong-key" not in str(caught.value)
    assert "4f1d9c22b7" not in repr(bench.sim._service)


def test_the_async_client_polls_to_the_end() -> None:
    async def drive(base_url: str) -> str:
        async with AsyncOpenAI(api_key="sk-4f1d9c22b7", base_url=base_url) as client:
            thread = await client.beta.threads.create()
            run = await client.beta.threads.runs.create_and_poll(
                thread_id=thread.id, assistant_id="asst_1", poll_interval_ms=20
            )
            while run.status == "requires_action":
                assert run.required_action is not None
                calls = run.required_action.submit_tool_outputs.tool_calls
                run = await client.beta.threads.runs.submit_tool_outputs_and_poll(
                    run_id=run.id,
                    thread_id=thread.id,
                    tool_outputs=[{"tool_call_id": call.id, "output": "{}"} for call in calls],
                    poll_interval_ms=20,
                )
            return run.status

    odds = replace(ASKING, time_scale=0.1, expires_after=1e6)
    with Simulator(seed=2, speed=20.0, parameters=odds) as sim:
        assert asyncio.run(drive(sim.base_url)) == "completed"
        assert sim.truth(sim.run_ids()[0]).ended_at is not None
