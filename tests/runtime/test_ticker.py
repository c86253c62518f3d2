"""The ticker: its work runs again and again, whatever one turn does."""

import asyncio

import pytest

from tests.support.waiting import until
from tracker.runtime.ticker import Ticker


def test_work_that_fails_runs_again_and_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        turns = {"broken": 0, "sound": 0}

        async def fail() -> None:
            turns["broken"] += 1
            raise ValueError("it is broken")

        async def work() -> None:
            turns["sound"] += 1

        ticker = Ticker()
        ticker.every(0.001, fail, "broken work")
        ticker.every(0.001, work, "sound work")
        ticker.start()
        await until(lambda: min(turns.values()) > 2, 60)
        await ticker.stop()

    asyncio.run(scenario())
    assert "broken work failed, and runs again when it is next due" in caplog.text
    assert "sound work" not in caplog.text


def test_a_stop_lets_work_finish_and_runs_no_more() -> None:
    async def scenario() -> None:
        begun, go_on, turns = asyncio.Event(), asyncio.Event(), 0

        async def work() -> None:
            nonlocal turns
            begun.set()
            await go_on.wait()
            turns += 1

        ticker = Ticker()
        ticker.every(0.001, work, "work")
        ticker.every(3600.0, work, "rare work")
        ticker.start()
        await begun.wait()
        stopping = asyncio.create_task(ticker.stop())
        await asyncio.sleep(0.01)
        assert not stopping.done()
        go_on.set()
        await stopping
        assert turns == 1

    asyncio.run(scenario())


def test_one_that_was_not_started_can_be_stopped() -> None:
    asyncio.run(Ticker().stop())
