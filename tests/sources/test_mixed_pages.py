"""Pages with something odd among their entries: each odd entry costs only itself."""

import asyncio
from typing import Any

import pytest

from projections import Views
from tests.support.command_line import run_body, runfold
from tests.support.scripted_server import Reply, ScriptedServer
from tests.support.secret_search import MARK
from tracker import Tracker
from tracker.errors import UnusableAnswer
from tracker.sources import Assistants

pytestmark = pytest.mark.integration

ODD: list[Any] = [
    None,
    "run_1",
    [],
    {},
    {"id": None},
    {"id": ["run_1"]},
    run_body("batch_1") | {"object": "batch"},
]


def page(*entries: Any) -> Reply:
    return Reply(200, {"object": "list", "data": list(entries), "has_more": False})


def test_an_odd_entry_costs_only_itself(database_url: str) -> None:
    good = [run_body(f"run_good_{number}") for number in range(3)]

    async def scenario() -> None:
        server = ScriptedServer(page(good[0], *ODD, *good[1:]))
        async with (
            server.serving() as url,
            Tracker(database_url, Assistants(base_url=url, api_key=MARK)) as tracker,
        ):
            done = await tracker.backfill("thread_1", steps=False)
            assert done.failed >= 1

    asyncio.run(scenario())
    assert runfold("catch-up", "--db", database_url).code == 0
    with Views(database_url) as views:
        assert {row.run_id for row in views.runs()} == {body["id"] for body in good}


@pytest.mark.parametrize("odd", ODD)
def test_a_page_of_nothing_else_is_no_page(odd: Any) -> None:
    async def scenario() -> None:
        async with ScriptedServer(page(odd, odd)).serving() as url:
            source = Assistants(base_url=url, api_key=MARK)
            with pytest.raises(UnusableAnswer):
                await source.fetch_runs("thread_1")
            await source.aclose()

    asyncio.run(scenario())


def test_an_odd_entry_leaves_the_others_on_a_polled_page() -> None:
    good = [run_body(f"run_good_{number}") for number in range(3)]

    async def scenario() -> None:
        async with ScriptedServer(page(good[0], *ODD, *good[1:])).serving() as url:
            source = Assistants(base_url=url, api_key=MARK)
            _, entries = await source.fetch_page("thread_1", 100)
            assert [entry["id"] for entry in entries] == [body["id"] for body in good]
            await source.aclose()

    asyncio.run(scenario())
