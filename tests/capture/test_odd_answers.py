"""Odd answers to an application's own client: it never notices, and other runs stay as they are."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.support.command_line import run_body
from tests.support.odd_answers import reply_of
from tests.support.odd_documents import nest
from tests.support.scripted_server import ScriptedServer
from tests.support.silent_sources import SilentAssistants
from tracker import Tracker
from tracker.core.events import RunCompleted
from tracker.errors import RunfoldError

pytestmark = pytest.mark.integration

GOOD = run_body("run_good", "in_progress")
PATH = "/threads/thread_1/runs"
TEXT = json.dumps(run_body("run_1", "in_progress"))


def replaced(name: str, value: Any) -> str:
    return json.dumps(run_body("run_1", "in_progress") | {name: value})


@pytest.mark.parametrize(
    "text",
    [
        replaced("id", "a" * 3000),
        replaced("id", "\u202e"),
        replaced("id", "a\x00b"),
        replaced("id", ["run_1"]),
        replaced("id", "\ud83d"),
        replaced("metadata", nest(300)),
        replaced("metadata", {"a": "\ud83d", "b": 10**40}),
        replaced("status", None),
        replaced("thread_id", "thread_2"),
        "\ufeff" + TEXT,
        TEXT.replace("1750000000", "NaN"),
        "[]",
        "null",
    ],
    ids=range(13),
)
def test_an_odd_answer_is_passed_on_and_harms_no_other(text: str) -> None:
    async def scenario() -> None:
        service = ScriptedServer(reply_of(GOOD), reply_of(text))
        async with (
            service.serving() as url,
            Tracker("memory://", SilentAssistants(url)) as tracker,
            httpx.AsyncClient(base_url=url) as client,
        ):
            tracker.capture(client)
            await client.post(PATH, json={"assistant_id": "asst_1"})
            before = tracker.history("run_good")
            for _ in range(2):
                created = await client.post(PATH, json={"assistant_id": "asst_1"})
                found = await client.get(f"{PATH}/run_1")
                assert created.content == found.content == text.encode()
            assert tracker.history("run_good") == before
            assert {state.run_id for state in tracker.watching} <= {"run_good", "run_1"}
            for run_id in ("run_good", "run_1"):
                try:
                    topics = [entry.event.topic for entry in tracker.history(run_id)]
                except RunfoldError:
                    continue
                assert topics == ["run.created", "run.status_changed"]

    asyncio.run(scenario())


def test_an_answer_with_another_id_is_that_of_the_run_asked_for() -> None:
    async def scenario() -> None:
        service = ScriptedServer(reply_of(run_body("run_x")))
        async with (
            service.serving() as url,
            Tracker("memory://", SilentAssistants(url)) as tracker,
            httpx.AsyncClient(base_url=url) as client,
        ):
            tracker.capture(client)
            found = await client.get(f"{PATH}/run_1")
            assert found.json()["id"] == "run_x"
            assert isinstance(tracker.history("run_1")[-1].event, RunCompleted)
            with pytest.raises(RunfoldError):
                tracker.history("run_x")

    asyncio.run(scenario())
