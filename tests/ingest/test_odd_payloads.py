"""Odd documents that others hand in: each is recorded, or refused by itself, and nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.beta.threads import Run
from openai.types.responses import Response

from tests.support.command_line import run_body
from tests.support.examples import examples
from tests.support.odd_answers import reply_of
from tests.support.odd_documents import make_input, nest, read_cases
from tests.support.scripted_server import ScriptedServer
from tests.support.stream_settings import SLOW
from tests.support.tracker_settings import QUICK
from tracker import EventStore, Tracker, open_event_store
from tracker.core.decider import fold
from tracker.core.events import RunAnomalyObserved, RunStepRecorded
from tracker.errors import PayloadError, RunfoldError, SettingsError
from tracker.sources import AgentTurns, Assistants, LangGraph, Responses
from tracker.webhooks import sign

pytestmark = pytest.mark.integration

KINDS = ("unreadable_after_accept", "not_a_run", "half_surrogate", "id_collision")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOWHERE = "http://127.0.0.1:9/v1"
APIS = (Assistants, Responses, AgentTurns, LangGraph)
STEP = {
    "id": "step_1",
    "object": "thread.run.step",
    "created_at": 1_750_000_003,
    "run_id": "run_1",
    "thread_id": "thread_1",
    "type": "tool_calls",
    "status": "completed",
}
_numbers = count(1)


def cases(door: str) -> list[Any]:
    found = read_cases(door, *KINDS)
    skipped = [pytest.param({}, marks=pytest.mark.skip("no odd documents beside this checkout"))]
    return [pytest.param(case, id=case["name"]) for case in found] or skipped


def track(url: str, scenario: Callable[[Tracker], Any], *sources: Any) -> EventStore:
    """Runs a scenario with a tracker; returns the store, in which everything can be read."""
    store = open_event_store(url)

    async def main() -> None:
        found = sources or (Assistants(NOWHERE),)
        async with Tracker(store, *found, cadence=SLOW, steps="never") as tracker:
            await asyncio.wait_for(scenario(tracker), 600)
            states = {state.run_id: state for state in tracker.watching}
            for run_id, state in states.items():
                with suppress(RunfoldError):
                    assert fold(it.event for it in tracker.history(run_id)) == state

    asyncio.run(main())
    store.read_all(limit=100_000)
    return store


def topics(store: EventStore) -> list[str]:
    return [entry.event.topic for entry in store.read_all(limit=100_000)]


def observe_all(*payloads: Any, **arguments: Any) -> Callable[[Tracker], Any]:
    async def scenario(tracker: Tracker) -> None:
        for payload in payloads:
            with suppress(PayloadError):
                tracker.observe(payload, **arguments)
            with suppress(PayloadError):
                assert tracker.observe(payload, **arguments) == []

    return scenario


@pytest.mark.parametrize("case", cases("observe"))
def test_an_observed_document(case: dict[str, Any], database_url: str) -> None:
    payloads = [it.encode() if isinstance(it, str) else it for it in make_input(case)]
    store = track(database_url, observe_all(*payloads))
    found = topics(store)
    expected = case["expect"]
    store.close()
    if "new_runs" in expected:
        assert found.count("run.created") == expected["new_runs"]
    if "steps" in expected:
        assert (found.count("run.created"), found.count("run.step_recorded")) == (
            expected["runs"],
            expected["steps"],
        )
    if "status" in expected:
        assert f"run.{expected['status']}" in found


@pytest.mark.parametrize("source", APIS, ids=lambda it: it.__name__)
@pytest.mark.parametrize("name", ["batch", "eval.run", "realtime.response", "thread.message"])
def test_another_object_is_refused_by_name(source: Any, name: str) -> None:
    document = {"id": "x", "run_id": "x", "object": name, "status": "in_progress", "thread_id": "t"}

    async def scenario(tracker: Tracker) -> None:
        for arguments in ({}, {"source": source(NOWHERE).name}):
            with pytest.raises(PayloadError, match=rf"an? {name}, not a run"):
                tracker.observe(document, **arguments)
        with pytest.raises(PayloadError, match="not a run"):
            tracker.observe({"id": "x", "status": "queued"})

    assert topics(track("memory://", scenario, source(NOWHERE))) == []
    assert topics(track("memory://", observe_all(document), *(it(NOWHERE) for it in APIS))) == []


def test_a_run_of_another_api_is_none_of_the_only_source() -> None:
    async def scenario(tracker: Tracker) -> None:
        with pytest.raises(PayloadError, match=r"a thread\.run, not a run of responses"):
            tracker.observe(run_body())

    assert topics(track("memory://", scenario, Responses(NOWHERE))) == []


@pytest.mark.parametrize("is_first", [True, False])
def test_a_step_is_a_step_also_before_its_run(database_url: str, is_first: bool) -> None:
    documents = [STEP, run_body()] if is_first else [run_body(), STEP]
    store = track(database_url, observe_all(*documents))
    found = topics(store)
    store.close()
    assert (found.count("run.created"), found.count("run.step_recorded")) == (1, 1)


def test_steps_wait_for_the_run_of_their_thread() -> None:
    other = {**STEP, "id": "step_2", "thread_id": "thread_2"}
    store = track("memory://", observe_all(other, STEP, run_body()))
    steps = [it.event for it in store.read_all() if isinstance(it.event, RunStepRecorded)]
    assert [step.step_id for step in steps] == ["step_1"]


def test_objects_of_the_client_are_taken() -> None:
    response = {"id": "resp_1", "object": "response", "status": "completed", "output": []}

    async def scenario(tracker: Tracker) -> None:
        assert tracker.observe(Run.model_construct(**run_body()))
        assert tracker.observe(run_body()) == []
        assert tracker.observe(Response.model_construct(**response))
        assert tracker.observe(json.dumps(response)) == []
        assert tracker.observe(memoryview(json.dumps(response).encode())) == []  # type: ignore[arg-type]
        for bad in (3, None, object(), [run_body()], {1, 2}):
            with pytest.raises(PayloadError, match="not a JSON object"):
                tracker.observe(bad)  # type: ignore[arg-type]

    track("memory://", scenario, Assistants(NOWHERE), Responses(NOWHERE))


@pytest.mark.parametrize(
    "run_id", [" ", "\u202e", "\x85", "a\x00", "a" * 2049, "\ud83d", "", 3, None, ["run_1"]]
)
def test_an_id_beyond_the_limits_refuses_its_document_alone(run_id: Any) -> None:
    async def scenario(tracker: Tracker) -> None:
        for document in (run_body() | {"id": run_id}, STEP | {"run_id": run_id}):
            for payload in (document, json.dumps(document)):
                with pytest.raises(PayloadError):
                    tracker.observe(payload)
        assert [it async for it in tracker.observing(stream_of([event(run_id), event("run_2")]))]
        with pytest.raises(SettingsError):
            await tracker.watch("thread_1", run_id)
        assert [state.run_id for state in tracker.watching] in (["run_2"], [])

    store = track("memory://", scenario)
    assert {entry.stream for entry in store.read_all()} == {"assistants:run_2"}


def test_a_known_id_on_another_thread() -> None:
    async def scenario(tracker: Tracker) -> None:
        tracker.observe(run_body(status="in_progress"))
        [anomaly] = tracker.observe(run_body(thread_id="thread_2"))
        assert isinstance(anomaly, RunAnomalyObserved)
        assert (anomaly.kind, anomaly.status) == ("another_thread", "completed")
        assert tracker.observe(run_body(thread_id="thread_2")) == []
        with pytest.raises(SettingsError, match="is recorded on thread_1"):
            await tracker.watch("thread_2", "run_1")
        assert tracker.observe(run_body())[-1].topic == "run.completed"

    store = track("memory://", scenario)
    plain = track("memory://", observe_all(run_body(status="in_progress"), run_body()))

    def values(histories: EventStore) -> list[Any]:
        times = {"observed_at", "not_before"}
        return [it.event.model_dump(exclude=times) for it in histories.read_all()]

    anomalies = [it for it in values(store) if it.get("kind") == "another_thread"]
    assert [it for it in values(store) if it not in anomalies] == values(plain)


def event(run_id: Any, **more: Any) -> bytes:
    data = {"id": run_id, "object": "thread.run", "thread_id": "thread_1", "status": "queued"}
    return f"event: thread.run.created\ndata: {json.dumps(data | more)}\n\n".encode()


async def stream_of(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


@pytest.mark.parametrize("case", cases("stream"))
def test_a_stream(case: dict[str, Any], database_url: str) -> None:
    items = [it.encode() for it in make_input(case)]

    async def scenario(tracker: Tracker) -> None:
        assert [it async for it in tracker.observing(stream_of(items))] == items
        for run_id in case["expect"]["recorded"]:
            assert tracker.history(run_id)

    track(database_url, scenario).close()


class Spoilt:
    """An event that raises whatever it is asked for."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("spoilt")


class SpoiltModel:
    """An object of a client package that cannot be written."""

    def model_dump(self, **_: Any) -> Any:
        raise RecursionError


def test_a_stream_never_raises_into_its_reader() -> None:
    items: list[Any] = [
        Spoilt(),
        {"event": "thread.run.created", "data": SpoiltModel()},
        {"event": "thread.run.created", "data": {"id": {1}, "status": {2}}},
        {"event": "thread.run.created", "data": nest(2000)},
        {"event": "thread.run.created", "data": run_body(metadata={"a": {1, 2}, "b": 10**5000})},
        {"event": "thread.run.step.completed", "data": STEP | {"run_id": float("nan")}},
        {"type": "response.completed", "response": 3},
        event("run_2", metadata=nest(300)),
    ]

    async def scenario(tracker: Tracker) -> None:
        assert [it async for it in tracker.observing(stream_of(items))] == items
        assert tracker.history("run_2")

    track("memory://", scenario)


async def send(tracker: Tracker, body: bytes, **arguments: Any) -> Any:
    headers = sign(body, SECRET, f"wh_{next(_numbers)}", datetime.now(UTC))
    return await tracker.webhook(body, headers, secret=SECRET, timeout=5.0, **arguments)


@pytest.mark.parametrize("case", cases("webhook"))
def test_a_webhook(case: dict[str, Any]) -> None:
    asyncio.run(hand_in([it.encode() for it in make_input(case)]))


@pytest.mark.parametrize("text", ['{"note": "\\ud83d", %s}', "\ufeff{%s}", '\ufeff{"a": NaN, %s}'])
def test_a_webhook_with_texts_that_were_cut(text: str) -> None:
    body = text % '"id": "evt_1", "type": "response.completed", "data": {"id": "resp_1"}'
    asyncio.run(hand_in([body.encode()]))


async def hand_in(bodies: list[bytes]) -> None:
    """Hands in webhooks that name resp_1, which is then asked about."""
    response = {"id": "resp_1", "object": "response", "status": "completed", "created_at": 1}
    service = ScriptedServer(reply_of(response))
    async with service.serving() as url, Tracker("memory://", Responses(url), cadence=QUICK) as it:
        for body in bodies:
            state = await send(it, body)
            assert (state.run_id, state.status) == ("resp_1", "completed")
        assert b"/responses/resp_1 " in service.heads[0]


def test_a_webhook_that_names_no_id_is_about_no_run() -> None:
    async def scenario(tracker: Tracker) -> None:
        for run_id in ("\u202e", "a" * 2049, "a\x00"):
            body = {"type": "response.completed", "data": {"id": run_id}}
            assert await send(tracker, json.dumps(body).encode()) is None
        assert tracker.watching == []

    track("memory://", scenario, Responses(NOWHERE))


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=4)
    | st.sampled_from(["run_1", "thread_2", "\ud83d", 10**30, " ", 1_750_000_000, {1}, b"x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [*run_body(), "object", "required_action", "last_error", "instructions", "tools"]
)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.dictionaries(FIELDS, ODD, min_size=1, max_size=3), min_size=1, max_size=4))
def test_whatever_is_observed_is_read_back_and_harms_no_other(
    changes: list[dict[str, Any]],
) -> None:
    good = run_body("run_good", thread_id="thread_good")
    bodies = [run_body(f"run_{number}") | change for number, change in enumerate(changes)]

    async def scenario(tracker: Tracker) -> None:
        for body in [*bodies, good, *bodies]:
            with suppress(PayloadError):
                tracker.observe(body)
        assert tracker.observe(good) == []
        items = [{"event": "thread.run.created", "data": body} for body in bodies]
        assert len([it async for it in tracker.observing(stream_of(items))]) == len(items)

    store = track("memory://", scenario)
    assert [it.event.topic for it in store.read("assistants:run_good")][-1] == "run.completed"
