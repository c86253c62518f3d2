"""Webhooks of a simulated service, and the histories that they give."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from tests.support.tracker_settings import QUICK
from tracker import Tracker
from tracker.core.events import RunCompleted, RunCreated
from tracker.errors import (
    SettingsError,
    UnknownRun,
    WaitTimeout,
    WebhookRefused,
    WebhookReplayed,
)
from tracker.polling.policy.cadence import Cadence
from tracker.simulator import Faults, Parameters, Simulator
from tracker.sources import Assistants, Responses
from tracker.webhooks import sign

pytestmark = pytest.mark.integration

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# A run that was seen is not looked at within any of these tests.
SLOW = Cadence(shortest=500, longest=1000)
PLAIN = Parameters.ending("completed", action=0.0, time_scale=0.02, stretched=0.0)

_numbers = count(1)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=PLAIN) as running:
        yield running


Delivery = tuple[bytes, Mapping[str, str]]


def delivery(kind: str, data: Any, *, age: float = 0.0, secret: str = SECRET) -> Delivery:
    """Returns a webhook as OpenAI sends it: an event with the id of its subject."""
    number = next(_numbers)
    event = {"id": f"evt_{number}", "object": "event", "type": kind, "created_at": 1, "data": data}
    body = json.dumps(event).encode()
    sent_at = datetime.now(UTC) - timedelta(seconds=age)
    return body, sign(body, secret, f"wh_{number}", sent_at)


def make_delivery(response_id: str, kind: str = "response.completed") -> Delivery:
    return delivery(kind, {"id": response_id})


async def wait_for_end(simulator: Simulator, run_id: str) -> None:
    for _ in range(10_000):
        if simulator.truth(run_id).ended_at is not None:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{run_id} does not end")


def test_a_response_of_somebody_else_is_asked_about_and_recorded(
    database_url: str, simulator: Simulator
) -> None:
    async def scenario() -> None:
        theirs = simulator.create_response().run_id
        async with Tracker(database_url, Responses(simulator.base_url)) as tracker:
            await wait_for_end(simulator, theirs)
            message = make_delivery(theirs)
            state = await tracker.webhook(*message, secret=["whsec_b3RoZXI=", SECRET])
            assert state is not None
            assert (state.run_id, state.status) == (theirs, "completed")
            recorded = tracker.history(theirs)
            assert isinstance(recorded[0].event, RunCreated)
            assert isinstance(recorded[-1].event, RunCompleted)
            assert simulator.traffic["200"] == 1
            with pytest.raises(WebhookReplayed):
                await tracker.webhook(*message, secret=SECRET)
        # A process that knows nothing of it can only take it in again, and learns nothing new.
        async with Tracker(database_url, Responses(simulator.base_url)) as tracker:
            again = await tracker.webhook(*message, secret=SECRET)
            assert again == state
            assert tracker.history(theirs) == recorded
            assert simulator.traffic["200"] == 1

    asyncio.run(scenario())


def test_the_next_look_is_brought_forward(simulator: Simulator) -> None:
    async def scenario() -> None:
        source = Responses(simulator.base_url)
        async with Tracker("memory://", source, cadence=SLOW) as tracker:
            made = await tracker.responses.create(model="gpt-5", input="Hi")
            await wait_for_end(simulator, made.id)
            # The call showed it, and the first look is to come in eight minutes.
            waiting = asyncio.create_task(tracker.wait(made.id, timeout=300))
            state = await tracker.webhook(*make_delivery(made.id), secret=SECRET, timeout=300)
            assert state is not None
            assert state.status == "completed"
            assert simulator.traffic["200"] == 2
            assert (await waiting).status == "completed"
            assert tracker.watching == []

    asyncio.run(scenario())


def test_a_run_that_waited_is_looked_at_when_it_is_told_to_have_ended(simulator: Simulator) -> None:
    asking = Parameters.ending("completed", action=1.0, max_actions=1, answers="client")
    simulator.parameters = replace(asking, time_scale=0.02, stretched=0.0)

    async def scenario() -> None:
        theirs = simulator.create_run(tools=[{"type": "function", "function": {"name": "price"}}])
        named = {"id": theirs.run_id, "thread_id": theirs.thread_id}
        source = Assistants(simulator.base_url)
        async with Tracker("memory://", source, cadence=SLOW) as tracker:
            for _ in range(10_000):
                if simulator.truth(theirs.run_id).status == "requires_action":
                    break
                await asyncio.sleep(0.01)
            message = delivery("thread.run.requires_action", named)
            state = await tracker.webhook(*message, secret=SECRET, timeout=300)
            assert state is not None
            assert state.needs_action
            simulator.submit_outputs(theirs.run_id)
            await wait_for_end(simulator, theirs.run_id)
            message = delivery("thread.run.completed", named)
            state = await tracker.webhook(*message, secret=SECRET, timeout=300)
            assert state is not None
            assert state.status == "completed"

    asyncio.run(scenario())


def test_one_whose_handling_failed_may_come_again(simulator: Simulator) -> None:
    async def scenario() -> None:
        theirs = simulator.create_response().run_id
        await wait_for_end(simulator, theirs)
        source = Responses(simulator.base_url)
        async with Tracker("memory://", source, cadence=QUICK) as tracker:
            simulator.faults = Faults(empty=1.0)
            message = make_delivery(theirs)
            for _ in range(2):
                with pytest.raises(WaitTimeout, match="was not seen within"):
                    await tracker.webhook(*message, secret=SECRET, timeout=0.3)
            simulator.faults = Faults()
            state = await tracker.webhook(*message, secret=SECRET, timeout=300)
            assert state is not None
            assert state.status == "completed"
            with pytest.raises(WebhookReplayed):
                await tracker.webhook(*message, secret=SECRET)

    asyncio.run(scenario())


def test_what_is_not_believed_changes_nothing(simulator: Simulator) -> None:
    async def scenario() -> None:
        theirs = simulator.create_response().run_id
        async with Tracker("memory://", Responses(simulator.base_url)) as tracker:
            body, headers = make_delivery(theirs)
            for changed, given in (
                (body, delivery("response.completed", {}, secret="whsec_b3RoZXI=")[1]),
                (body.replace(b"completed", b"cancelled"), headers),
                (body, {}),
                delivery("response.completed", {"id": theirs}, age=400),
                delivery("response.completed", {"id": theirs}, age=-400),
            ):
                with pytest.raises(WebhookRefused) as raised:
                    await tracker.webhook(changed, given, secret=SECRET)
                assert not isinstance(raised.value, WebhookReplayed)
            assert tracker.watching == []
            with pytest.raises(UnknownRun):
                tracker.history(theirs)
            assert not simulator.traffic
            # And what was refused is not taken for it when it comes.
            assert await tracker.webhook(body, headers, secret=SECRET) is not None

    asyncio.run(scenario())


def test_a_whole_run_is_recorded_and_watched(simulator: Simulator) -> None:
    async def scenario() -> None:
        simulator.parameters = Parameters.ending("completed", action=0.0, time_scale=0.05)
        theirs = simulator.create_run()
        open_run = simulator.body(theirs.run_id)
        assert open_run["status"] == "queued"
        source = Assistants(simulator.base_url)
        async with Tracker("memory://", source, cadence=QUICK) as tracker:
            message = delivery("thread.run.queued", open_run)
            state = await tracker.webhook(*message, secret=SECRET)
            assert state is not None
            assert state.status == "queued"
            assert [each.run_id for each in tracker.watching] == [theirs.run_id]
            assert (await tracker.wait(theirs.run_id, timeout=300)).status == "completed"
            recorded = len(tracker.history(theirs.run_id))
            # Its turn comes late, and changes nothing.
            state = await tracker.webhook(*delivery("thread.run.queued", open_run), secret=SECRET)
            assert state is not None
            assert state.status == "completed"
            assert len(tracker.history(theirs.run_id)) == recorded
            # A run that was never heard of, ended: its steps are read.
            other = simulator.create_run(parameters=PLAIN).run_id
            await wait_for_end(simulator, other)
            body = json.dumps(simulator.body(other)).encode()
            headers = sign(body, SECRET, "wh_whole", datetime.now(UTC))
            assert await tracker.webhook(body, headers, secret=SECRET) is not None
            assert await tracker.drain(120)
            topics = [entry.event.topic for entry in tracker.history(other)]
            assert topics.count("run.step_recorded") == len(simulator.truth(other).steps) > 0

    asyncio.run(scenario())


def test_what_is_about_no_run_is_let_by() -> None:
    async def scenario() -> None:
        async with Tracker("memory://", Responses("http://127.0.0.1:9/v1")) as tracker:
            for kind, data in (
                ("eval.run.succeeded", {"id": "evalrun_1"}),
                ("batch.completed", {"id": "batch_1", "object": "batch", "status": "completed"}),
                ("response.completed", None),
            ):
                assert await tracker.webhook(*delivery(kind, data), secret=SECRET) is None
            assert tracker.watching == []
            with pytest.raises(SettingsError, match="a webhook secret is"):
                await tracker.webhook(*make_delivery("resp_1"), secret="sk-4f1d9c22b7")

    asyncio.run(scenario())


def test_the_source_is_the_one_that_speaks_of_it(simulator: Simulator) -> None:
    async def scenario() -> None:
        url = simulator.base_url
        first, second = (simulator.create_response().run_id for _ in range(2))
        await wait_for_end(simulator, second)
        async with Tracker("memory://", Assistants(url), Responses(url)) as tracker:
            state = await tracker.webhook(*make_delivery(first), secret=SECRET)
            assert state is not None
            assert state.source == "responses"
        async with Tracker("memory://", Assistants(url)) as tracker:
            assert await tracker.webhook(*make_delivery(second), secret=SECRET) is None
        two = Responses(url, name="a"), Responses(url, name="b")
        async with Tracker("memory://", *two) as tracker:
            with pytest.raises(SettingsError, match="say which, with source='…'"):
                await tracker.webhook(*make_delivery(second), secret=SECRET)
            state = await tracker.webhook(*make_delivery(second), secret=SECRET, source="b")
            assert state is not None
            assert state.source == "b"

    asyncio.run(scenario())


def test_without_an_event_loop(database_url: str, simulator: Simulator) -> None:
    theirs = simulator.create_response().run_id
    tracker = Tracker(database_url, Responses(simulator.base_url), cadence=QUICK)
    with tracker.in_background() as background:
        message = make_delivery(theirs)
        state = background.webhook(*message, secret=SECRET, timeout=300)
        assert state is not None
        assert state.status == "completed"
        with pytest.raises(WebhookReplayed):
            background.webhook(*message, secret=SECRET)
