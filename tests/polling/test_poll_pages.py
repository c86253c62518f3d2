"""Page polls: runs of one thread are polled with one page of it."""

import pytest

from tests.support.paged_source import PagedSource
from tests.support.poller_bench import Bench, run
from tracker.errors import (
    Misconfigured,
    NotFound,
    RateLimited,
    RunfoldError,
    Unreachable,
    UnusableAnswer,
)


def watch_all(bench: Bench, service: PagedSource) -> None:
    for name in service.runs:
        bench.watch_list.watch(service, "thread_1", name)


def test_a_page_stands_for_its_runs_and_is_no_longer_than_needed() -> None:
    async def scenario(bench: Bench) -> None:
        service = PagedSource(bench, *(f"run_{number}" for number in range(10)))
        watch_all(bench, service)
        await bench.advance(5)
        assert service.singles == []
        assert service.pages[0] == 100
        assert service.pages[-1] == 15
        # What a page shows again is not read again.
        assert service.read == 10
        service.end("run_3")
        await bench.advance(5)
        assert len(bench.watch_list.runs) == 9
        assert service.read == 11

    run(scenario)


def test_a_run_that_no_page_shows_is_asked_about_alone() -> None:
    async def scenario(bench: Bench) -> None:
        service = PagedSource(bench, *(f"run_{number}" for number in range(102)))
        for name in ("run_0", "run_1", "run_101"):
            bench.watch_list.watch(service, "thread_1", name)
        await bench.advance(5)
        assert set(service.singles) == {"run_101"}
        assert service.pages[-1] == 7

    run(scenario)


@pytest.mark.parametrize("thread_id", [None, ""])
def test_runs_without_a_thread_are_polled_alone(thread_id: str | None) -> None:
    async def scenario(bench: Bench) -> None:
        service = PagedSource(bench, "run_1", "run_2")
        for name in service.runs:
            watched = bench.watch_list.watch(service, thread_id, name)
            assert watched.thread_id is None
        await bench.advance(5)
        assert set(service.singles) == {"run_1", "run_2"}
        assert service.pages == []

    run(scenario)


def test_a_page_that_fails_loses_no_run() -> None:
    async def scenario(bench: Bench) -> None:
        failures = [RateLimited("no", retry_after=1.0), Unreachable("down"), Unreachable("down")]
        service = PagedSource(bench, "run_1", "run_2", "run_3", failures=failures)
        watch_all(bench, service)
        await bench.advance(10)
        for name in service.runs:
            service.end(name)
        await bench.advance(10)
        assert bench.watch_list.runs == []
        assert service.singles == []

    run(scenario)


@pytest.mark.parametrize("error", [NotFound("no list"), Misconfigured("no such address")])
def test_a_page_that_is_denied_leaves_the_runs_to_be_asked_one_by_one(error: RunfoldError) -> None:
    async def scenario(bench: Bench) -> None:
        service = PagedSource(bench, "run_1", "run_2", failures=[error])
        watch_all(bench, service)
        await bench.advance(15)
        assert len(service.pages) == 1
        assert set(service.singles) == {"run_1", "run_2"}

    run(scenario)


def test_a_page_that_is_never_usable_is_given_up() -> None:
    async def scenario(bench: Bench) -> None:
        failures = [UnusableAnswer("cut off")] * 20
        service = PagedSource(bench, "run_1", "run_2", failures=failures)
        watch_all(bench, service)
        await bench.advance(60)
        assert len(service.pages) < 10
        assert set(service.singles) == {"run_1", "run_2"}

    run(scenario)


def test_the_last_run_of_a_thread_is_asked_about_by_itself() -> None:
    async def scenario(bench: Bench) -> None:
        service = PagedSource(bench, "run_1", "run_2")
        watch_all(bench, service)
        await bench.advance(3)
        service.end("run_1")
        await bench.advance(3)
        before = len(service.pages)
        await bench.advance(10)
        assert len(service.pages) == before
        assert set(service.singles) == {"run_2"}

    run(scenario)
