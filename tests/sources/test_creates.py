"""Requests that begin something: what is paid for is taken in, or said to be uncertain."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.support.command_line import run_body
from tests.support.loopback import listening
from tests.support.odd_documents import make_input, read_cases
from tests.support.odd_polls import CaseServer
from tests.support.tracker_settings import QUICK
from tracker import Tracker
from tracker.errors import PollAgain, SourceError, Unreachable
from tracker.sources import Assistants, Responses

pytestmark = pytest.mark.integration

CASES = read_cases("poll", "refused_create")
RUNS = "POST /v1/threads/thread_1/runs"
RUN = run_body("run_1", "queued")
RESPONSE = {"id": "resp_1", "object": "response", "status": "queued", "background": True}
ADMITTED = "may have done it all the same: look for what it began before you send it again"

Use = Callable[[Tracker], Awaitable[Any]]


def create_run(tracker: Tracker) -> Awaitable[Any]:
    return tracker.runs.create("thread_1", assistant_id="asst_1")


def create_response(tracker: Tracker) -> Awaitable[Any]:
    return tracker.responses.create(model="gpt-5", input="Hi")


def cancel_run(tracker: Tracker) -> Awaitable[Any]:
    return tracker.runs.cancel("thread_1", "run_1")


def cancel_response(tracker: Tracker) -> Awaitable[Any]:
    return tracker.responses.cancel("resp_1")


CALLS: dict[str, Use] = {
    RUNS: create_run,
    "POST /v1/responses": create_response,
    f"{RUNS}/run_1/cancel": cancel_run,
    "POST /v1/responses/resp_1/cancel": cancel_response,
}


async def serve(answers: list[Any], use: Callable[[Tracker, CaseServer], Awaitable[None]]) -> None:
    server = CaseServer(answers)
    async with listening(server.serve) as port:
        url = f"http://127.0.0.1:{port}/v1"
        sources = Assistants(url), Responses(url)
        async with Tracker("memory://", *sources, cadence=QUICK, steps="never") as tracker:
            await use(tracker, server)


@pytest.mark.skipif(not CASES, reason="no odd documents beside this checkout")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_an_odd_answer_to_a_post(case: dict[str, Any]) -> None:
    expected, answers = case["expect"], make_input(case)

    async def use(tracker: Tracker, server: CaseServer) -> None:
        call = CALLS[answers[0]["asked"]]
        if expected.get("created") is False:
            with pytest.raises(SourceError, match=ADMITTED) as raised:
                await call(tracker)
            assert "The service has a problem" in str(raised.value)
            return
        made = await call(tracker)
        head, body = server.requests[0]
        if "status" in expected:
            assert made.status == expected["status"]
        if "watched" in expected:
            assert len(tracker.watching) == expected["watched"]
        if "request_body" in expected:
            assert body.decode() == expected["request_body"]
            assert "content-type" not in head.lower()

    asyncio.run(serve(answers, use))


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 226, 299])
def test_any_success_is_an_answer(status: int) -> None:
    """The types of a service that names none are taken too."""
    answers = [
        {"asked": RUNS, "status": status, "body": RUN},
        {"asked": "POST /v1/responses", "status": status, "body": RESPONSE, "type": "text/plain"},
    ]

    async def use(tracker: Tracker, _: CaseServer) -> None:
        for call in (create_run, create_response):
            assert (await call(tracker)).status == "queued"
        assert {it.run_id for it in tracker.watching} == {"run_1", "resp_1"}

    asyncio.run(serve(answers, use))


@pytest.mark.parametrize("status", [202, 206])
def test_the_own_client_s_success_is_an_answer(status: int) -> None:
    async def use(tracker: Tracker, server: CaseServer) -> None:
        base_url = str(tracker._sources["assistants"]._transport._url)  # type: ignore[attr-defined]
        async with httpx.AsyncClient(base_url=base_url) as client:
            tracker.capture(client, "assistants")
            await client.post("/threads/thread_1/runs", json={"assistant_id": "asst_1"})
        assert [it.run_id for it in tracker.watching] == ["run_1"]

    asyncio.run(serve([{"asked": RUNS, "status": status, "body": RUN}], use))


@pytest.mark.parametrize("asked", [it for it in CALLS if it.endswith("cancel")])
def test_cancel_has_no_body(asked: str) -> None:
    body = RUN if "threads" in asked else RESPONSE

    async def use(tracker: Tracker, server: CaseServer) -> None:
        await CALLS[asked](tracker)
        [(head, sent)] = [it for it in server.requests if it[0].startswith("POST")]
        assert (sent, "content-type" in head.lower()) == (b"", False)

    asyncio.run(serve([{"asked": asked, "status": 200, "body": body}], use))


UNCERTAIN: list[dict[str, Any]] = [
    *({"status": it, "body": {"error": {"message": "oops"}}} for it in (408, 500, 502, 504, 529)),
    {"status": 503, "body": "<html>down</html>", "type": "text/html"},
    {"status": 200, "body": "{"},
    {"status": 200, "body": "[]"},
    {"status": 200, "body": "<p>", "type": "text/html"},
    {"status": 202, "body": ""},
    {"status": 204, "body": "", "type": ""},
    {"status": 200, "body": {"error": {"message": "Broken inside."}}},
    {"status": 200, "body": {"status": "queued"}},
    {"status": 200, "body": {"id": "run_1", "status": ["queued"]}},
    {"status": 200, "body": {**RUN, "thread_id": "thread_2"}},
    {"status": 200, "body": {**RUN, "object": "batch"}},
]
CERTAIN = [301, 400, 401, 403, 404, 409, 422, 429]


@pytest.mark.parametrize("answer", UNCERTAIN, ids=lambda it: f"{it['status']} {it['body']}"[:40])
def test_an_unknown_outcome_is_said_and_nobody_is_told_to_send_it_again(
    answer: dict[str, Any],
) -> None:
    async def use(tracker: Tracker, _: CaseServer) -> None:
        with pytest.raises(SourceError, match=ADMITTED) as raised:
            await create_run(tracker)
        assert raised.value.may_have_happened
        said = str(raised.value).lower()
        assert "ask again" not in said.replace("before you send it again", "")
        assert "asked again" not in said
        assert said.count("all the same") == 1

    asyncio.run(serve([{"asked": RUNS, **answer}], use))


@pytest.mark.parametrize("status", CERTAIN)
def test_a_refusal_is_not_uncertain(status: int) -> None:
    async def use(tracker: Tracker, _: CaseServer) -> None:
        with pytest.raises(SourceError) as raised:
            await create_run(tracker)
        assert not raised.value.may_have_happened
        assert "all the same" not in str(raised.value)

    asyncio.run(serve([{"asked": RUNS, "status": status, "body": {"error": "no"}}], use))


def test_a_read_is_never_uncertain() -> None:
    async def use(tracker: Tracker, _: CaseServer) -> None:
        with pytest.raises(Unreachable, match="ask again later") as raised:
            await tracker.runs.retrieve("thread_1", "run_1")
        assert not raised.value.may_have_happened

    asked = "GET /v1/threads/thread_1/runs/run_1"
    asyncio.run(serve([{"asked": asked, "status": 500, "body": {}}], use))


@pytest.mark.parametrize("should_retry", ["true", "false"])
def test_the_service_s_own_word_leaves_it_uncertain(should_retry: str) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(503, json={}, headers={"x-should-retry": should_retry})

    async def main() -> None:
        async with Responses("https://host", transport=httpx.MockTransport(answer)) as api:
            with pytest.raises(SourceError, match=ADMITTED) as raised:
                await api.create(model="gpt-5")
            assert isinstance(raised.value, PollAgain) is (should_retry == "true")

    asyncio.run(main())
