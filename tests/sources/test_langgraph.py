"""Runs of LangGraph: requests, and snapshots of the answers."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.support.graph_payloads import graph_run, thread_state
from tracker.core.decider import decide, fold
from tracker.core.events import RunActionRequired, RunCompleted
from tracker.core.snapshot import RunError, ToolCall
from tracker.errors import Misconfigured, NotFound, PayloadError, RequestRefused, UnusableAnswer
from tracker.sources import LangGraph, PageSource
from tracker.sources.langgraph.snapshots import with_state

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
INTERRUPT = {"id": "i1", "value": {"question": "may I?"}}


Use = Callable[[LangGraph], Awaitable[Any]]


def call(use: Use, **replies: Any) -> tuple[Any, list[str]]:
    """Returns the result of `use` with a server that answers `replies`; a number refuses."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        last = request.url.path.rpartition("/")[2]
        name = last if last in ("runs", "state", "ok") else "run"
        asked.append(name)
        reply = replies[name]
        if isinstance(reply, int):
            return httpx.Response(reply, json={"detail": "Not Found"})
        return httpx.Response(200, json=reply)

    async def main() -> Any:
        async with LangGraph("https://host", "lsv2", transport=httpx.MockTransport(answer)) as api:
            return await use(api)

    return asyncio.run(main()), asked


def fetch(api: LangGraph) -> Awaitable[Any]:
    return api.fetch("thread-1", "run-1")


def snapshot_of(answer: Any) -> Any:
    return LangGraph("https://host").snapshot(answer.body, observed_at=NOW)


@pytest.mark.parametrize(
    ("status", "ours"),
    [
        ("pending", "queued"),
        ("running", "in_progress"),
        ("timeout", "expired"),
        ("dreaming", "dreaming"),
    ],
)
def test_one_request_tells_most_statuses(status: str, ours: str) -> None:
    answer, asked = call(fetch, run=graph_run(status))
    assert asked == ["run"]
    seen = snapshot_of(answer)
    assert (seen.status, seen.thread_id, seen.assistant_id) == (ours, "thread-1", "agent")
    ended = NOW + timedelta(seconds=5.5) if ours == "expired" else None
    assert (seen.created_at, seen.ended_at) == (NOW, ended)
    assert (seen.usage, seen.metadata) == (None, {"graph_id": "agent"})


def test_the_state_of_the_thread_tells_a_stop_from_an_end() -> None:
    success = graph_run("success")
    replies = {"run": success, "runs": [success]}
    answer, asked = call(fetch, **replies, state=thread_state(INTERRUPT, after=["work"]))
    assert asked == ["run", "runs", "state"]
    assert b"secret" not in answer.body
    seen = snapshot_of(answer)
    assert seen.status == "requires_action"
    question = '{"question": "may I?"}'
    assert seen.tool_calls == (
        ToolCall(id="i1", type="interrupt", name="work", arguments=question),
    )
    answer, _ = call(fetch, **replies, state=thread_state(after=["work"]))
    assert snapshot_of(answer).tool_calls == (
        ToolCall(id="before work", type="breakpoint", name="work"),
    )
    answer, _ = call(fetch, **replies, state=thread_state())
    assert snapshot_of(answer).status == "completed"


def test_a_run_that_another_follows_waits_no_more() -> None:
    success = graph_run("success")
    answer, asked = call(fetch, run=success, runs=[graph_run("running", 2), success])
    assert asked == ["run", "runs"]
    assert snapshot_of(answer).status == "completed"


def test_the_end_of_a_wait_is_not_at_the_stamp_of_its_beginning() -> None:
    api = LangGraph("https://host")
    stopped = with_state(graph_run("success"), thread_state(INTERRUPT))  # type: ignore[arg-type]
    first, second = NOW + timedelta(seconds=10), NOW + timedelta(seconds=60)
    events = decide(fold([]), api.snapshot(stopped, observed_at=first, asked_at=first))
    waiting = events[-1]
    assert isinstance(waiting, RunActionRequired)
    assert waiting.occurred_at == NOW + timedelta(seconds=5.5)
    [end] = decide(
        fold(events), api.snapshot(graph_run("success"), observed_at=second, asked_at=second)
    )
    assert isinstance(end, RunCompleted)
    assert (end.occurred_at, end.not_before) == (None, first)


def test_the_state_of_the_thread_says_why_a_run_failed() -> None:
    failed = graph_run("error")
    answer, _ = call(
        fetch, run=failed, runs=[failed], state=thread_state(error="RuntimeError('boom')")
    )
    seen = snapshot_of(answer)
    assert (seen.status, seen.error) == ("failed", RunError(message="RuntimeError('boom')"))
    bare = LangGraph("https://host").snapshot(failed, observed_at=NOW)
    assert (bare.status, bare.error) == ("failed", None)


def test_a_page_is_a_bare_list_and_its_newest_run_is_explained() -> None:
    runs = [graph_run("success", 2), graph_run("success", 1)]
    use = lambda api: api.fetch_page("thread-1", 9)  # noqa: E731
    (_, entries), asked = call(use, runs=runs, state=thread_state(INTERRUPT))
    assert asked == ["runs", "state"]
    assert [entry["id"] for entry in entries] == ["run-2", "run-1"]
    api = LangGraph("https://host")
    assert isinstance(api, PageSource)
    statuses = [api.snapshot(entry, observed_at=NOW).status for entry in entries]
    assert statuses == ["requires_action", "completed"]
    with pytest.raises(UnusableAnswer, match="not a JSON array, but an object"):
        call(use, runs={"data": []})


def test_all_runs_of_a_thread_are_listed_by_how_many_were_shown() -> None:
    runs = [graph_run("success", number) for number in range(100, 0, -1)]
    (_, entries, more), asked = call(
        lambda api: api.fetch_runs("thread-1"), runs=runs, state=thread_state(INTERRUPT)
    )
    assert asked == ["runs", "state"]
    assert (len(entries), more) == (100, "100")
    # The newest of a later page is not the newest of the thread: its state is not asked for.
    (_, entries, more), asked = call(
        lambda api: api.fetch_runs("thread-1", "100"), runs=runs[:1], state=thread_state(INTERRUPT)
    )
    assert asked == ["runs"]
    assert (entries[0]["id"], more) == ("run-100", None)


def test_a_run_that_is_gone_is_told_from_a_wrong_address() -> None:
    for alive in ({"runs": [], "ok": 404}, {"runs": 404, "ok": {"ok": True}}):
        with pytest.raises(NotFound, match="404 Not Found") as raised:
            call(fetch, run=404, **alive)
        assert "base_url" not in str(raised.value)
    with pytest.raises(Misconfigured, match="base_url") as wrong:
        call(fetch, run=404, runs=404, ok=404)
    assert wrong.value.requests == 3


def test_what_was_answered_before_shows_that_the_address_is_right() -> None:
    """A bare 404 of a run and of its thread, beside another run that lives."""

    async def use(api: LangGraph) -> None:
        await api.fetch("thread-1", "run-1")
        with pytest.raises(NotFound) as raised:
            await api.fetch("thread-gone", "run-2")
        assert raised.value.requests == 2

    paths = {"/threads/thread-1/runs/run-1": graph_run("running")}

    def answer(request: httpx.Request) -> httpx.Response:
        found = paths.get(request.url.path)
        return httpx.Response(404 if found is None else 200, json=found or {"detail": "Not Found"})

    async def main() -> None:
        async with LangGraph("https://host", transport=httpx.MockTransport(answer)) as api:
            await use(api)
            # Once that is gone too, nothing shows it any more.
            paths.clear()
            with pytest.raises(Misconfigured):
                await api.fetch("thread-gone", "run-2")

    asyncio.run(main())


@pytest.mark.parametrize("refused", [400, 404, 405, 410, 422])
@pytest.mark.parametrize(
    ("status", "ours"),
    [("success", "completed"), ("error", "failed"), ("interrupted", "cancelled")],
)
def test_a_state_that_is_not_there_leaves_the_run_s_own_word(
    status: str, ours: str, refused: int
) -> None:
    run = graph_run(status) | {"error": "boom"}
    for replies in ({"runs": [run], "state": refused}, {"runs": refused, "state": refused}):
        answer, asked = call(fetch, run=run, **replies)
        assert asked == ["run", "runs", "state"]
        assert answer.requests == 3
        seen = snapshot_of(answer)
        assert (seen.status, seen.tool_calls) == (ours, ())
        assert (seen.error is not None) is True
    (_, entries), _ = call(lambda api: api.fetch_page("thread-1", 9), runs=[run], state=refused)
    assert LangGraph("https://host").snapshot(entries[0], observed_at=NOW).status == ours


@pytest.mark.parametrize("where", ["tasks", "interrupts"])
def test_a_look_alike_s_interrupted_run_waits_if_the_state_says_so(where: str) -> None:
    run = graph_run("interrupted")
    state: Any = thread_state(INTERRUPT, after=["work"])
    if where == "interrupts":
        state = {**state, "tasks": [], "interrupts": [INTERRUPT]}
    answer, _ = call(fetch, run=run, runs=[run], state=state)
    seen = snapshot_of(answer)
    assert (seen.status, [it.id for it in seen.tool_calls]) == ("requires_action", ["i1"])
    # A run that was stopped in the middle has nodes to come, and waits for nobody.
    answer, _ = call(fetch, run=run, runs=[run], state=thread_state(after=["work"]))
    assert (snapshot_of(answer).status, snapshot_of(answer).tool_calls) == ("cancelled", ())


@pytest.mark.parametrize("values", [{}, {"a": 1}, None, []])
def test_the_server_s_webhook_shows_interrupts_and_leaves_the_rest_open(values: Any) -> None:
    api, webhook = LangGraph("https://host"), graph_run("success")
    interrupted = webhook | {"values": {"__interrupt__": [INTERRUPT, {"value": "b"}]}}
    seen = api.snapshot(interrupted, observed_at=NOW)
    assert seen.status == "requires_action"
    assert [it.id for it in seen.tool_calls] == ["i1", "interrupt 2"]
    assert not api.is_undecided(interrupted)
    assert not api.is_undecided(webhook)
    assert not api.is_undecided(graph_run("error") | {"values": values})
    assert api.is_undecided(webhook | {"values": values})
    # The state says it all.
    done = interrupted | {"state": {"next": [], "tasks": []}}
    assert api.snapshot(done, observed_at=NOW).status == "completed"


def test_what_is_no_answer() -> None:
    for replies in (
        {"run": graph_run("running", 2) | {"thread_id": None}},
        {"run": graph_run("running") | {"thread_id": "thread-2"}},
        {"run": graph_run("success"), "runs": [graph_run("success")], "state": {"detail": "?"}},
    ):
        with pytest.raises(UnusableAnswer):
            call(fetch, **replies)
    with pytest.raises(RequestRefused, match="which thread"):
        call(lambda api: api.fetch(None, "run-1"))
    with pytest.raises(PayloadError, match="not a run of a graph: status"):
        LangGraph("https://host").snapshot({"run_id": "r"}, observed_at=NOW)


def test_the_key_goes_as_the_platform_wants_it() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(
            200,
            content=json.dumps(graph_run("pending")),
            headers={"content-type": "application/json"},
        )

    asyncio.run(fetch(LangGraph("https://host", "lsv2", transport=httpx.MockTransport(answer))))
    assert sent[0].headers["x-api-key"] == "lsv2"
    assert "authorization" not in sent[0].headers
