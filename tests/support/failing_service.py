"""A tracker of a scripted service, on a clock that can be moved forward."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.scripted_server import Reply, ScriptedServer, SkippingClock
from tests.support.tracker_settings import QUICK
from tracker import Tracker
from tracker.sources import Assistants


class ServiceBench:
    """A scripted service with its tracker and its clock."""

    def __init__(self, service: ScriptedServer, tracker: Tracker, clock: SkippingClock) -> None:
        self.service = service
        self.tracker = tracker
        self.clock = clock

    @property
    def event_types(self) -> list[type]:
        """The types of the recorded events of run_1."""
        return [type(entry.event) for entry in self.tracker.history("run_1")]

    async def wait_for_requests(self, times: int) -> None:
        """Waits until the service got so many requests in all, and its responses are recorded."""
        for _ in range(400):
            if len(self.service.heads) >= times:
                await asyncio.sleep(0.1)
                return
            await asyncio.sleep(0.02)
        pytest.fail(f"the service got {len(self.service.heads)} requests in 8 s, not {times}")


def track(scenario: Callable[[ServiceBench], Any], *replies: Reply, **settings: Any) -> None:
    """Runs a scenario with a tracker of a scripted service that watches run_1."""

    async def main() -> None:
        service, clock = ScriptedServer(*replies), SkippingClock()
        async with service.serving() as url:
            api = Assistants(url, **({"api_key": "key", "clock": clock} | settings))
            async with Tracker("memory://", api, cadence=QUICK, clock=clock) as tracker:
                await tracker.watch("thread_1", "run_1")
                await asyncio.wait_for(scenario(ServiceBench(service, tracker, clock)), 30)

    asyncio.run(main())
