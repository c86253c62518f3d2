"""Webhooks about sessions of the Agents API: their turns are read at once."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from tests.support.agent_payloads import SESSION, TURN
from tests.support.loopback import listening
from tests.support.odd_polls import CaseServer
from tracker import Tracker
from tracker.errors import SourceError, WaitTimeout
from tracker.polling.policy.cadence import Cadence
from tracker.sources import AgentTurns, Responses
from tracker.webhooks import sign

pytestmark = pytest.mark.integration

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# A run that was seen is not polled within any of these tests.
SLOW = Cadence(shortest=500, longest=1000)
PATH = "GET /v1/agents/sessions/sess_1"
_numbers = count(1)


async def send(tracker: Tracker, kind: str, data: Any, **more: Any) -> Any:
    number = next(_numbers)
    event = {"id": f"evt_{number}", "object": "event", "type": kind, "created_at": 1, "data": data}
    body = json.dumps(event).encode()
    headers = sign(body, SECRET, f"wh_{number}", datetime.now(UTC))
    return await tracker.webhook(body, headers, secret=SECRET, **more)


def track(
    scenario: Callable[[Tracker, CaseServer], Awaitable[None]], *turns: Any, status: int = 200
) -> None:
    """Runs a scenario with a service that shows these turns, the newest first."""

    async def main() -> None:
        page = {"object": "list", "data": list(turns), "has_more": False}
        answers = [
            {"asked": f"{PATH}/turns", "status": status, "body": page},
            {"asked": PATH, "body": SESSION},
        ]
        server = CaseServer(answers)
        async with listening(server.serve) as port:
            source = AgentTurns(f"http://127.0.0.1:{port}/v1")
            async with Tracker("memory://", source, cadence=SLOW) as tracker:
                await asyncio.wait_for(scenario(tracker, server), 30)

    asyncio.run(main())


WAITING = TURN | {"id": "turn_1", "status": "waiting"}
DONE = TURN | {"id": "turn_0", "status": "completed", "completed_at": TURN["created_at"]}


@pytest.mark.parametrize("kind", ["created", "in_progress", "action_required", "idle", "failed"])
def test_the_turns_of_a_session_are_read_at_once(kind: str) -> None:
    async def scenario(tracker: Tracker, server: CaseServer) -> None:
        state = await send(tracker, f"agent.session.{kind}", {"id": "sess_1"})
        assert (state.run_id, state.status) == ("turn_1", "requires_action")
        assert [call.id for call in state.tool_calls] == ["call_1", "env_1", "req_1"]
        assert [it.run_id for it in tracker.watching] == ["turn_1"]
        recorded = [tracker.history(it) for it in ("turn_0", "turn_1")]
        again = await send(tracker, f"agent.session.{kind}", {"id": "sess_1"}, only="known")
        assert (again.run_id, server.count(f"{PATH}/turns")) == ("turn_1", 2)
        assert [tracker.history(it) for it in ("turn_0", "turn_1")] == recorded

    track(scenario, WAITING, None, {"id": "x"}, DONE)


def test_what_names_no_session_of_ours_is_let_by() -> None:
    async def scenario(tracker: Tracker, server: CaseServer) -> None:
        for data in ({"id": "sess_2"}, {"id": "sess_1"}):
            assert await send(tracker, "agent.session.idle", data, only="known") is None
            assert await send(tracker, "agent.session.idle", data, only={"s"}.__contains__) is None
        for data in ({"id": 5}, {"id": "\u202e"}, {}, None, ["sess_1"]):
            assert await send(tracker, "agent.session.idle", data) is None
        assert await send(tracker, "agent.environment.failed", {"id": "env_1"}) is None
        assert server.asked == []
        tracker.watch_thread("sess_1", every=500)
        assert (await send(tracker, "agent.session.idle", {"id": "sess_1"}, only="known")).is_ended

    track(scenario, DONE)

    async def elsewhere() -> None:
        async with Tracker("memory://", Responses("http://127.0.0.1:9/v1")) as tracker:
            assert await send(tracker, "agent.session.idle", {"id": "sess_1"}) is None

    asyncio.run(elsewhere())


def test_a_session_without_turns() -> None:
    async def scenario(tracker: Tracker, server: CaseServer) -> None:
        assert await send(tracker, "agent.session.created", {"id": "sess_1"}) is None
        assert server.count(f"{PATH}/turns") == 1

    track(scenario)


def test_turns_that_cannot_be_read_have_the_webhook_sent_again() -> None:
    async def refused(tracker: Tracker, server: CaseServer) -> None:
        with pytest.raises(SourceError):
            await send(tracker, "agent.session.idle", {"id": "sess_1"})

    async def late(tracker: Tracker, server: CaseServer) -> None:
        with pytest.raises(WaitTimeout, match="sess_1 that a webhook was about"):
            await send(tracker, "agent.session.idle", {"id": "sess_1"}, timeout=0.2)

    track(refused, status=400)
    track(late, status=503)
