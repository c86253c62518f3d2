"""Services with ids of their own: long ones, and another one in each answer."""

import asyncio
from typing import Any

import pytest

from projections import Views
from tests.support.loopback import listening
from tests.support.odd_answers import replies_of, reply_of
from tests.support.odd_documents import make_input, nest, read_cases
from tests.support.odd_polls import CaseServer
from tests.support.scripted_server import ScriptedServer
from tests.support.tracker_settings import QUICK
from tests.support.waiting import until
from tracker import Tracker
from tracker.errors import SettingsError, UnusableAnswer
from tracker.sources import Assistants, Responses

pytestmark = pytest.mark.integration

CASES = read_cases("poll", "proxy_identity")
PAGES = read_cases("poll", "unreadable_after_accept")
START = 1_767_261_600


def response(run_id: str, status: str, **more: Any) -> dict[str, Any]:
    return {"id": run_id, "object": "response", "status": status, "created_at": START, **more}


async def wait_for_end(url: str, run_id: str, replies: list[Any]) -> Any:
    """Watches a response to its end; returns its state and the peculiarities that were counted."""
    service = ScriptedServer(*replies)
    async with (
        service.serving() as address,
        Tracker(url, Responses(address), cadence=QUICK) as tracker,
    ):
        await tracker.watch(None, run_id)
        state = await tracker.wait(run_id, timeout=300)
        assert tracker.troubles == {}
        assert tracker.sources_status()["responses"].failed == 0
        assert all(f"/responses/{run_id} ".encode() in head for head in service.heads)
        return state, tracker.sources_status()["responses"].peculiarities


@pytest.mark.skipif(not CASES, reason="the odd documents are not beside this checkout")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_an_odd_service(case: dict[str, Any], database_url: str) -> None:
    answers = make_input(case)
    run_id = answers[0]["asked"].rpartition("/")[2]
    state, _ = asyncio.run(wait_for_end(database_url, run_id, replies_of(answers)))
    assert (state.run_id, state.status) == (run_id, "completed")


@pytest.mark.parametrize("run_id", ["resp_" + "A" * 2043, "resp_" + "Zm9vYmFy" * 57])
def test_a_long_id_from_watch_to_the_tables(database_url: str, run_id: str) -> None:
    replies = [reply_of(response(run_id, it)) for it in ("in_progress", "completed")]
    state, counts = asyncio.run(wait_for_end(database_url, run_id, replies))
    assert (state.run_id, "another_id" in counts) == (run_id, False)
    with Views(database_url) as views:
        views.prepare(create=True)
        views.catch_up()
        assert (views.run(run_id).run_id, views.run(run_id).status) == (run_id, "completed")


def test_another_id_in_each_answer_is_counted(database_url: str) -> None:
    replies = [
        reply_of(response(f"resp_x{number}", status))
        for number, status in enumerate(["queued", "in_progress", "in_progress", "completed"])
    ]
    state, counts = asyncio.run(wait_for_end(database_url, "resp_abc", replies))
    assert (state.run_id, state.status) == ("resp_abc", "completed")
    assert counts["another_id"] >= 2
    with Views(database_url) as views:
        views.prepare(create=True)
        views.catch_up()
        assert [row.run_id for row in views.runs()] == ["resp_abc"]


@pytest.mark.parametrize(
    "other",
    [
        response("resp_2", "completed", created_at=START + 5),
        response("resp_3", "completed"),
        response("resp_2", "completed", object="batch"),
        {"id": "resp_2", "status": "completed", "created_at": START},
    ],
    ids=["another creation", "another watched run", "another object", "no object"],
)
def test_an_answer_about_another_run_is_not_taken(other: dict[str, Any]) -> None:
    async def scenario() -> None:
        service = ScriptedServer(reply_of(response("resp_1", "in_progress")), reply_of(other))
        async with (
            service.serving() as address,
            Tracker("memory://", Responses(address), cadence=QUICK) as tracker,
        ):
            tracker.observe(response("resp_1", "in_progress"))
            if other["id"] == "resp_3":
                await tracker.watch(None, "resp_3")
                tracker.observe(response("resp_3", "queued", created_at=START - 9))
            await tracker.watch(None, "resp_1")
            await until(lambda: isinstance(tracker.troubles.get("resp_1"), UnusableAnswer))
            states = {state.run_id: state.status for state in tracker.watching}
            assert states["resp_1"] == "in_progress"

    asyncio.run(scenario())


@pytest.mark.parametrize("run_id", ["", " ", "\u202e", "a\nb", "a" * 2049])
def test_what_is_no_id_is_not_watched(run_id: str) -> None:
    async def scenario() -> None:
        async with Tracker("memory://", Assistants("http://127.0.0.1:9/v1")) as tracker:
            with pytest.raises(SettingsError, match="cannot be the id of a run"):
                await tracker.watch("thread_1", run_id)
            if run_id:
                with pytest.raises(SettingsError, match="cannot be the id of a thread"):
                    await tracker.watch(run_id, "run_1")
            assert tracker.watching == []

    asyncio.run(scenario())


def page(*entries: Any) -> dict[str, Any]:
    return {"object": "list", "has_more": False, "data": list(entries)}


def entry(run_id: Any, **more: Any) -> dict[str, Any]:
    times = {"created_at": START, "completed_at": START + 10}
    ids = {"id": run_id, "object": "thread.run", "thread_id": "thread_1"}
    return {**ids, "status": "completed", **times, **more}


BAD = [
    entry("run_bad", metadata=nest(300)),
    entry("run_bad", object="batch"),
    entry("run_bad", thread_id="thread_2"),
    entry("a" * 3000),
    entry("\u202e"),
    entry(3),
    None,
    [],
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_a_bad_entry_of_a_page_harms_no_other(bad: Any) -> None:
    asyncio.run(poll_page(page(*(entry(f"run_g{number}") for number in range(4)), bad)))


@pytest.mark.skipif(not PAGES, reason="the odd documents are not beside this checkout")
def test_an_odd_page() -> None:
    for case in PAGES:
        asyncio.run(poll_page(make_input(case)[0]["body"]))


async def poll_page(body: Any) -> None:
    """Watches four good runs and a bad one that a page shows."""
    asked = "GET /threads/thread_1/runs"
    answers = [{"asked": asked, "status": 200, "body": body}]
    # One that the page is too late for is asked about alone.
    for run_id in (f"run_g{number}" for number in range(4)):
        answers.append({"asked": f"{asked}/{run_id}", "status": 200, "body": entry(run_id)})
    async with listening(CaseServer(answers).serve) as port:
        await watch_all(Assistants(f"http://127.0.0.1:{port}"))


async def watch_all(source: Assistants) -> None:
    async with Tracker("memory://", source, cadence=QUICK, steps="never") as tracker:
        for run_id in ("run_g0", "run_g1", "run_g2", "run_g3", "run_bad"):
            await tracker.watch("thread_1", run_id)
        for number in range(4):
            state = await tracker.wait(f"run_g{number}", timeout=300)
            assert state.status == "completed"
        assert all(trouble.args for trouble in tracker.troubles.values())


def test_a_thread_is_found_and_backfilled_beside_bad_entries() -> None:
    async def scenario() -> None:
        service = ScriptedServer(reply_of(page(entry("run_g0"), *BAD)))
        async with (
            service.serving() as address,
            Tracker("memory://", Assistants(address), cadence=QUICK, steps="never") as tracker,
        ):
            done = await tracker.backfill("thread_1", steps=False)
            assert tracker.history("run_g0")[-1].event.topic == "run.completed"
            assert done.failed >= 1

    asyncio.run(scenario())
