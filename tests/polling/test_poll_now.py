"""Polls on request, after news of a run: next in order, within all limits."""

import asyncio

import pytest

from tests.support.poller_bench import KNOWN, Bench, ScriptedSource, body, others
from tracker.errors import RateLimited
from tracker.polling.policy.cadence import Cadence
from tracker.sources.answer import Answer


def test_a_run_is_looked_at_at_once_and_then_as_before() -> None:
    async def scenario() -> None:
        bench = Bench()
        # A pause that the service asked for, long enough to lie in it.
        source = ScriptedSource(bench.clock, body("in_progress"), hint=600)
        watched = bench.watch_list.watch(source, "thread_1", "run_1")
        await bench.advance(60)
        assert len(source.asked) == 1
        bench.watch_list.poll_now(watched)
        bench.watch_list.poll_now(watched)
        await bench.advance(1)
        assert len(source.asked) == 2
        await bench.advance(60)
        assert len(source.asked) == 2

    asyncio.run(scenario())


def test_news_that_come_while_a_run_is_looked_at_have_it_looked_at_again() -> None:
    async def scenario() -> None:
        bench = Bench(cadence=Cadence(shortest=100, longest=100))

        class Late(ScriptedSource):
            async def fetch(
                self, thread_id: str | None, run_id: str, known: bytes | None = None
            ) -> Answer:
                answer = await super().fetch(thread_id, run_id, known)
                if len(self.asked) == 1:
                    # The answer is written already, and there is news before it comes.
                    bench.watch_list.poll_now(watched)
                return answer

        source = Late(bench.clock, body("in_progress"), body("completed"))
        watched = bench.watch_list.watch(source, "thread_1", "run_1")
        await bench.advance(1)
        assert len(source.asked) == 2
        assert bench.watch_list.runs == []

    asyncio.run(scenario())


def test_the_limit_of_the_service_is_kept() -> None:
    async def scenario() -> None:
        bench = Bench()
        refused = RateLimited("429", retry_after=30)
        source = ScriptedSource(
            bench.clock, body("in_progress"), refused, body("in_progress"), hint=600
        )
        watched = bench.watch_list.watch(source, "thread_1", "run_1")
        await bench.advance(1)
        for _ in range(20):
            bench.watch_list.poll_now(watched)
            await bench.advance(1)
        # The second was refused until later, whatever the news.
        assert len(source.asked) == 2
        await bench.advance(30)
        assert len(source.asked) == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("status", ["in_progress", "completed"])
def test_a_run_that_others_poll_is_looked_at_here_once(status: str) -> None:
    async def scenario() -> None:
        bench = Bench()
        source = ScriptedSource(bench.clock, body(status))
        bench.watch_list.set_ownership(others)
        watched = bench.watch_list.watch(source, "thread_1", "run_1", state=KNOWN)
        await bench.advance(60)
        assert source.asked == []
        bench.watch_list.poll_now(watched)
        await bench.advance(60)
        assert len(source.asked) == 1
        assert bench.repository.state("assistants:run_1").status == status
        assert bench.watch_list.runs == ([] if status == "completed" else [watched])

    asyncio.run(scenario())
