"""Tables that follow an open tracker."""

import asyncio
import logging
from pathlib import Path

import pytest

from projections import Views
from tests.support.command_line import run_body
from tests.support.waiting import until
from tracker import Tracker
from tracker.errors import SchemaError
from tracker.sources import Assistants

pytestmark = pytest.mark.integration

NOWHERE = "http://127.0.0.1:9/v1"


def make_tracker(url: str) -> Tracker:
    return Tracker(url, Assistants(NOWHERE, "key"), resume=False)


def test_tables_follow_while_the_tracker_is_open(database_url: str) -> None:
    async def run() -> None:
        tracker = make_tracker(database_url)
        with Views(database_url) as views:
            tracker.follow(views)
            # They are there at once, and empty.
            assert views.runs() == []
            tracker.follow(views)
            async with tracker:
                tracker.observe(run_body("run_1"))
                await until(lambda: [it.run_id for it in views.runs()] == ["run_1"])
            async with tracker:
                tracker.observe(run_body("run_2"))
            # The last events are applied before the tracker is left.
            assert {it.run_id for it in views.runs()} == {"run_1", "run_2"}

    asyncio.run(run())


def test_tables_may_begin_to_follow_an_open_tracker(database_url: str) -> None:
    async def run() -> None:
        # The tables follow until the tracker is left, and are closed after it.
        with Views(database_url) as views:
            async with make_tracker(database_url) as tracker:
                tracker.observe(run_body("run_1"))
                tracker.follow(views)
                await until(lambda: len(views.runs()) == 1)
                tracker.observe(run_body("run_2"))
                await until(lambda: len(views.runs()) == 2)

    asyncio.run(run())


def test_tables_follow_a_tracker_in_the_background(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    with Views(url) as views:
        background = make_tracker(url).in_background()
        background.follow(views)
        with background as tracker:
            tracker.observe(run_body("run_1"))
        assert [it.run_id for it in views.runs()] == ["run_1"]


class _BrokenTables:
    """Tables that cannot be followed."""

    def __init__(self) -> None:
        self.calls = 0

    def prepare(self, *, create: bool = False) -> None:
        """Creates nothing."""

    def follow(self, stop: object) -> None:
        """Fails."""
        self.calls += 1
        raise SchemaError("of another release")

    def catch_up(self) -> int:
        """Fails."""
        raise SchemaError("of another release")


def test_tables_that_fail_do_not_harm_the_tracker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        tables = _BrokenTables()
        with caplog.at_level(logging.WARNING, "runfold.projections"):
            async with make_tracker(f"sqlite:///{tmp_path}/runs.db") as tracker:
                tracker.follow(tables)
                await until(lambda: tables.calls == 1)
                assert tracker.observe(run_body("run_1"))
        assert "cannot update the tables, retrying: of another release" in caplog.text
        assert "the tables lack the last events" in caplog.text

    asyncio.run(run())
