"""Pages of a backfill: all of a thread, within the rate of its source, and resumable."""

import asyncio
import json
from collections.abc import Awaitable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest

from tests.support.poller_bench import Bench, ScriptedSource, body, run
from tests.support.step_source import SourceWithSteps, recorded, step
from tracker.core.other_decisions import decide_steps
from tracker.errors import (
    KeyRefused,
    NotFound,
    RateLimited,
    SettingsError,
    Unreachable,
    UnusableAnswer,
)
from tracker.ingest.backfill import Backfilled, backfill
from tracker.polling.metrics import Counters
from tracker.polling.requests.backfill_pages import MAX_BACKFILL_TRIES
from tracker.recording.observation import Observation
from tracker.session import Session
from tracker.sources.answer import Answer
from tracker.sources.registry import SourceRegistry
from tracker.sources.source import RunListSource


class ListingSource(SourceWithSteps):
    """A service that lists `runs`, in pages of two; it fails as it is told for a page."""

    def __init__(self, bench: Bench, *statuses: str) -> None:
        super().__init__(bench, body("queued"))
        self.steps = [step("step_1")]
        self.runs = [
            body(status, id=f"run_{number}") for number, status in enumerate(statuses, start=1)
        ]
        self.page_failures: list[Exception] = []
        self.pages: list[tuple[float, str | None]] = []

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        [found] = [entry for entry in self.runs if entry["id"] == run_id]
        now = self.clock.now()
        return Answer(json.dumps(found).encode(), 200, now, now)

    async def fetch_runs(
        self, thread_id: str, after: str | None = None
    ) -> tuple[Answer, Sequence[Mapping[str, Any]], str | None]:
        self.pages.append((self.clock.monotonic(), after))
        if self.page_failures:
            raise self.page_failures.pop(0)
        names = [entry["id"] for entry in self.runs]
        first = names.index(after) + 1 if after else 0
        shown, now = self.runs[first : first + 2], self.clock.now()
        more = str(shown[-1]["id"]) if first + 2 < len(self.runs) else None
        return Answer(json.dumps(shown).encode(), 200, now, now), shown, more


def make_session(bench: Bench, service: ScriptedSource) -> Session:
    return Session(
        sources=SourceRegistry((service,)),
        clock=bench.clock,
        repository=bench.repository,
        commits=bench.commits,
        threads=bench.threads,
        watch_list=bench.watch_list,
        updates=bench.updates,
        step_reads=bench.poller.step_reads,
        discovery=bench.poller.discovery,
        backfill_pages=bench.poller.backfill_pages,
        overdue=bench.overdue,
        counters=Counters(lambda: None),
        loop=asyncio.get_running_loop(),
    )


async def finish(bench: Bench, work: Awaitable[Backfilled]) -> Backfilled:
    """Returns the result of a backfill, while simulated seconds pass."""
    task = asyncio.ensure_future(work)
    while not task.done():
        await bench.advance(0.05)
        await asyncio.sleep(0.001)
    return await task


async def run_backfill(bench: Bench, service: ScriptedSource, **wanted: bool) -> Backfilled:
    wanted = {"steps": True, "watch": True, **wanted}
    return await finish(bench, backfill(make_session(bench, service), "thread_1", None, **wanted))


FIVE = ("completed", "failed", "in_progress", "cancelled", "queued")


def test_all_pages_are_recorded_and_open_runs_watched_and_again_adds_nothing() -> None:
    async def scenario(bench: Bench) -> None:
        service = ListingSource(bench, *FIVE)
        assert isinstance(service, RunListSource)
        first = await run_backfill(bench, service)
        events = [entry for n in range(1, 6) for entry in bench.store.read(f"assistants:run_{n}")]
        assert first == Backfilled(runs=5, events=len(events), steps=3)
        assert [after for _, after in service.pages] == [None, "run_2", "run_4"]
        assert {each.run_id for each in bench.watch_list.runs} == {"run_3", "run_5"}
        assert sorted(name for _, name, _ in service.steps_asked) == ["run_1", "run_2", "run_4"]
        assert await run_backfill(bench, service, watch=False) == Backfilled(5, 0, 0)
        assert len(service.steps_asked) == 3
        assert bench.status(service).waiting == 0

    run(scenario)


def test_nothing_is_watched_and_no_steps_are_read_where_that_is_not_wanted() -> None:
    async def scenario(bench: Bench) -> None:
        service = ListingSource(bench, *FIVE)
        assert (await run_backfill(bench, service, steps=False, watch=False)).steps == 0
        assert bench.watch_list.runs == []
        assert service.steps_asked == []

    run(scenario)


def test_steps_from_before_the_end_are_not_all_of_them() -> None:
    async def scenario(bench: Bench) -> None:
        service, now = ListingSource(bench, "completed"), bench.clock.now()
        started = service.snapshot(body("in_progress"), observed_at=now, asked_at=now)
        early = service.steps_snapshot(step("step_0"))
        bench.repository.record(
            [
                Observation.of(started),
                Observation("assistants:run_1", lambda state: decide_steps(state, [early], now)),
            ]
        )
        await run_backfill(bench, service)
        assert recorded(bench) == ["step_0", "step_1"]

    run(scenario)


def test_a_refusal_for_now_is_heeded_however_often_it_comes() -> None:
    async def scenario(bench: Bench) -> None:
        service = ListingSource(bench, "completed")
        service.page_failures = [RateLimited("slowly", retry_after=7.0)] * (MAX_BACKFILL_TRIES + 3)
        assert (await run_backfill(bench, service)).runs == 1
        moments = [moment for moment, _ in service.pages]
        assert len(moments) == MAX_BACKFILL_TRIES + 4
        assert all(late - early >= 7 for early, late in pairwise(moments))

    run(scenario)


def test_a_service_that_stays_away_is_given_up_and_what_is_recorded_stays() -> None:
    async def scenario(bench: Bench) -> None:
        service = ListingSource(bench, *["completed"] * 4)
        service.failures = [Unreachable("gone")] * 2 * MAX_BACKFILL_TRIES
        with pytest.raises(Unreachable, match="gone"):
            await run_backfill(bench, service)
        assert MAX_BACKFILL_TRIES <= len(service.steps_asked) <= 2 * MAX_BACKFILL_TRIES
        assert [after for _, after in service.pages] == [None]
        # Nobody waits any longer, so nothing more is asked.
        asked = len(service.steps_asked)
        await bench.advance(200)
        assert len(service.steps_asked) == asked
        service.failures = []
        assert await run_backfill(bench, service) == Backfilled(4, 8, 4)
        assert len(service.steps_asked) == asked + 4

    run(scenario)


def test_a_failing_page_is_asked_for_again() -> None:
    async def scenario(bench: Bench) -> None:
        service = ListingSource(bench, *["completed"] * 3)
        service.page_failures = [Unreachable("gone"), ValueError("what?"), UnusableAnswer("no")]
        assert (await run_backfill(bench, service)).runs == 3

    run(scenario)


def test_it_takes_no_more_than_the_rate_and_goes_behind_polls() -> None:
    async def scenario(bench: Bench) -> None:
        service = ListingSource(bench, *["completed"] * 100)
        watched = ScriptedSource(bench.clock, body("in_progress"))
        bench.watch_list.watch(watched, "thread_2", "run_x")
        began = bench.clock.monotonic()
        assert (await run_backfill(bench, service)).steps == 100
        seconds = bench.clock.monotonic() - began
        standing = bench.status(service)
        assert standing.asked == 150 + len(watched.asked)
        assert len(watched.asked) > 5
        assert standing.asked <= standing.rate * seconds + 5

    run(scenario)


def test_what_cannot_be_recorded_is_counted_and_hides_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(bench: Bench) -> None:
        service = ListingSource(bench, *["completed"] * 3)
        service.runs[1] = {"id": "run_2", "status": 7}
        service.failures = [NotFound("no steps")]
        assert await run_backfill(bench, service) == Backfilled(runs=3, events=5, steps=1, failed=2)
        assert len([said for said in caplog.messages if "not recorded" in said]) == 2

    run(scenario)


def test_a_list_without_end_is_no_answer() -> None:
    class Endless(ListingSource):
        async def fetch_runs(self, thread_id: str, after: str | None = None) -> Any:
            answer, shown, _ = await super().fetch_runs(thread_id, None)
            return answer, shown, "run_2"

    async def scenario(bench: Bench) -> None:
        service = Endless(bench, *FIVE)
        with pytest.raises(UnusableAnswer, match="again, after 'run_2'"):
            await run_backfill(bench, service)
        assert len(service.pages) == 2

    run(scenario)


def test_what_cannot_be_is_refused() -> None:
    async def scenario(bench: Bench) -> None:
        with pytest.raises(SettingsError, match="cannot list all runs of a thread"):
            await run_backfill(bench, ScriptedSource(bench.clock, body("queued")))
        for error, words in (
            (NotFound("HTTP 404"), "knows no thread thread_1, so .* HTTP 404"),
            (KeyRefused("HTTP 401"), "HTTP 401"),
        ):
            service = ListingSource(bench)
            service.page_failures = [error]
            with pytest.raises(type(error), match=words):
                await run_backfill(bench, service)
            assert len(service.pages) == 1

    run(scenario)


def test_whoever_waits_is_told_when_the_tracker_is_left_and_may_stop_waiting() -> None:
    async def scenario(bench: Bench) -> None:
        service = ListingSource(bench, *FIVE)
        parts = make_session(bench, service)
        begun = [
            asyncio.create_task(backfill(parts, "thread_1", None, steps=True, watch=True))
            for _ in range(2)
        ]
        await asyncio.sleep(0)
        assert bench.status(service).waiting == 2
        begun[0].cancel()
        await asyncio.wait(begun[:1])
        assert bench.status(service).waiting == 1
        await bench.poller.close()
        with pytest.raises(SettingsError, match="left during a backfill"):
            await begun[1]
        with pytest.raises(SettingsError, match="left during a backfill"):
            await backfill(parts, "thread_1", None, steps=True, watch=True)
        assert service.pages == []

    run(scenario)
