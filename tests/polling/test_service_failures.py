"""Failures of a service over real HTTP: the history gets no event that did not happen."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from tests.support.failing_service import ServiceBench, track
from tests.support.scripted_server import Reply, error, run_of
from tests.support.tracker_settings import QUICK
from tests.support.waiting import until
from tracker.core.events import (
    RunAnomalyObserved,
    RunCompleted,
    RunCreated,
    RunReappeared,
    RunStatusChanged,
    RunVanished,
)
from tracker.errors import (
    KeyRefused,
    Misconfigured,
    NotFound,
    RequestRefused,
    Unreachable,
)

pytestmark = pytest.mark.integration


def test_a_key_that_is_refused_stops_the_source_until_a_new_one_is_taken() -> None:
    keys = ["old-4f1d9c22b7"]

    async def scenario(bench: ServiceBench) -> None:
        with pytest.raises(KeyRefused):
            await bench.tracker.wait("run_1", timeout=300)
        status = bench.tracker.sources_status()["assistants"]
        assert status.refusing is not None
        assert "Check api_key" in status.refusing
        assert 50 < status.held_for <= 60
        assert (status.watched, status.asked) == (1, 1)
        bench.clock.skip(61)
        await bench.wait_for_requests(2)
        keys[0] = "new-4f1d9c22b7"
        assert len(bench.service.heads) == 2
        bench.clock.skip(61)
        assert (await bench.tracker.wait("run_1", timeout=300)).status == "completed"
        assert b"Bearer new-4f1d9c22b7" in bench.service.heads[-1]
        status = bench.tracker.sources_status()["assistants"]
        assert (status.refusing, status.held_for) == (None, 0.0)

    refused = error(401, "Incorrect API key provided.")
    track(scenario, refused, refused, run_of("completed"), api_key=lambda: keys[0])


def test_a_key_without_quota_is_not_a_rate_limit() -> None:
    async def scenario(bench: ServiceBench) -> None:
        with pytest.raises(KeyRefused, match="quota"):
            await bench.tracker.wait("run_1", timeout=300)
        assert bench.tracker.sources_status()["assistants"].refused == 0
        bench.clock.skip(61)
        assert (await bench.tracker.wait("run_1", timeout=300)).status == "completed"

    no_quota = error(429, "You exceeded your current quota.", code="insufficient_quota")
    track(scenario, no_quota, run_of("completed"))


def test_a_rate_limit_is_held_for_as_long_as_it_says() -> None:
    async def scenario(bench: ServiceBench) -> None:
        await bench.wait_for_requests(1)
        status = bench.tracker.sources_status()["assistants"]
        assert (status.refused, status.failed) == (1, 0)
        assert 20 < status.held_for <= 30
        assert status.rate == pytest.approx(0.7 * QUICK.start)
        assert status.refusing is None
        bench.clock.skip(25)
        await asyncio.sleep(0.3)
        assert len(bench.service.heads) == 1
        bench.clock.skip(6)
        assert (await bench.tracker.wait("run_1", timeout=300)).status == "completed"

    track(scenario, error(429, "Slow down.", {"Retry-After": "30"}), run_of("completed"))


def test_a_run_that_is_denied_twice_has_vanished_until_it_is_seen_again() -> None:
    async def scenario(bench: ServiceBench) -> None:
        waiting = asyncio.create_task(bench.tracker.wait("run_1", timeout=300))
        await bench.wait_for_requests(2)
        assert bench.event_types == [RunCreated, RunStatusChanged]
        bench.clock.skip(6)
        with pytest.raises(NotFound):
            await waiting
        await until(lambda: bench.event_types[-1] is RunVanished)
        assert bench.tracker.watching == []
        bench.service.replies = [run_of("in_progress"), run_of("completed")]
        await bench.tracker.watch("thread_1", "run_1")
        assert (await bench.tracker.wait("run_1", timeout=300)).status == "completed"
        assert bench.event_types[-2:] == [RunReappeared, RunCompleted]

    denied = error(404, "No run found with id 'run_1'.")
    track(scenario, run_of("in_progress"), denied)


def test_one_denial_is_not_enough() -> None:
    async def scenario(bench: ServiceBench) -> None:
        await bench.wait_for_requests(2)
        bench.clock.skip(6)
        assert (await bench.tracker.wait("run_1", timeout=300)).status == "completed"
        assert RunVanished not in bench.event_types

    denied = error(404, "No run found with id 'run_1'.")
    track(scenario, run_of("in_progress"), denied, run_of("completed"))


async def wait_until_set_aside(bench: ServiceBench) -> None:
    """Waits for run_1 while it is refused for longer than a minute."""
    waiting = asyncio.create_task(bench.tracker.wait("run_1", timeout=300))
    for number in range(1, 5):
        await bench.wait_for_requests(number)
        bench.clock.skip(25)
    await waiting


def test_a_run_that_is_refused_for_a_minute_is_set_aside_reported_and_looked_at_again() -> None:
    async def scenario(bench: ServiceBench) -> None:
        with pytest.raises(RequestRefused, match="No such thing"):
            await wait_until_set_aside(bench)
        assert bench.tracker.watching == []
        assert isinstance(bench.tracker.troubles["run_1"], RequestRefused)
        assert bench.tracker.sources_status()["assistants"].set_aside == 1
        bench.service.replies = [run_of("completed")]
        asked = len(bench.service.heads)
        bench.clock.skip(61)
        await bench.wait_for_requests(asked + 1)
        assert (await bench.tracker.wait("run_1", timeout=300)).status == "completed"
        assert bench.tracker.troubles == {}

    track(scenario, error(400, "No such thing."))


@pytest.mark.parametrize(
    "reply",
    [
        error(408, "Too slow."),
        error(409, "Somebody else is at it."),
        error(400, "Come again.", {"x-should-retry": "true"}),
        error(500, "A defect."),
        error(503, "Down.", {"Retry-After": "0.1"}),
        error(529, "Overloaded."),
    ],
)
def test_what_is_to_be_asked_again_is(reply: Reply) -> None:
    async def scenario(bench: ServiceBench) -> None:
        for number in range(1, 5):
            await bench.wait_for_requests(number)
            bench.clock.skip(20)
        assert (await bench.tracker.wait("run_1", timeout=300)).status == "completed"
        status = bench.tracker.sources_status()["assistants"]
        assert status.failed == 4
        assert status.last_error is not None
        assert str(reply.status) in status.last_error
        assert bench.event_types == [RunCreated, RunCompleted]

    track(scenario, reply, reply, reply, reply, run_of("completed"))


def test_a_service_that_forbids_to_ask_again_is_believed() -> None:
    async def scenario(bench: ServiceBench) -> None:
        with pytest.raises(RequestRefused, match="Never"):
            await wait_until_set_aside(bench)

    track(scenario, error(500, "Never.", {"x-should-retry": "false"}))


def test_a_service_that_is_down_is_left_alone_and_comes_back() -> None:
    async def scenario(bench: ServiceBench) -> None:
        for number in count(1):
            await bench.wait_for_requests(number)
            status = bench.tracker.sources_status()["assistants"]
            if status.breaker == "open":
                break
            bench.clock.skip(3)
        assert 0 < status.held_for <= 60
        assert isinstance(bench.tracker.troubles["run_1"], Unreachable)
        bench.service.replies = [run_of("completed")]
        bench.clock.skip(61)
        assert (await bench.tracker.wait("run_1", timeout=300)).status == "completed"
        assert bench.tracker.sources_status()["assistants"].breaker == "closed"
        assert bench.event_types == [RunCreated, RunCompleted]

    track(scenario, error(500, "A defect."))


def test_a_redirect_is_an_error_of_the_settings_and_not_followed() -> None:
    async def scenario(bench: ServiceBench) -> None:
        with pytest.raises(Misconfigured, match="Redirects are not followed"):
            await bench.tracker.wait("run_1", timeout=300)
        assert len(bench.service.heads) == 1

    track(scenario, Reply(302, {}, {"Location": "/v1/elsewhere"}))


def test_a_status_that_nobody_knows_is_kept_and_is_no_end() -> None:
    async def scenario(bench: ServiceBench) -> None:
        assert (await bench.tracker.wait("run_1", timeout=300)).status == "completed"
        [changed] = [
            entry.event
            for entry in bench.tracker.history("run_1")
            if isinstance(entry.event, RunStatusChanged)
        ]
        assert changed.status == "paused_for_lunch"

    track(scenario, run_of("queued"), run_of("paused_for_lunch"), run_of("completed"))


def test_a_run_does_not_go_backwards_and_an_end_does_not_change() -> None:
    async def scenario(bench: ServiceBench) -> None:
        assert (await bench.tracker.wait("run_1", timeout=300)).status == "completed"
        assert bench.event_types.count(RunAnomalyObserved) == 1
        assert bench.event_types[-1] is RunCompleted
        later = run_of("failed", failed_at=int(time.time())).document
        bench.tracker.observe(later, observed_at=bench.clock.now())
        assert bench.event_types[-1] is RunAnomalyObserved
        assert (await bench.tracker.wait("run_1")).status == "completed"

    working = run_of("in_progress", started_at=int(time.time()) - 5)
    track(scenario, working, run_of("queued"), run_of("completed"))


@pytest.mark.parametrize("hours", [-1, 1])
def test_clocks_that_differ_keep_each_its_own_time(hours: int) -> None:
    theirs = datetime.now(UTC) + timedelta(hours=hours)
    stamp = int(theirs.timestamp())
    life = {"created_at": stamp - 10, "started_at": stamp - 9, "expires_at": stamp + 600}

    async def scenario(bench: ServiceBench) -> None:
        bench.service.ahead = timedelta(hours=hours)
        await bench.wait_for_requests(2)
        # By the clock of the service it has ten minutes still.
        assert bench.tracker.overdue == []
        bench.clock.skip(700)
        assert [state.run_id for state in bench.tracker.overdue] == ["run_1"]
        bench.service.replies = [run_of("completed", completed_at=stamp, **life)]
        assert (await bench.tracker.wait("run_1", timeout=300)).status == "completed"
        end = bench.tracker.history("run_1")[-1].event
        assert isinstance(end, RunCompleted)
        assert end.occurred_at is not None
        assert end.occurred_at.timestamp() == stamp
        assert abs((end.observed_at - bench.clock.now()).total_seconds()) < 5

    track(scenario, run_of("in_progress", **life))
