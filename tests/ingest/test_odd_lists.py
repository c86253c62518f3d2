"""Lists of odd services: empty ones as null, bare arrays, and entries that are none."""

import asyncio
from typing import Any

import pytest

from projections import Views
from tests.support.command_line import run_body
from tests.support.graph_payloads import graph_run
from tests.support.loopback import listening
from tests.support.odd_documents import make_input, read_cases
from tests.support.odd_polls import CaseServer
from tests.support.tracker_settings import QUICK
from tracker import Tracker
from tracker.errors import UnusableAnswer
from tracker.ingest.backfill import Backfilled
from tracker.sources import Assistants, LangGraph

pytestmark = pytest.mark.integration

CASES = read_cases("backfill", "null_list")
RUNS = "GET /v1/threads/thread_1/runs"
STEPS = "GET /v1/threads/thread_1/runs/run_1/steps"
ODD: list[Any] = [None, "run_9", 3, [], {}, {"run_id": None}, {"run_id": ["r"]}]


async def backfill(
    answers: list[Any], url: str = "memory://", api: type[Assistants | LangGraph] = Assistants
) -> tuple[Backfilled, CaseServer]:
    server = CaseServer(answers)
    async with listening(server.serve) as port:
        source = api(f"http://127.0.0.1:{port}/v1")
        async with Tracker(url, source, cadence=QUICK) as tracker:
            done = await asyncio.wait_for(tracker.backfill("thread_1", watch=False), 5)
    return done, server


@pytest.mark.skipif(not CASES, reason="no odd documents beside this checkout")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_an_odd_list(case: dict[str, Any], database_url: str) -> None:
    expected = case["expect"]
    done, server = asyncio.run(backfill(make_input(case), database_url))
    with Views(database_url) as views:
        views.prepare(create=True)
        views.catch_up()
        rows = views.runs()
    assert len(rows) == expected.get("runs", len(rows))
    assert done.steps == expected.get("steps", done.steps)
    assert (done.failed > 0) is (expected.get("exit", 0) == 1)
    if "requests_for_the_list" in expected:
        assert server.count(RUNS) == expected["requests_for_the_list"]


@pytest.mark.parametrize(
    ("body", "runs"),
    [
        ({"data": None}, 0),
        ({"data": [run_body()], "has_more": "False"}, 1),
        ({"data": [run_body()], "has_more": 0}, 1),
        ({"data": [run_body()], "has_more": None, "last_id": "run_1"}, 1),
        ([run_body()], 1),
        ([], 0),
    ],
)
def test_a_list_of_runs_and_of_steps(body: Any, runs: int) -> None:
    answers = [{"asked": RUNS, "body": body}, {"asked": STEPS, "body": {"data": None}}]
    done, server = asyncio.run(backfill(answers))
    assert (done.runs, done.failed, server.count(RUNS)) == (runs, 0, 1)


def test_a_list_that_goes_on_says_so_in_any_way() -> None:
    for more in ("true", "True", 1, True):
        answers = [
            {"asked": RUNS, "body": {"data": [run_body()], "has_more": more}},
            {"asked": RUNS, "body": {"data": [run_body("run_2")], "has_more": False}},
        ]
        done, server = asyncio.run(backfill(answers))
        assert (done.runs, server.count(RUNS)) == (2, 2)


@pytest.mark.parametrize("body", [{}, {"data": {}}, {"data": "none"}, "3", "null"], ids=str)
def test_what_is_no_list_is_named(body: Any) -> None:
    async def main() -> None:
        server = CaseServer([{"asked": RUNS, "body": body}])
        async with listening(server.serve) as port, Assistants(f"http://127.0.0.1:{port}/v1") as it:
            for call in (
                it.fetch_runs("thread_1"),
                it.fetch_page("thread_1", 9),
                it.list("thread_1"),
            ):
                with pytest.raises(UnusableAnswer):
                    await call

    asyncio.run(main())


def test_a_page_for_the_caller_is_read_alike() -> None:
    async def main() -> None:
        answers = [{"asked": RUNS, "body": it} for it in ({"data": None}, [None, run_body()])]
        server = CaseServer(answers)
        async with listening(server.serve) as port, Assistants(f"http://127.0.0.1:{port}/v1") as it:
            assert (await it.list("thread_1")).data == []
            assert [run.id for run in (await it.list("thread_1")).data] == ["run_1"]

    asyncio.run(main())


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_odd_entry_of_a_graph_s_list_costs_itself(place: int) -> None:
    good = [graph_run("running", number) | {"thread_id": "thread_1"} for number in (1, 2)]

    async def main(odd: Any) -> None:
        runs = [*good[:place], odd, *good[place:]]
        server = CaseServer([{"asked": RUNS, "body": runs}])
        async with listening(server.serve) as port, LangGraph(f"http://127.0.0.1:{port}/v1") as it:
            _, entries = await it.fetch_page("thread_1", 9)
            assert [entry["id"] for entry in entries] == ["run-1", "run-2"]
            _, entries, more = await it.fetch_runs("thread_1")
            assert (len(entries), more) == (3, None)
        done, _ = await backfill([{"asked": RUNS, "body": runs}], api=LangGraph)
        assert (done.runs, done.failed) == (3, 1)

    async def main_of_all() -> None:
        await asyncio.gather(*map(main, ODD))

    asyncio.run(main_of_all())


def test_a_graph_s_list_of_nothing() -> None:
    for body in ("null", "[]"):
        done, _ = asyncio.run(backfill([{"asked": RUNS, "body": body}], api=LangGraph))
        assert (done.runs, done.failed) == (0, 0)
