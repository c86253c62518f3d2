"""A tracker of a scripted service, on a clock that can be moved forward."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.support.scripted_server import Reply, ScriptedServer, SkippingClock
from tests.support.tracker_settings import QUICK
from tests.support.waiting import until
from tracker import Tracker
from tracker.sources import Answer, Assistants


class CountedAssistants(Assistants):
    """A source that counts the polls that were answered, also those with an error."""

    answered = 0

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        try:
            return await super().fetch(thread_id, run_id, known)
        finally:
            self.answered += 1


class ServiceBench:
    """A scripted service with its source, its tracker and its clock."""

    def __init__(
        self,
        service: ScriptedServer,
        source: CountedAssistants,
        tracker: Tracker,
        clock: SkippingClock,
    ) -> None:
        self.service = service
        self.source = source
        self.tracker = tracker
        self.clock = clock

    @property
    def event_types(self) -> list[type]:
        """The types of the recorded events of run_1."""
        return [type(entry.event) for entry in self.tracker.history("run_1")]

    async def wait_for_requests(self, times: int) -> None:
        """Waits until the service got so many requests in all, and its responses are recorded."""
        await until(lambda: self.source.answered >= times)
        # The rest is done in this process, without a wait for anything.
        await asyncio.sleep(0.3)


def track(scenario: Callable[[ServiceBench], Any], *replies: Reply, **settings: Any) -> None:
    """Runs a scenario with a tracker of a scripted service that watches run_1."""

    async def main() -> None:
        service, clock = ScriptedServer(*replies), SkippingClock()
        async with service.serving() as url:
            source = CountedAssistants(url, **({"api_key": "key", "clock": clock} | settings))
            async with Tracker("memory://", source, cadence=QUICK, clock=clock) as tracker:
                await tracker.watch("thread_1", "run_1")
                bench = ServiceBench(service, source, tracker, clock)
                await asyncio.wait_for(scenario(bench), 600)

    asyncio.run(main())
