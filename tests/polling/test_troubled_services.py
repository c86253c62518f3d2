"""A service that is down, refuses the key, is slow, wrong in its time, or loses runs: none is lost.

The whole poller on virtual time.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.benchmarks.limited_service import Bucket, Follower, LimitedService
from tests.benchmarks.virtual_time import VirtualClock, run
from tracker.core.events import RunVanished, run_stream
from tracker.errors import KeyRefused, NotFound, RunfoldError, Unreachable
from tracker.sources.answer import Answer

RUNS, FROM, UNTIL, END = 20, 20.0, 80.0, 240.0


class TroubledService(LimitedService):
    """A service that has a trouble for a minute, or for good."""

    trouble = ""

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        is_now = FROM <= self.clock.monotonic() < UNTIL
        error: RunfoldError | None = None
        if self.trouble == "down" and is_now:
            error = Unreachable("connection refused")
        elif self.trouble == "key" and is_now:
            error = KeyRefused("Incorrect API key provided")
        elif self.trouble == "vanishing" and run_id == "run_7" and self.clock.monotonic() > FROM:
            error = NotFound("no such run")
        if error is not None:
            await asyncio.sleep(self.latency)
            raise error
        if self.trouble == "slow":
            await asyncio.sleep(2.0)
        answer = await super().fetch(thread_id, run_id, known)
        if self.trouble == "clock":
            return replace(answer, date=answer.observed_at + timedelta(minutes=10))
        return answer


@pytest.mark.parametrize("trouble", ["down", "key", "slow", "clock", "vanishing"])
def test_no_run_is_forgotten(trouble: str) -> None:
    async def scenario(clock: VirtualClock) -> None:
        service, follower = TroubledService(clock, Bucket(200.0)), Follower(clock)
        service.trouble = trouble
        for number in range(RUNS):
            # Some end before the trouble, some during it, some after it.
            service.begin(f"run_{number}", 10.0 + 8.0 * number)
            follower.watch(service, f"run_{number}")
        await follower.follow(END)
        repository = follower.repository
        open_runs = [
            name
            for name in service.ends
            if not repository.state(run_stream("assistants", name)).is_ended
        ]
        set_aside = follower.watch_list.set_aside_errors
        if trouble == "vanishing":
            events = repository.read("assistants:run_7")
            assert isinstance(events[-1].event, RunVanished)
            assert open_runs == list(set_aside) == ["run_7"]
        else:
            assert (open_runs, list(set_aside), follower.watch_list.runs) == ([], [], [])
        await follower.poller.close()

    run(scenario)
