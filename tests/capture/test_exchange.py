"""Recognition of requests about runs of a source, by address, method and path."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI

from tracker.capture.exchange import Route, response_route, run_route
from tracker.errors import SettingsError
from tracker.sources import Assistants, Responses
from tracker.sources.http.address import QuietUrl, path_of
from tracker.sources.http.requests import runs_path


def test_every_call_of_runs_is_found_at_the_path_that_it_has() -> None:
    ids = ("thread_1", "run_1")
    expected = {
        ("POST", "/threads/runs"): Route("create"),
        ("POST", runs_path("thread_1")): Route("create", "thread_1"),
        ("GET", runs_path("thread_1")): Route("list", "thread_1"),
        ("GET", runs_path(*ids)): Route("retrieve", *ids),
        ("POST", runs_path(*ids)): Route("update", *ids),
        ("POST", runs_path(*ids, "cancel")): Route("cancel", *ids),
        ("POST", runs_path(*ids, "submit_tool_outputs")): Route("submit_tool_outputs", *ids),
        ("GET", runs_path(*ids, "steps")): Route("steps", *ids),
        ("GET", runs_path(*ids, "steps", "step_1")): Route("step", *ids),
    }
    assert {asked: run_route(*asked) for asked in expected} == expected
    assert not any(response_route(*asked) for asked in expected)


def test_every_call_of_responses_is_found_at_the_path_that_it_has() -> None:
    expected = {
        ("POST", "/responses"): Route("create"),
        ("GET", "/responses/resp_1"): Route("retrieve", run_id="resp_1"),
        ("POST", "/responses/resp_1/cancel"): Route("cancel", run_id="resp_1"),
    }
    assert {asked: response_route(*asked) for asked in expected} == expected
    assert not any(run_route(*asked) for asked in expected)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/threads"),
        ("POST", "/threads"),
        ("GET", "/threads/thread_1"),
        ("GET", "/threads/runs"),
        ("GET", "/threads/thread_1/messages"),
        ("DELETE", "/threads/thread_1/runs/run_1"),
        ("POST", "/threads/thread_1/runs/run_1/steps"),
        ("POST", "/threads/thread_1/runs/run_1/other"),
        ("GET", "/threads//runs/run_1"),
        ("GET", "/threads/thread_1/runs/run_1/steps/step_1/more"),
        ("DELETE", "/responses/resp_1"),
        ("GET", "/responses"),
        ("GET", "/responses/resp_1/input_items"),
        ("POST", "/chat/completions"),
    ],
)
def test_other_calls_are_none_of_these(method: str, path: str) -> None:
    assert run_route(method, path) is None
    assert response_route(method, path) is None


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_ids_come_back_as_they_were(thread_id: str, run_id: str) -> None:
    try:
        path = runs_path(thread_id, run_id, "cancel")
    except (SettingsError, UnicodeEncodeError):
        return
    assert run_route("POST", path) == Route("cancel", thread_id, run_id)
    assert response_route("GET", path_of("responses", run_id)) == Route("retrieve", None, run_id)


@pytest.mark.parametrize(
    ("base", "url", "path"),
    [
        ("https://host/v1", "https://host/v1/threads/a%2Fb/runs?limit=1", "/threads/a%2Fb/runs"),
        ("https://host/v1/", "https://HOST:443/v1/responses", "/responses"),
        ("https://host", "https://host/responses", "/responses"),
        ("http://127.0.0.1:80/v1", "http://127.0.0.1/v1/responses", "/responses"),
        ("https://host/v1", "https://host/v10/responses", None),
        ("https://host/v1", "https://host/v1", None),
        ("https://host/v1", "https://host:8443/v1/responses", None),
        ("https://host/v1", "http://host/v1/responses", None),
        ("https://host/v1", "https://other/v1/responses", None),
    ],
)
def test_what_is_below_an_address(base: str, url: str, path: str | None) -> None:
    with OpenAI(api_key="sk-4f1d9c22b7", base_url=url) as client:
        # The official client may have another library for its addresses.
        theirs = type(client.base_url)
    for source in (Assistants(base), Responses(base)):
        assert source.path_below(httpx.URL(url)) == source.path_below(theirs(url)) == path


def test_a_quiet_url_is_sent_whole_and_shown_without_what_is_hidden() -> None:
    whole = httpx.URL("https://host/v1/x?api-version=1&code=a%2Bb%20c&code=d&limit=2")
    quiet = QuietUrl(whole, {"code"})
    assert quiet.raw_path == whole.raw_path
    assert quiet.params == whole.params
    shown = "https://host/v1/x?api-version=1&code=***&code=***&limit=2"
    assert (str(quiet), repr(quiet)) == (shown, f"QuietUrl({shown!r})")
