"""The Assistants resource: requests, and parsed answers."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tracker.errors import SettingsError, UnusableAnswer
from tracker.sources import Assistants
from tracker.sources.source import Source
from tracker.testing import FakeClock

RUN = {"id": "run_1", "object": "thread.run", "thread_id": "thread_1", "status": "queued"}
STEP = {
    "id": "step_1",
    "object": "thread.run.step",
    "run_id": "run_1",
    "thread_id": "thread_1",
    "status": "completed",
}

Use = Callable[[Assistants], Awaitable[Any]]


def call(use: Use, document: object = None, **settings: Any) -> tuple[Any, list[httpx.Request]]:
    """Returns the result of `use` with a service that answers `document`, and the requests."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=RUN if document is None else document)

    async def main() -> Any:
        transport = httpx.MockTransport(answer)
        async with Assistants("https://host/v1/", transport=transport, **settings) as api:
            return await use(api)

    return asyncio.run(main()), asked


@pytest.mark.parametrize(
    ("use", "method", "path", "sent"),
    [
        (lambda api: api.retrieve("thread_1", "run_1"), "GET", "/run_1", None),
        (lambda api: api.cancel("thread_1", "run_1"), "POST", "/run_1/cancel", None),
        (
            lambda api: api.update("thread_1", "run_1", metadata={"a": "b"}),
            "POST",
            "/run_1",
            {"metadata": {"a": "b"}},
        ),
        (
            lambda api: api.update("thread_1", "run_1", metadata=None),
            "POST",
            "/run_1",
            {"metadata": None},
        ),
        (
            lambda api: api.submit_tool_outputs(
                "thread_1", "run_1", iter([{"tool_call_id": "call_1", "output": "3"}])
            ),
            "POST",
            "/run_1/submit_tool_outputs",
            {"tool_outputs": [{"tool_call_id": "call_1", "output": "3"}]},
        ),
        (
            lambda api: api.create("thread_1", assistant_id="asst_1"),
            "POST",
            "",
            {"assistant_id": "asst_1"},
        ),
        (
            lambda api: api.create(
                "thread_1",
                assistant_id="asst_1",
                additional_instructions="more",
                instructions="all",
                metadata={str(number): "x" for number in range(17)},
                model="gpt-5",
                tools=[{"type": "file_search"}],
                temperature=0.5,
                response_format=None,
            ),
            "POST",
            "",
            {
                "assistant_id": "asst_1",
                "additional_instructions": "more",
                "instructions": "all",
                "metadata": {str(number): "x" for number in range(17)},
                "model": "gpt-5",
                "tools": [{"type": "file_search"}],
                "temperature": 0.5,
                "response_format": None,
            },
        ),
    ],
)
def test_each_operation_on_a_run(use: Use, method: str, path: str, sent: object) -> None:
    run, [request] = call(use)
    assert (request.method, request.url.path) == (method, f"/v1/threads/thread_1/runs{path}")
    assert (json.loads(request.content) if request.content else None) == sent
    assert run.status == "queued"
    assert run.body == RUN


def test_a_step_is_retrieved() -> None:
    step, [request] = call(
        lambda api: api.steps.retrieve("thread_1", "run_1", "step_1", include=["a[*].b"]), STEP
    )
    assert request.url.path == "/v1/threads/thread_1/runs/run_1/steps/step_1"
    assert dict(request.url.params) == {"include[]": "a[*].b"}
    assert (step.id, step.body) == ("step_1", STEP)


def test_the_headers_of_a_request() -> None:
    _, [request] = call(lambda api: api.fetch("thread_1", "run_1"), api_key="sk-4f1d9c22b7")
    assert request.headers["authorization"] == "Bearer sk-4f1d9c22b7"
    assert request.headers["openai-beta"] == "assistants=v2"
    assert request.headers["accept-encoding"] == "identity"
    assert not request.url.query
    _, [request] = call(
        lambda api: api.fetch("thread_1", "run_1"),
        api_key=lambda: "azure-4f1d9c22b7",
        auth_header="api-key",
        api_version="2025-05-01",
        beta=None,
        headers={"X-Team": "red"},
        params={"a": "b c"},
    )
    assert request.headers["api-key"] == "azure-4f1d9c22b7"
    assert request.headers["x-team"] == "red"
    assert not {"authorization", "openai-beta"} & set(request.headers)
    assert dict(request.url.params) == {"api-version": "2025-05-01", "a": "b c"}


def test_an_answer_has_its_times_and_hints() -> None:
    clock = FakeClock()
    start = clock.now()

    def answer(_: httpx.Request) -> httpx.Response:
        clock.advance(2)
        headers = {
            "date": "Thu, 01 Jan 2026 00:00:01 GMT",
            "openai-poll-after-ms": "500",
            "x-request-id": "req_1",
        }
        return httpx.Response(200, json=RUN, headers=headers)

    api = Assistants("https://host", transport=httpx.MockTransport(answer), clock=clock)
    fetched = asyncio.run(api.fetch("thread_1", "run_1"))
    assert json.loads(fetched.body) == RUN
    assert (fetched.status, fetched.poll_after) == (200, 0.5)
    assert (fetched.asked_at, fetched.observed_at) == (start, start + timedelta(seconds=2))
    assert fetched.date == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert fetched.headers == {"x-request-id": "req_1"}
    run = asyncio.run(api.retrieve("thread_1", "run_1"))
    assert run.answer
    assert run.answer.observed_at == start + timedelta(seconds=4)
    assert run == asyncio.run(api.retrieve("thread_1", "run_1"))
    assert "answer" not in run.model_dump()


def test_what_the_poller_needs() -> None:
    source: Source = Assistants("https://host/v1", name="azure")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    body = json.dumps(RUN).encode()
    assert source.name == "azure"
    assert source.recognises(RUN)
    assert not source.recognises({"object": "response"})
    assert source.snapshot(body, observed_at=at) == source.snapshot(RUN, observed_at=at)
    assert source.snapshot(body, observed_at=at).source == "azure"
    assert source.glance(body) == source.glance(json.dumps(RUN | {"model": "x"}).encode())
    asyncio.run(source.aclose())


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"id": "run_2", "status": "queued"}, "another id than 'run_1'"),
        (RUN | {"thread_id": "thread_2"}, "another thread_id"),
        (RUN | {"object": "thread"}, "another object than 'thread.run'"),
        ({"status": "queued"}, "without an id"),
        ({"id": 3}, "without an id"),
        ({}, "without an id"),
    ],
)
def test_another_run_than_the_one_asked_for_is_unusable(document: object, says: str) -> None:
    with pytest.raises(UnusableAnswer) as raised:
        call(lambda api: api.fetch("thread_1", "run_1"), document)
    assert says in str(raised.value)
    assert "GET /threads/thread_1/runs/run_1" in str(raised.value)


def test_a_run_without_a_status_is_unusable_as_a_run() -> None:
    with pytest.raises(UnusableAnswer, match="status: Field required"):
        call(lambda api: api.retrieve("thread_1", "run_1"), {"id": "run_1"})


def test_a_thread_that_is_not_named_is_no_reason_to_doubt() -> None:
    run, _ = call(lambda api: api.retrieve("thread_1", "run_1"), {"id": "run_1", "status": "x"})
    assert run.thread_id is None


@pytest.mark.parametrize("id_", ["", ".", "..", "a\nb", "a" * 3000])
def test_an_id_that_would_lead_elsewhere_is_refused(id_: str) -> None:
    for use in (lambda api: api.fetch("thread_1", id_), lambda api: api.list(id_)):
        with pytest.raises(SettingsError):
            call(use)


def test_an_id_is_quoted() -> None:
    use = lambda api: api.retrieve("a/b?c", "../ä")  # noqa: E731
    _, [request] = call(use, {"id": "../ä", "status": "queued"})
    assert request.url.raw_path == b"/v1/threads/a%2Fb%3Fc/runs/..%2F%C3%A4"


def test_a_stream_is_not_offered() -> None:
    with pytest.raises(SettingsError, match="stream is not offered"):
        call(lambda api: api.create("thread_1", assistant_id="asst_1", stream=True))


@pytest.mark.parametrize("value", ["\ud83d", object()])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(SettingsError, match="cannot be written as JSON"):
        call(lambda api: api.update("thread_1", "run_1", metadata={"a": value}))


def test_it_opens_anew_after_it_was_closed() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=RUN)

    async def ask(api: Assistants) -> None:
        async with api:
            assert (await api.retrieve("thread_1", "run_1")).id == "run_1"

    api = Assistants("https://host/v1", transport=httpx.MockTransport(answer))
    asyncio.run(ask(api))
    asyncio.run(ask(api))
