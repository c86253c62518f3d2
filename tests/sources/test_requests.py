"""Answers that take several requests: all are counted, with all rate limit headers."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.support.agent_payloads import SESSION, TURN
from tests.support.graph_payloads import graph_run, thread_state
from tests.support.poller_bench import Bench, body, run
from tests.support.poller_bench import ScriptedSource as Plain
from tracker.errors import (
    KeyRefused,
    Misconfigured,
    NotFound,
    RateLimited,
    SourceError,
    Unreachable,
    UnusableAnswer,
)
from tracker.polling.policy import rate_limiter
from tracker.sources import AgentTurns, Answer, HttpSource, LangGraph
from tracker.sources.answer import count_requests

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)

Reply = object | int | httpx.Response
Use = Callable[[Any], Awaitable[Any]]


def call(api: type[HttpSource], use: Use, *replies: Reply) -> tuple[Any, int]:
    """Returns the result or error of `use`, and the number of requests; a number refuses one."""
    waiting = list(replies)

    def answer(request: httpx.Request) -> httpx.Response:
        reply = waiting.pop(0)
        if isinstance(reply, httpx.Response):
            return reply
        if isinstance(reply, int):
            return httpx.Response(reply, json={"detail": "Not Found"})
        return httpx.Response(200, json=reply)

    async def main() -> Any:
        transport = httpx.MockTransport(answer)
        async with api("https://host/v1", transport=transport) as source:  # type: ignore[call-arg]
            try:
                return await use(source)
            except SourceError as error:
                return error

    return asyncio.run(main()), len(replies) - len(waiting)


def turn(api: AgentTurns) -> Awaitable[Answer]:
    return api.fetch("sess_1", "turn_1")


def turns(api: AgentTurns) -> Awaitable[Any]:
    return api.fetch_page("sess_1", 10)


def all_turns(api: AgentTurns) -> Awaitable[Any]:
    return api.fetch_runs("sess_1")


def fetch_graph_run(api: LangGraph) -> Awaitable[Answer]:
    return api.fetch("thread-1", "run-1")


def graph_runs(api: LangGraph) -> Awaitable[Any]:
    return api.fetch_page("thread-1", 10)


PAGE = {"object": "list", "data": [TURN], "has_more": False}
DONE = graph_run("success")
OTHER = graph_run("running", 2)


@pytest.mark.parametrize(
    ("api", "use", "replies"),
    [
        (AgentTurns, turn, [TURN, SESSION]),
        (AgentTurns, turns, [PAGE, SESSION]),
        (AgentTurns, all_turns, [PAGE, SESSION]),
        (LangGraph, fetch_graph_run, [graph_run("running")]),
        (LangGraph, fetch_graph_run, [DONE, [DONE], thread_state()]),
        (LangGraph, fetch_graph_run, [DONE, [OTHER]]),
        (LangGraph, graph_runs, [[OTHER]]),
        (LangGraph, graph_runs, [[DONE], thread_state()]),
    ],
)
def test_an_answer_says_how_many_requests_it_took(
    api: type[HttpSource], use: Use, replies: list[Reply]
) -> None:
    found, asked = call(api, use, *replies)
    answer = found if isinstance(found, Answer) else found[0]
    assert answer.requests == asked == len(replies)


@pytest.mark.parametrize(
    ("api", "use", "replies", "kind"),
    [
        (AgentTurns, turn, [503], Unreachable),
        (AgentTurns, turn, [TURN, 429], RateLimited),
        (AgentTurns, turn, [TURN, {**SESSION, "id": "sess_2"}], UnusableAnswer),
        (AgentTurns, turns, [PAGE, 401], KeyRefused),
        (AgentTurns, all_turns, [PAGE, 500], Unreachable),
        (LangGraph, fetch_graph_run, [429], RateLimited),
        (LangGraph, fetch_graph_run, [DONE, 429], RateLimited),
        (LangGraph, fetch_graph_run, [DONE, [DONE], 429], RateLimited),
        (LangGraph, fetch_graph_run, [DONE, [DONE], {"hello": 1}], UnusableAnswer),
        (LangGraph, graph_runs, [[DONE], 503], Unreachable),
        (LangGraph, fetch_graph_run, [404, [OTHER]], NotFound),
        (LangGraph, fetch_graph_run, [404, 404, 404], Misconfigured),
        (LangGraph, fetch_graph_run, [404, 429], RateLimited),
    ],
)
def test_so_does_what_keeps_it_from_coming(
    api: type[HttpSource], use: Use, replies: list[Reply], kind: type[SourceError]
) -> None:
    error, asked = call(api, use, *replies)
    assert type(error) is kind
    assert error.requests == asked == len(replies)


def test_what_the_last_request_says_of_the_limit_counts() -> None:
    def reply(document: object, left: str, **more: str) -> httpx.Response:
        headers = {"x-ratelimit-remaining-requests": left, **more}
        return httpx.Response(200, json=document, headers=headers)

    first = reply(TURN, "8", **{"x-request-id": "one", "retry-after": "7"})
    answer, _ = call(AgentTurns, turn, first, reply(SESSION, "3", **{"retry-after": "2"}))
    assert answer.headers["x-ratelimit-remaining-requests"] == "3"
    assert answer.headers["x-request-id"] == "one"
    assert answer.poll_after == 7


def test_two_answers_as_one() -> None:
    first = Answer(b"1", 200, NOW, NOW + timedelta(seconds=1), poll_after=None)
    last = Answer(b"2", 200, NOW + timedelta(seconds=2), NOW + timedelta(seconds=3), requests=4)
    both = first.then(last)
    assert (both.body, both.asked_at, both.observed_at) == (b"1", NOW, last.observed_at)
    assert (both.requests, both.poll_after) == (5, None)
    assert first.then(last, b"3").body == b"3"
    with pytest.raises(ZeroDivisionError), count_requests(first):
        raise ZeroDivisionError
    with pytest.raises(Unreachable) as raised, count_requests(both):
        raise Unreachable("gone")
    assert raised.value.requests == 6
    assert Unreachable("another").requests == 1


class ScriptedSource(Plain):
    """A service of which each poll takes this many requests."""

    took = 1

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        try:
            answer = await super().fetch(thread_id, run_id, known)
        except SourceError as error:
            error.requests = self.took
            raise
        return Answer(answer.body, 200, answer.asked_at, answer.observed_at, requests=self.took)


@pytest.mark.parametrize("reply", [body("in_progress"), Unreachable("gone")])
@pytest.mark.parametrize("took", [1, 2, 3])
def test_the_requests_of_a_look_are_counted(took: int, reply: Any) -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(bench.clock, reply)
        service.took = took
        bench.watch_list.watch(service, "thread_1", "run_1")
        await bench.advance(30)
        assert bench.status(service).asked == took * len(service.asked)

    run(scenario)


@pytest.mark.parametrize("took", [1, 2, 3])
def test_all_of_them_keep_to_the_rate(took: int) -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(bench.clock, body("in_progress"))
        service.took = took
        bench.watch_list.dispatcher(service).limiter.limit = rate_limiter.initial(5.0, 5.0)
        for number in range(100):
            bench.watch_list.watch(service, f"thread_{number}", f"run_{number}")
        began = bench.clock.monotonic()
        await bench.advance(60)
        most = 5 * (bench.clock.monotonic() - began)
        # Those of two looks may go at once.
        assert 0.5 * most < bench.status(service).asked <= most + 2 * took

    run(scenario)
