"""Usage that changes after the end of a turn, over HTTP and across a restart."""

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.scripted_server import Reply, ScriptedServer, SkippingClock
from tracker import Tracker
from tracker.core.events import RunUsageReported
from tracker.core.usage import Usage
from tracker.sources import AgentTurns

pytestmark = pytest.mark.integration

SESSION = Reply(200, {"id": "sess_1", "object": "agent.session", "agent": {"id": "agent_1"}})


def turn_of(tokens: int, now: int) -> Reply:
    document: dict[str, Any] = {
        "id": "turn_1",
        "object": "agent.session.turn",
        "session_id": "sess_1",
        "status": "completed",
        "created_at": now - 5,
        "started_at": now - 4,
        "completed_at": now,
        "usage": {"input_tokens": tokens, "output_tokens": 1, "total_tokens": tokens + 1},
    }
    return Reply(200, document)


async def reported_usages(tracker: Tracker, number: int) -> list[Usage | None]:
    async with asyncio.timeout(120):
        while True:
            events = [entry.event for entry in tracker.history("turn_1")]
            found = [event.usage for event in events if isinstance(event, RunUsageReported)]
            if len(found) >= number:
                return found
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_correction_after_the_end_is_recorded(tmp_path: Path, restarted: bool) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"

    async def scenario() -> None:
        clock = SkippingClock()
        turn = partial(turn_of, now=int(time.time()))
        service = ScriptedServer(turn(10), SESSION, turn(10))
        async with service.serving() as address:

            def entered() -> Tracker:
                return Tracker(url, AgentTurns(address, clock=clock), clock=clock)

            async with entered() as tracker:
                await tracker.watch("sess_1", "turn_1")
                state = await tracker.wait("turn_1", timeout=300)
                assert state.usage == Usage(prompt_tokens=10, completion_tokens=1, total_tokens=11)
                assert tracker.watching == []
                if not restarted:
                    service.replies = [turn(12)]
                    clock.skip(11)
                    [usage] = await reported_usages(tracker, 1)
                    assert usage is not None
                    assert usage.prompt_tokens == 12
            service.replies = [turn(15), SESSION, turn(15)]
            clock.skip(30)
            async with entered() as tracker:
                clock.skip(40)
                usage = (await reported_usages(tracker, 1 if restarted else 2))[-1]
                assert usage is not None
                assert usage.prompt_tokens == 15

    asyncio.run(scenario())
