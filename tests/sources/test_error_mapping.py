"""Error responses: the exception for each, without a secret in its text."""

import asyncio
import json
import logging
import pickle
import traceback
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tracker.errors import (
    Busy,
    KeyRefused,
    Misconfigured,
    NotFound,
    PollAgain,
    RateLimited,
    RequestRefused,
    SettingsError,
    SourceError,
    Unreachable,
    UnusableAnswer,
)
from tracker.sources import Assistants

KEY = "sk-test/4f1d9c22b7+=="
GATEWAY = "gate-4f1d9c22b7"
JSON = {"content-type": "application/json"}


def error_body(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": None} | more}


def make_api(
    status: int, content: object = b"", sends: dict[str, str] | None = None, **settings: Any
) -> Assistants:
    """Returns the API of a service that answers all alike; with JSON unless `content` is bytes."""

    def answer(_: httpx.Request) -> httpx.Response:
        if isinstance(content, bytes):
            return httpx.Response(status, content=content, headers=sends)
        return httpx.Response(
            status, content=json.dumps(content), headers={**JSON, **(sends or {})}
        )

    settings.setdefault("api_key", KEY)
    return Assistants("https://host/v1", transport=httpx.MockTransport(answer), **settings)


def failure(api: Assistants) -> SourceError:
    with pytest.raises(SourceError) as raised:
        asyncio.run(api.fetch("thread_1", "run_1"))
    return raised.value


@pytest.mark.parametrize(
    ("status", "content", "kind", "cure"),
    [
        (401, error_body(f"Incorrect API key provided: {KEY}."), KeyRefused, "Check api_key"),
        (403, b"<html>Forbidden</html>", KeyRefused, "Check what api_key may do"),
        (402, error_body("Pay first."), KeyRefused, "quota"),
        (429, error_body("You exceeded it.", code="insufficient_quota"), KeyRefused, "quota"),
        (429, error_body("You exceeded it.", type="insufficient_quota"), KeyRefused, "quota"),
        (400, {"code": "Arrearage", "message": "Overdue."}, KeyRefused, "quota"),
        (429, error_body("Slow down.", code="rate_limit_exceeded"), RateLimited, "later"),
        (429, b"too many", RateLimited, "later"),
        (404, error_body("No run found with id 'run_1'."), NotFound, "Check the ids"),
        (404, {"detail": "Run run_1 does not exist"}, NotFound, "Check the ids"),
        (404, {"error": "unknown run"}, NotFound, "Check the ids"),
        (404, b"<html>404 Not Found</html>", Misconfigured, "base_url"),
        (404, b"", Misconfigured, "base_url"),
        (404, {"detail": "Not Found"}, Misconfigured, "base_url"),
        (404, error_body("Resource not found", code="404"), Misconfigured, "base_url"),
        (
            404,
            error_body("Invalid URL (GET /threads/thread_1/runs/run_1)"),
            Misconfigured,
            "base_url",
        ),
        (
            404,
            error_body("It does not exist.", code="DeploymentNotFound"),
            Misconfigured,
            "deployment",
        ),
        (404, error_body("No such model.", code="model_not_found"), RequestRefused, "model"),
        (405, {"detail": "Method Not Allowed"}, Misconfigured, "base_url"),
        (400, error_body("Cannot cancel run with status 'completed'."), RequestRefused, "request"),
        (422, {"detail": [{"msg": "no"}]}, RequestRefused, "request"),
        (408, b"", Busy, "Ask again"),
        (409, error_body("Thread is locked."), Busy, "Ask again"),
        (500, error_body("Sorry about that!", type="server_error"), Unreachable, "later"),
        (503, b"<html>down</html>", Unreachable, "later"),
        (529, error_body("Overloaded"), Unreachable, "later"),
        (301, b"", Misconfigured, "Redirects are not followed"),
        (307, b"", Misconfigured, "Redirects are not followed"),
        (199, b"{}", UnusableAnswer, "Only 200 to 299"),
        (200, error_body("Broken inside."), UnusableAnswer, "an error as a success: Broken inside"),
    ],
)
def test_a_status_is_an_error_of_its_kind(
    status: int, content: object, kind: type[SourceError], cure: str
) -> None:
    error = failure(make_api(status, content))
    assert type(error) is kind
    assert cure in str(error)
    assert "GET /v1/threads/thread_1/runs/run_1" in str(error)
    assert str(status) in str(error) or status == 200


def test_the_service_is_quoted_on_one_line_and_not_at_length() -> None:
    error = failure(make_api(400, error_body("Line one.\nLine\ttwo\ud800 " + "x" * 2000)))
    assert "400 Bad Request: Line one. Line two" in str(error)
    assert str(error).isprintable()
    assert len(str(error)) < 500


@pytest.mark.parametrize(
    ("status", "verdict", "kind"),
    [
        (500, "false", RequestRefused),
        (409, "false", RequestRefused),
        (429, "false", RateLimited),
        (400, "true", Busy),
        (404, "true", Busy),
        (401, "true", Busy),
        (503, "true", Unreachable),
        (302, "true", Misconfigured),
    ],
)
def test_the_service_says_itself_whether_to_retry(
    status: int, verdict: str, kind: type[SourceError]
) -> None:
    headers = {"x-should-retry": verdict}
    assert type(failure(make_api(status, error_body("No."), headers))) is kind


@pytest.mark.parametrize("status", [429, 503, 409, 529])
def test_the_wait_that_was_asked_for_is_kept(status: int) -> None:
    error = failure(make_api(status, error_body("No."), {"retry-after": "7"}))
    assert isinstance(error, PollAgain)
    assert error.retry_after == 7.0
    unsaid = failure(make_api(status, error_body("No.")))
    assert isinstance(unsaid, PollAgain)
    assert unsaid.retry_after is None


@pytest.mark.parametrize("echo", [KEY, quote(KEY, safe=""), f"Bearer {KEY}", GATEWAY])
@pytest.mark.parametrize("status", [200, 201, 204, 302, 400, 401, 403, 404, 409, 429, 500, 529])
def test_no_secret_is_shown(status: int, echo: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for content in (
        error_body(f"x {echo} y"),
        {"error": echo},
        echo.encode(),
        error_body("z" * 290 + echo),
    ):
        for auth in ("bearer", "api-key"):
            kind = {"content-type": f"text/{echo}"} if status == 200 else JSON
            gateway = {"X-Gateway-Token": f"Token {GATEWAY}"}
            headers = {"location": f"https://{echo}", **kind}
            api = make_api(status, content, headers, headers=gateway, auth_header=auth)
            error = failure(api)
            shown = [repr(error), str(error), repr(api), repr(api.steps), caplog.text]
            shown += traceback.format_exception(error)
            shown += [*frame_locals(error), repr(pickle.loads(pickle.dumps(error.args)))]
            for secret in (KEY, quote(KEY, safe=""), GATEWAY, KEY[:9]):
                assert secret not in "".join(shown)
            assert error.__cause__ is None
            assert error.__context__ is None


@pytest.mark.parametrize(
    "content",
    [
        {"id": KEY},
        {"id": "run_1", "object": KEY},
        {"id": "run_1", "status": [KEY]},
        {"id": "run_1", "status": {"prompt_tokens": KEY}, KEY: 1},
        {"id": "run_1", KEY: KEY},
    ],
)
def test_no_secret_is_shown_of_a_run_that_holds_it(content: dict[str, Any]) -> None:
    with pytest.raises(UnusableAnswer) as raised:
        asyncio.run(make_api(200, content).retrieve("thread_1", "run_1"))
    assert KEY not in "".join(traceback.format_exception(raised.value))
    assert raised.value.__context__ is None


def frame_locals(error: BaseException) -> list[str]:
    """Returns the local variables of our frames in a traceback, as a crash reporter sees them."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [frame for frame in frames if "/tracker/" in frame.f_code.co_filename]
    assert ours
    return [repr(value) for frame in ours for value in frame.f_locals.values()]


def leaks() -> str:
    raise RuntimeError(f"{KEY} was not accepted")


async def leaks_later() -> str:
    return leaks()


async def hangs() -> str:
    await asyncio.sleep(60)
    return KEY


@pytest.mark.parametrize(
    ("api_key", "says"),
    [
        (leaks, "failed with RuntimeError"),
        (leaks_later, "failed with RuntimeError"),
        (hangs, "no key came in 0.05 s"),
        (lambda: None, "returned NoneType"),
        (lambda: "  ", "the key is empty"),
        (f"{KEY}\r\nX-Evil: 1", "characters that no header can carry"),
        (f"{KEY}\N{EN DASH}", "characters that no header can carry"),
    ],
)
def test_a_key_that_cannot_be_had_is_refused(api_key: Any, says: str) -> None:
    error = failure(make_api(200, {}, api_key=api_key, deadline=0.05))
    assert isinstance(error, KeyRefused)
    assert "GET /v1/threads/thread_1/runs/run_1 was not sent" in str(error)
    assert says in str(error)
    assert KEY not in "".join([str(error), *frame_locals(error)])
    assert error.__cause__ is None
    assert error.__context__ is None


def test_a_rotated_key_is_used_at_once() -> None:
    keys = iter(["sk-first-4f1d9c22b7", "sk-second-4f1d9c22b7\n"])
    sent: list[str] = []

    async def key() -> str:
        return next(keys)

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["authorization"])
        return httpx.Response(200, json={"id": "run_1", "status": "queued"})

    async def ask(api_key: Callable[[], Awaitable[str]]) -> None:
        transport = httpx.MockTransport(answer)
        async with Assistants("https://host/v1", api_key, transport=transport) as api:
            await api.fetch("thread_1", "run_1")
            await api.fetch("thread_1", "run_1")

    asyncio.run(ask(key))
    assert sent == ["Bearer sk-first-4f1d9c22b7", "Bearer sk-second-4f1d9c22b7"]


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "host/v1"},
        {"base_url": "ftp://host"},
        {"base_url": "https://"},
        {"base_url": "https://user:sk-test@host/v1"},
        {"base_url": f"https://host/v1?key={KEY}"},
        {"base_url": "https://host:port"},
        {"base_url": "https://[broken"},
        {"headers": {"x-key": f"{KEY}\n"}},
        {"headers": {"x\n": "1"}},
        {"deadline": 0},
        {"deadline": float("nan")},
        {"auth_header": KEY},
        {"name": ""},
        {"name": "a:b"},
        {"name": "configuration"},
        {"name": "a" * 65},
        {"name": "a\n"},
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as raised:
        Assistants(**({"base_url": "https://host/v1"} | settings))
    assert KEY not in "".join(traceback.format_exception(raised.value))
