"""Polls on request, after news of a run: next in order, within all limits."""

import asyncio

import pytest

from tests.support.poller_bench import KNOWN, Bench, Scripted, body, others
from tracker.errors import RateLimited
from tracker.polling.policy.cadence import Cadence
from tracker.polling.poller import Poller
from tracker.recording.group_commit import GroupCommit
from tracker.sources.answer import Answer


def test_a_run_is_looked_at_at_once_and_then_as_before() -> None:
    async def hasten() -> None:
        bench = Bench()
        # A pause that the service asked for, long enough to lie in it.
        source = Scripted(bench.clock, body("in_progress"), hint=600)
        watched = bench.poller.watch(source, "thread_1", "run_1")
        await bench.after(60)
        assert len(source.asked) == 1
        bench.poller.hasten(watched)
        bench.poller.hasten(watched)
        await bench.after(1)
        assert len(source.asked) == 2
        await bench.after(60)
        assert len(source.asked) == 2

    asyncio.run(hasten())


def test_news_that_come_while_a_run_is_looked_at_have_it_looked_at_again() -> None:
    async def hasten() -> None:
        bench = Bench()
        slow = Cadence(shortest=100, longest=100)
        bench.poller = Poller(GroupCommit(bench.histories), bench.clock, cadence=slow)

        class Late(Scripted):
            async def fetch(
                self, thread_id: str, run_id: str, known: bytes | None = None
            ) -> Answer:
                answer = await super().fetch(thread_id, run_id, known)
                if len(self.asked) == 1:
                    # The answer is written already, and there is news before it comes.
                    bench.poller.hasten(watched)
                return answer

        source = Late(bench.clock, body("in_progress"), body("completed"))
        watched = bench.poller.watch(source, "thread_1", "run_1")
        await bench.after(1)
        assert len(source.asked) == 2
        assert bench.poller.watched == []

    asyncio.run(hasten())


def test_the_limit_of_the_service_is_kept() -> None:
    async def hasten() -> None:
        bench = Bench()
        refused = RateLimited("429", retry_after=30)
        source = Scripted(bench.clock, body("in_progress"), refused, body("in_progress"), hint=600)
        watched = bench.poller.watch(source, "thread_1", "run_1")
        await bench.after(1)
        for _ in range(20):
            bench.poller.hasten(watched)
            await bench.after(1)
        # The second was refused until later, whatever the news.
        assert len(source.asked) == 2
        await bench.after(30)
        assert len(source.asked) == 3

    asyncio.run(hasten())


@pytest.mark.parametrize("status", ["in_progress", "completed"])
def test_a_run_that_others_poll_is_looked_at_here_once(status: str) -> None:
    async def hasten() -> None:
        bench = Bench()
        source = Scripted(bench.clock, body(status))
        bench.poller.divide(others)
        watched = bench.poller.watch(source, "thread_1", "run_1", state=KNOWN)
        await bench.after(60)
        assert source.asked == []
        bench.poller.hasten(watched)
        await bench.after(60)
        assert len(source.asked) == 1
        assert bench.histories.state("assistants:run_1").status == status
        assert bench.poller.watched == ([] if status == "completed" else [watched])

    asyncio.run(hasten())
