"""A service that refuses a run until later is not asked about it before, whatever the news."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.paged_source import PagedSource
from tests.support.poller_bench import Bench, ScriptedSource, body, others, run
from tests.support.step_source import SourceWithSteps
from tracker.core.state import initial_state
from tracker.errors import (
    Busy,
    NotFound,
    PollAgain,
    RateLimited,
    RunfoldError,
    Unreachable,
    UnusableAnswer,
)
from tracker.polling.watched_run import WatchedRun
from tracker.sources.answer import Answer

HOLD = 30.0
REFUSALS = (
    RateLimited("429", retry_after=HOLD),
    Unreachable("503", retry_after=HOLD),
    Busy("409", retry_after=HOLD),
)


def poll_now(bench: Bench, watched: WatchedRun) -> None:
    bench.watch_list.poll_now(watched)


def learn_status(bench: Bench, watched: WatchedRun) -> None:
    other = {"queued": "in_progress", "in_progress": "requires_action"}
    status = other.get(str(watched.state.status), "in_progress")
    bench.updates.on_state(watched.stream, watched.state._replace(status=status))


def lose_and_regain(bench: Bench, watched: WatchedRun) -> None:
    bench.watch_list.set_ownership(others)
    bench.watch_list.set_ownership(lambda source, thread_id: True)


NEWS: Sequence[Callable[[Bench, WatchedRun], None]] = (poll_now, learn_status, lose_and_regain)


@settings(max_examples=25, deadline=None)
@given(
    refusal=st.sampled_from(REFUSALS),
    news=st.lists(st.tuples(st.sampled_from(NEWS), st.integers(0, 12)), min_size=1, max_size=6),
)
def test_no_news_shorten_a_pause_that_the_service_asked_for(
    refusal: PollAgain, news: list[tuple[Callable[[Bench, WatchedRun], None], int]]
) -> None:
    async def scenario(bench: Bench) -> None:
        source = ScriptedSource(bench.clock, body("queued"), refusal, body("in_progress"))
        watched = bench.watch_list.watch(source, "thread_1", "run_1")
        while len(source.asked) < 2:
            await bench.advance(0.05)
        for tell, seconds in news:
            tell(bench, watched)
            await bench.advance(seconds, step=0.25)
        await bench.advance(2 * HOLD, step=0.25)
        assert source.asked[2] - source.asked[1] >= HOLD
        assert source.asked[2] - source.asked[1] < 2 * HOLD

    run(scenario)


class RefusingSource(PagedSource):
    """A source that refuses run_1 by itself once, and whose page fails or does not show it."""

    def __init__(self, bench: Bench, failure: RunfoldError | None) -> None:
        super().__init__(bench, "run_1", "run_2", failures=[failure] * 3 if failure else [])
        self.asked_alone: list[float] = []

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        if run_id == "run_1":
            self.asked_alone.append(self.clock.monotonic())
            if len(self.asked_alone) == 1:
                raise RateLimited("429", retry_after=HOLD)
        return await super().fetch(thread_id, run_id, known)

    async def fetch_page(
        self, thread_id: str, limit: int
    ) -> tuple[Answer, Sequence[Mapping[str, Any]]]:
        answer, entries = await super().fetch_page(thread_id, limit)
        return answer, [it for it in entries if it["id"] != "run_1"]


@pytest.mark.parametrize("failure", [None, NotFound("no list"), UnusableAnswer("cut off")])
def test_a_refused_run_is_not_asked_about_because_a_page_did_not_show_it(
    failure: RunfoldError | None,
) -> None:
    async def scenario(bench: Bench) -> None:
        source = RefusingSource(bench, failure)
        bench.watch_list.watch(source, "thread_1", "run_1")
        await bench.advance(1)
        assert len(source.asked_alone) == 1
        bench.watch_list.watch(source, "thread_1", "run_2")
        await bench.advance(HOLD + 20)
        assert source.asked_alone[1] - source.asked_alone[0] >= HOLD

    run(scenario)


def test_steps_that_are_refused_are_not_read_again_because_the_run_changed() -> None:
    async def scenario(bench: Bench) -> None:
        refusal = RateLimited("429", retry_after=HOLD)
        source = SourceWithSteps(bench, body("in_progress"), failures=[refusal])
        watched = bench.watch_list.watch(source, "thread_1", "run_1")
        await bench.advance(5)
        assert len(source.steps_asked) == 1
        for _ in range(10):
            learn_status(bench, watched)
            await bench.advance(1)
        await bench.advance(HOLD)
        first, second = (at for at, _, _ in source.steps_asked[:2])
        assert second - first >= HOLD

    run(scenario, steps="live")


def test_a_run_that_was_set_aside_and_refused_is_not_asked_about_because_it_is_named() -> None:
    async def scenario() -> None:
        bench = Bench()
        refusal = RateLimited("429", retry_after=HOLD)
        source = ScriptedSource(bench.clock, refusal, body("in_progress"))
        bench.watch_list.look_again(source, "thread_1", "run_1", initial_state, NotFound("404"))
        await bench.advance(62)
        assert len(source.asked) == 1
        bench.watch_list.watch(source, "thread_1", "run_1")
        await bench.advance(2 * HOLD)
        assert source.asked[1] - source.asked[0] >= HOLD
        await bench.poller.close()

    asyncio.run(scenario())
