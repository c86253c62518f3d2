"""The poller on a clock of its own: what it asks, when, and what it makes of the answers."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import pytest

from tracker import open_event_store
from tracker.core.events import RunVanished
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import RunState
from tracker.errors import (
    KeyRefused,
    NotFound,
    RateLimited,
    RequestRefused,
    RunfoldError,
    Unreachable,
    UnusableAnswer,
)
from tracker.polling.poller import Poller
from tracker.polling.requests.step_reads import When
from tracker.polling.watched_run import WatchedRun
from tracker.recording.group_commit import GroupCommit
from tracker.recording.observation import Observation, RecordResult
from tracker.recording.repository import RunRepository
from tracker.sources.answer import Answer
from tracker.sources.assistants.snapshots import glance, run_snapshot
from tracker.testing import FakeClock

Reply = Mapping[str, Any] | RunfoldError


def body(status: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "run_1",
        "object": "thread.run",
        "thread_id": "thread_1",
        "status": status,
        "created_at": 1_767_225_600,
        "tools": [],
        **more,
    }


class Scripted:
    """A service that answers as it is told, and then repeats its last answer."""

    name = "assistants"

    def __init__(self, clock: FakeClock, *replies: Reply, hint: float | None = None) -> None:
        self.clock = clock
        self.replies = list(replies)
        self.hint = hint
        self.asked: list[float] = []
        self.read = 0

    async def fetch(self, thread_id: str, run_id: str, known: bytes | None = None) -> Answer:
        self.asked.append(self.clock.monotonic())
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, RunfoldError):
            raise reply
        asked_at = self.clock.now()
        self.clock.advance(0.01)
        return Answer(
            body=json.dumps({**reply, "id": run_id}).encode(),
            status=200,
            asked_at=asked_at,
            observed_at=self.clock.now(),
            poll_after=self.hint,
        )

    def glance(self, body: bytes) -> object:
        return glance(body)

    def snapshot(
        self,
        body: bytes | Mapping[str, Any],
        *,
        observed_at: datetime,
        asked_at: datetime | None = None,
        unchanged_until: datetime | None = None,
    ) -> RunSnapshot:
        self.read += 1
        return run_snapshot(
            body,
            self.name,
            observed_at=observed_at,
            asked_at=asked_at,
            unchanged_until=unchanged_until,
        )

    def recognises(self, body: Mapping[str, Any]) -> bool:
        return True

    async def aclose(self) -> None:
        """Nothing to close."""


class Bench:
    """A poller, its clock and its store; `after` lets simulated seconds pass."""

    def __init__(self, steps: When = "ended") -> None:
        self.clock = FakeClock()
        self.store = open_event_store("memory://")
        self.histories = RunRepository(self.store)
        batching = GroupCommit(self.histories)
        self.poller = Poller(batching, self.clock, jitter=lambda: 0.5, steps=steps)

    async def after(self, seconds: float, step: float = 0.05) -> None:
        for _ in range(round(seconds / step)):
            await self.poller.tick()
            await self.poller.settle()
            self.clock.advance(step)

    @property
    def topics(self) -> list[str]:
        return [entry.event.topic for entry in self.store.read("assistants:run_1")]


def run(scenario: Callable[[Bench], Awaitable[None]]) -> None:
    async def body() -> None:
        bench = Bench()
        try:
            await asyncio.wait_for(scenario(bench), 20)
        finally:
            await bench.poller.close()

    asyncio.run(body())


def watch(bench: Bench, service: Scripted) -> WatchedRun:
    return bench.poller.watch(service, "thread_1", "run_1")


def ended(state: RunState) -> bool:
    return state.is_ended


def test_a_run_is_watched_to_its_end_and_no_further() -> None:
    async def scenario(bench: Bench) -> None:
        service = Scripted(bench.clock, body("queued"), body("in_progress"), body("completed"))
        watched = watch(bench, service)
        await bench.after(10)
        assert (await watched.until(ended)).status == "completed"
        assert bench.topics == ["run.created", "run.status_changed", "run.completed"]
        assert len(service.asked) == 3
        assert bench.poller.watched == []

    run(scenario)


def test_an_answer_that_says_the_same_is_not_even_read() -> None:
    async def scenario(bench: Bench) -> None:
        plain, spaced = body("queued"), body("queued") | {"untracked": 1}
        service = Scripted(bench.clock, plain, plain, plain, spaced, body("completed"))
        watch(bench, service)
        await bench.after(10)
        assert len(service.asked) == 5
        assert service.read == 2
        [_, end] = bench.store.read("assistants:run_1")
        # The last look that showed nothing new bounds the change from below.
        assert end.event.not_before is not None  # type: ignore[attr-defined]
        assert end.event.not_before.timestamp() == pytest.approx(  # type: ignore[attr-defined]
            bench.clock.now().timestamp() - bench.clock.monotonic() + service.asked[3]
        )

    run(scenario)


def test_a_hint_to_wait_is_obeyed() -> None:
    async def scenario(bench: Bench) -> None:
        service = Scripted(bench.clock, body("queued"), hint=3.0)
        watch(bench, service)
        await bench.after(10)
        pauses = [b - a for a, b in zip(service.asked, service.asked[1:], strict=False)]
        assert pauses
        assert min(pauses) >= 3.0

    run(scenario)


def test_failures_leave_the_run_and_are_asked_again() -> None:
    async def scenario(bench: Bench) -> None:
        service = Scripted(
            bench.clock,
            body("queued"),
            Unreachable("reset"),
            UnusableAnswer("a page"),
            Unreachable("down", retry_after=2.0),
            body("completed"),
        )
        watched = watch(bench, service)
        await bench.after(20)
        assert (await watched.until(ended)).status == "completed"
        assert bench.topics == ["run.created", "run.completed"]

    run(scenario)


def test_a_refusal_holds_the_whole_source_for_as_long_as_it_says() -> None:
    async def scenario(bench: Bench) -> None:
        service = Scripted(bench.clock, RateLimited("slow down", retry_after=4.0), body("queued"))
        watch(bench, service)
        bench.poller.watch(service, "thread_1", "run_2", after=1.0)
        await bench.after(3.9)
        assert len(service.asked) == 1
        await bench.after(3)
        assert len(service.asked) > 2

    run(scenario)


def test_a_wrong_key_stops_the_source_not_its_runs_and_is_probed_each_minute() -> None:
    async def scenario(bench: Bench) -> None:
        service = Scripted(bench.clock, KeyRefused("wrong"), KeyRefused("wrong"), body("completed"))
        watched = watch(bench, service)
        waiting = asyncio.ensure_future(watched.until(ended))
        await bench.after(50)
        with pytest.raises(KeyRefused):
            await waiting
        assert len(service.asked) == 1
        await bench.after(75)
        assert [round(moment) for moment in service.asked] == [0, 60, 120]
        assert watched.state.status == "completed"

    run(scenario)


def test_a_run_has_vanished_after_two_denials_and_not_before() -> None:
    async def scenario(bench: Bench) -> None:
        service = Scripted(
            bench.clock, body("queued"), NotFound("no run"), body("queued"), NotFound("no run")
        )
        watched = watch(bench, service)
        waiting = asyncio.ensure_future(watched.until(ended))
        await bench.after(8)
        assert bench.topics == ["run.created"]
        await bench.after(10)
        with pytest.raises(NotFound):
            await waiting
        await bench.poller.close()
        assert bench.topics == ["run.created", "run.vanished"]
        [_, vanished] = bench.store.read("assistants:run_1")
        assert isinstance(vanished.event, RunVanished)
        assert service.asked[-1] - service.asked[-2] >= 5.0

    run(scenario)


def test_a_run_that_is_refused_three_times_is_set_aside() -> None:
    async def scenario(bench: Bench) -> None:
        service = Scripted(bench.clock, RequestRefused("no"))
        waiting = asyncio.ensure_future(watch(bench, service).until(ended))
        await bench.after(30)
        with pytest.raises(RequestRefused):
            await waiting
        assert len(service.asked) == 3

    run(scenario)


def test_a_source_that_breaks_does_not_lose_the_run() -> None:
    class Broken(Scripted):
        async def fetch(self, thread_id: str, run_id: str, known: bytes | None = None) -> Answer:
            if not self.asked:
                self.asked.append(self.clock.monotonic())
                raise ZeroDivisionError("a defect")
            return await super().fetch(thread_id, run_id, known)

    async def scenario(bench: Bench) -> None:
        watched = watch(bench, Broken(bench.clock, body("completed")))
        await bench.after(5)
        assert (await watched.until(ended)).status == "completed"

    run(scenario)


def test_what_was_captured_meanwhile_is_compared_anew() -> None:
    async def scenario(bench: Bench) -> None:
        service = Scripted(bench.clock, body("in_progress"))
        watched = watch(bench, service)
        await bench.after(1)
        waiting = run_snapshot(
            body("requires_action"),
            "assistants",
            observed_at=bench.clock.now(),
            asked_at=bench.clock.now(),
        )
        [observed] = bench.histories.record([Observation.of(waiting)])
        assert isinstance(observed, RecordResult)
        bench.poller.notice(watched.stream, observed.state)
        assert watched.state.needs_action
        await bench.after(10)
        assert watched.state.status == "in_progress"

    run(scenario)
