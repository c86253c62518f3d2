"""Webhooks that a service sends and nobody can use: the README's handler answers without a 500."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request
from hypothesis import given
from hypothesis import strategies as st

from tests.support.odd_answers import reply_of
from tests.support.scripted_server import ScriptedServer
from tests.support.tracker_settings import QUICK
from tracker import Tracker
from tracker.errors import SettingsError, WebhookRefused, WebhookReplayed
from tracker.sources import AgentTurns, Assistants, LangGraph, Responses
from tracker.webhooks import sign, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOWHERE = "http://127.0.0.1:9/v1"
_numbers = count(1)


def event(kind: str, run_id: Any = "resp_1", **more: Any) -> bytes:
    return json.dumps({"id": "evt_1", "type": kind, "data": {"id": run_id}, **more}).encode()


def signed(body: bytes) -> dict[str, str]:
    return sign(body, SECRET, f"wh_{next(_numbers)}", datetime.now(UTC))


def make_app(tracker: Tracker) -> FastAPI:
    """Returns a service with the handler of the manual."""
    app = FastAPI()

    @app.post("/webhooks")
    async def webhook(request: Request) -> None:
        try:
            await tracker.webhook(await request.body(), request.headers, secret=SECRET)
        except WebhookReplayed:
            pass
        except WebhookRefused as error:
            raise HTTPException(400, str(error)) from error

    return app


@asynccontextmanager
async def handler(*sources: Any) -> AsyncIterator[tuple[Tracker, httpx.AsyncClient]]:
    async with Tracker("memory://", *sources, cadence=QUICK) as tracker:
        # Raises what the handler raises, as a service would answer 500.
        transport = httpx.ASGITransport(make_app(tracker))
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            yield tracker, client


UNUSABLE = [
    b"",
    b"no JSON",
    b"\xff\xfe",
    b"[1]",
    b"null",
    b"3",
    b'{"type": "response.completed"',
    event("response.completed", "\u202e"),
    event("response.completed", "a" * 3000),
    event("response.completed", {"id": "resp_1"}),
    event("response.completed", None),
    event("batch.completed", "batch_1"),
    json.dumps(
        {"type": "thread.run.completed", "data": {"id": "r", "object": "thread.run", "status": 5}}
    ).encode(),
]


@pytest.mark.parametrize("source", [Assistants, Responses, AgentTurns, LangGraph])
def test_a_webhook_of_no_use_is_no_error_of_ours(
    source: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with handler(source(NOWHERE)) as (tracker, client):
            for body in UNUSABLE:
                headers = signed(body)
                for _ in range(2):
                    answer = await client.post("/webhooks", content=body, headers=headers)
                    assert answer.status_code == 200
            assert tracker.watching == []
            forged = await client.post("/webhooks", content=b"{}", headers=signed(b"no"))
            assert forged.status_code == 400

    asyncio.run(main())
    said = [it.getMessage() for it in caplog.records if it.name == "runfold.webhooks"]
    assert any("not JSON" in line for line in said)
    assert not any("no JSON" in line for line in said)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (Assistants, "response.completed"),
        (Responses, "thread.run.completed"),
        (AgentTurns, "response.failed"),
        (LangGraph, "response.completed"),
        (LangGraph, "thread.run.requires_action"),
    ],
)
def test_a_resource_that_no_source_has_is_let_by(source: Callable[[str], Any], kind: str) -> None:
    async def main() -> None:
        made = source(NOWHERE)
        async with handler(made) as (tracker, client):
            body = event(kind)
            answer = await client.post("/webhooks", content=body, headers=signed(body))
            assert answer.status_code == 200
            named = await tracker.webhook(body, signed(body), secret=SECRET, source=made.name)
            assert (named, tracker.watching) == (None, [])

    asyncio.run(main())


def test_only_those_runs_that_are_ours_are_asked_about() -> None:
    response = {"id": "resp_1", "object": "response", "status": "completed", "created_at": 1}

    async def main() -> None:
        service = ScriptedServer(reply_of(response))
        async with (
            service.serving() as url,
            Tracker("memory://", Responses(url), cadence=QUICK) as tracker,
        ):

            async def send(body: bytes, only: Any) -> Any:
                return await tracker.webhook(body, signed(body), secret=SECRET, only=only)

            whole = json.dumps({"type": "response.completed", "data": response}).encode()
            for body in (event("response.completed"), whole):
                assert await send(body, "known") is None
                assert await send(body, {"resp_2"}.__contains__) is None
            assert (tracker.watching, service.heads) == ([], [])
            state = await send(event("response.completed"), {"resp_1"}.__contains__)
            assert state.status == "completed"
            assert (await send(whole, "known")).status == "completed"
            tracker.observe({**response, "id": "resp_3", "status": "queued"})
            await tracker.watch(None, "resp_4")
            service.replies = [reply_of({**response, "id": "resp_4"})]
            assert (await send(event("response.completed", "resp_4"), "known")).is_ended
            assert await send(event("response.completed", "resp_5"), "known") is None
            with pytest.raises(SettingsError, match='only has to be "known"'):
                await send(whole, "mine")

    asyncio.run(main())


def test_without_an_event_loop_behind_wsgi() -> None:
    """The headers come as the environ of a WSGI server, the body as bytes."""
    taken: list[Any] = []
    response = {"id": "resp_1", "object": "response", "status": "completed", "created_at": 1}

    with Tracker("memory://", Responses(NOWHERE)).in_background() as tracker:

        def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            try:
                taken.append(tracker.webhook(body, environ, secret=SECRET.encode()))
            except WebhookReplayed:
                taken.append("replayed")
            start_response("200 OK", [])
            return [b""]

        body = json.dumps({"type": "response.completed", "data": response}).encode()
        headers = signed(body)
        with httpx.Client(transport=httpx.WSGITransport(app), base_url="http://app") as client:
            for _ in range(2):
                assert client.post("/", content=body, headers=headers).status_code == 200
    assert (taken[0].status, taken[1]) == ("completed", "replayed")


def to_environ(headers: dict[str, str]) -> dict[str, Any]:
    named = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    return {"wsgi.version": (1, 0), "REQUEST_METHOD": "POST", "wsgi.input": object(), **named}


def to_svix(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("webhook", "svix"): value for name, value in headers.items()}


def to_pairs(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


FORMS: list[Callable[[dict[str, str]], Any]] = [
    to_environ,
    to_svix,
    to_pairs,
    lambda headers: to_environ(to_svix(headers)),
    lambda headers: dict(to_pairs(headers)),
    lambda headers: {name.title(): value for name, value in to_svix(headers).items()},
]


@given(st.binary(max_size=50), st.sampled_from(FORMS))
def test_headers_in_any_form(body: bytes, form: Callable[[dict[str, str]], Any]) -> None:
    headers = sign(body, SECRET, "wh_1", NOW)
    assert verify(body, form(headers), SECRET, NOW).id == "wh_1"
    with pytest.raises(WebhookRefused, match="a signature that does not fit"):
        verify(body + b" ", form(headers), SECRET, NOW)
    for name in headers:
        without = {key: value for key, value in headers.items() if key != name}
        with pytest.raises(WebhookRefused, match=f"no header {name}"):
            verify(body, form(without), SECRET, NOW)


@given(st.binary(min_size=1, max_size=40).filter(lambda it: b"whsec_" not in it))
def test_a_secret_as_bytes(key: bytes) -> None:
    headers = sign(b"{}", key, "wh_1", NOW)
    for secret in (key, [key], (SECRET, key)):
        assert verify(b"{}", headers, secret, NOW).id == "wh_1"
    with pytest.raises(WebhookRefused):
        verify(b"{}", headers, SECRET, NOW)


@pytest.mark.parametrize("secret", [SECRET.encode(), f"{SECRET}\n", f" {SECRET}\r\n".encode()])
def test_a_secret_as_a_file_has_it(secret: str | bytes) -> None:
    assert verify(b"{}", sign(b"{}", SECRET, "wh_1", NOW), secret, NOW).id == "wh_1"


@pytest.mark.parametrize("secret", [b"", b"whsec_", b"whsec_not base64!", [b""]])
def test_a_secret_that_is_none(secret: Any) -> None:
    with pytest.raises(SettingsError):
        verify(b"{}", sign(b"{}", SECRET, "wh_1", NOW), secret, NOW)
