"""Lists of the Assistants API: pages, and iteration over all of them."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from tracker.errors import UnusableAnswer
from tracker.simulator.api.pages import PageRequest, paginate
from tracker.sources import Assistants
from tracker.sources.http.pages import Page
from tracker.sources.source import PageSource, StepSource

Answerer = Callable[[Mapping[str, str]], dict[str, Any]]


def run(id_: str, thread_id: str = "thread_1") -> dict[str, Any]:
    return {"id": id_, "object": "thread.run", "status": "completed", "thread_id": thread_id}


def page(*ids: str, more: bool | None = False, **fields: Any) -> dict[str, Any]:
    ends = {"first_id": ids[0], "last_id": ids[-1]} if ids else {}
    data = [run(id_) for id_ in ids]
    return {"object": "list", "data": data, "has_more": more} | ends | fields


def list_all(answer: Answerer, **query: Any) -> tuple[list[str], list[dict[str, str]]]:
    """Returns the ids of a whole list, and the queries that it took."""
    queries: list[dict[str, str]] = []

    def serve(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/threads/thread_1/runs"
        queries.append(dict(request.url.params))
        return httpx.Response(200, json=answer(queries[-1]))

    async def main() -> list[str]:
        transport = httpx.MockTransport(serve)
        async with Assistants("https://host/v1", transport=transport) as api:
            return [run.id async for run in await api.list("thread_1", **query)]

    return asyncio.run(main()), queries


def service(query: Mapping[str, str]) -> dict[str, Any]:
    """Answers for a thread with seven runs, the first the oldest, in pages as the real service."""
    items = [(f"run_{number}", run(f"run_{number}")) for number in range(1, 8)]
    data, more, first, last = paginate(items, PageRequest.of(query))
    return {"data": data, "has_more": more, "first_id": first, "last_id": last}


def test_one_page() -> None:
    async def main() -> Page[Any]:
        body = page("run_2", "run_1", more=True)
        transport = httpx.MockTransport(lambda _: httpx.Response(200, json=body))
        async with Assistants("https://host/v1", transport=transport) as api:
            return await api.list("thread_1")

    got = asyncio.run(main())
    assert [found.id for found in got.data] == ["run_2", "run_1"]
    assert (got.first_id, got.last_id, got.has_more) == ("run_2", "run_1", True)
    assert got.data[0].body == run("run_2")
    assert got.data[0].answer is got.answer
    assert got.answer
    assert got.answer.status == 200


@pytest.mark.parametrize("odd", [None, 5, [], {}, {"id": "run_3"}, {"id": 3, "status": "queued"}])
def test_an_odd_item_of_a_page_leaves_the_others(odd: object) -> None:
    body = page("run_2", "run_1") | {"data": [run("run_2"), odd, run("run_1")]}
    assert list_all(lambda _: body)[0] == ["run_2", "run_1"]
    with pytest.raises(UnusableAnswer):
        list_all(lambda _: body | {"data": [odd]})


def test_a_list_goes_on_to_its_end() -> None:
    ids, queries = list_all(service, limit=3)
    assert ids == [f"run_{number}" for number in range(7, 0, -1)]
    assert queries == [
        {"limit": "3"},
        {"limit": "3", "after": "run_5"},
        {"limit": "3", "after": "run_2"},
    ]


def test_a_list_goes_on_from_a_cursor_in_its_order() -> None:
    ids, queries = list_all(service, limit=2, order="asc", after="run_3")
    assert ids == ["run_4", "run_5", "run_6", "run_7"]
    assert [query["after"] for query in queries] == ["run_3", "run_5"]


def test_a_list_before_a_cursor_goes_backwards() -> None:
    ids, queries = list_all(service, limit=2, before="run_2")
    assert ids == ["run_4", "run_3", "run_6", "run_5", "run_7"]
    assert [query["before"] for query in queries] == ["run_2", "run_4", "run_6"]


def test_a_list_between_two_cursors_goes_forwards() -> None:
    ids, _ = list_all(service, limit=2, after="run_7", before="run_2")
    assert ids == ["run_6", "run_5", "run_4", "run_3"]


def test_nothing_is_listed() -> None:
    assert list_all(lambda _: page()) == ([], [{}])


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: page("run_1", "run_2", more=True),
        lambda query: page("run_1" if query.get("after") != "run_1" else "run_2", more=True),
        lambda query: page(*([] if query else ["run_1"]), more=True),
        lambda query: page(*([] if query else ["run_1"]), more=True, last_id="run_1"),
    ],
)
def test_a_list_that_would_never_end_is_unusable(answer: Answerer) -> None:
    with pytest.raises(UnusableAnswer, match=r"a list goes on|same part of a list"):
        list_all(answer)


def test_pages_that_overlap_give_each_run_once() -> None:
    pages = {None: page("run_1", "run_2", more=True), "run_2": page("run_2", "run_3")}
    assert list_all(lambda query: pages[query.get("after")])[0] == ["run_1", "run_2", "run_3"]


def test_a_service_without_cursors_is_asked_by_the_last_run() -> None:
    pages = {
        None: page("run_1", more=True, first_id=None, last_id=None),
        "run_1": page("run_2", more=None, last_id=None),
    }
    assert list_all(lambda query: pages[query.get("after")])[0] == ["run_1", "run_2"]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"object": "list"}, "brought no list"),
        (page("run_1", data=[run("run_1", "thread_2")]), "another thread_id"),
        (page("run_1", data=[{"object": "thread.message"}]), "another object"),
        (page("run_1", data=[{"id": "run_1"}]), "without an id or a status"),
        (page("run_1", data=["run_1"]), "without an id or a status"),
    ],
)
def test_another_list_is_unusable(document: dict[str, Any], says: str) -> None:
    with pytest.raises(UnusableAnswer) as raised:
        list_all(lambda _: document)
    assert says in str(raised.value)


def test_steps_are_listed() -> None:
    asked: list[httpx.URL] = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        number = len(asked)
        step = {"id": f"step_{number}", "status": "completed", "run_id": "run_1"}
        return httpx.Response(200, json={"data": [step], "has_more": number < 3})

    async def main() -> list[str]:
        transport = httpx.MockTransport(serve)
        async with Assistants("https://host/v1", transport=transport) as api:
            first = await api.steps.list("thread_1", "run_1", order="asc", include=["x"])
            return [step.id async for step in first]

    assert asyncio.run(main()) == ["step_1", "step_2", "step_3"]
    assert {url.path for url in asked} == {"/v1/threads/thread_1/runs/run_1/steps"}
    assert dict(asked[-1].params) == {"order": "asc", "include[]": "x", "after": "step_2"}


def step(name: str, **fields: Any) -> dict[str, Any]:
    kind = {"object": "thread.run.step", "run_id": "run_1", "thread_id": "thread_1"}
    return {"id": name, **kind, "status": "completed", "type": "tool_calls", **fields}


def fetch_steps_after(document: dict[str, Any], after: str | None = None) -> Any:
    """Returns the result of `fetch_steps` for a document, and the URL that it requested."""
    requests: list[httpx.Request] = []

    def serve(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=document)

    async def main() -> Any:
        async with Assistants("https://host/v1", transport=httpx.MockTransport(serve)) as api:
            _, entries, cursor = await api.fetch_steps("thread_1", "run_1", after)
            return [api.steps_snapshot(entry).step_id for entry in entries], cursor

    return *asyncio.run(main()), requests[0].url


@pytest.mark.parametrize(
    ("more", "cursor"),
    [
        ({"has_more": True, "last_id": "step_2"}, "step_2"),
        ({"has_more": True}, "step_2"),
        ({"has_more": False, "last_id": "step_2"}, None),
        ({}, None),
        ({"has_more": True, "data": []}, None),
    ],
)
def test_steps_come_oldest_first_with_where_to_go_on(more: dict[str, Any], cursor: str) -> None:
    document = {"object": "list", "data": [step("step_1"), step("step_2")], **more}
    ids, found, url = fetch_steps_after(document, "step_0")
    assert ids == [entry["id"] for entry in document["data"]]
    assert found == cursor
    assert url.path == "/v1/threads/thread_1/runs/run_1/steps"
    assert dict(url.params) == {"after": "step_0", "limit": "100", "order": "asc"}


@pytest.mark.parametrize(
    "entry", [step("step_1", run_id="run_2"), {"status": "completed"}, run("run_1"), 7]
)
def test_steps_of_another_run_are_unusable(entry: object) -> None:
    with pytest.raises(UnusableAnswer):
        fetch_steps_after({"object": "list", "data": [entry]})


def test_assistants_has_pages_and_steps() -> None:
    api = Assistants("https://host/v1")
    assert isinstance(api, PageSource)
    assert isinstance(api, StepSource)
