"""A session with two sub-agents at the simulated service, over real HTTP."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from projections import Views
from tests.support.command_line import runfold
from tests.support.tracker_settings import PLAIN, QUICK
from tests.support.waiting import until
from tracker import Tracker
from tracker.core.events import EnvironmentReported, RunCreated
from tracker.polling.policy.cadence import Cadence
from tracker.simulator import Parameters, Simulator, SpeedClock
from tracker.sources import AgentTurns
from tracker.webhooks import sign

pytestmark = pytest.mark.integration

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# A run that was seen is not polled within any of these tests.
SLOW = Cadence(shortest=500, longest=1000)
OVERHEAD = 77
TOOLS = [
    {
        "type": "function",
        "name": "price",
        "description": "",
        "parameters": {"type": "object", "properties": {}},
        "defer_loading": False,
    }
]
ASKING = Parameters.ending(
    *("completed",), action=1.0, max_actions=1, answers="client", stretched=0.0, time_scale=0.02
)
_numbers = count(1)


class HeldClock:
    """A clock of the service that is moved on by hand, and begins now."""

    def __init__(self) -> None:
        self._now = SpeedClock().now()

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


async def send(tracker: Tracker, kind: str, **data: Any) -> Any:
    number = next(_numbers)
    event = {"id": f"evt_{number}", "object": "event", "type": kind, "created_at": 1, "data": data}
    body = json.dumps(event).encode()
    headers = sign(body, SECRET, f"wh_{number}", datetime.now(UTC))
    return await tracker.webhook(body, headers, secret=SECRET)


def check(url: str, sim: Simulator, session: Mapping[str, Any], created: int = 3) -> None:
    """Compares the tables with the truth: each turn once, its sub-agent, and all tokens."""
    turns = sim.turns(session["id"])
    truth = {it: sim.truth(it) for it in turns}
    with Views(url) as views:
        views.upgrade()
        views.catch_up()
        rows = {it.run_id: it for it in views.runs(thread_id=session["id"])}
        assert {it: row.subagent_id for it, row in rows.items()} == turns
        assert len(rows) == created
        for run_id, row in rows.items():
            assert (row.outcome, row.total_tokens) == (
                *("completed",),
                truth[run_id].usage.total_tokens,  # type: ignore[union-attr]
            )
        parts = views.session_usage(session["id"])
        tokens = {it.run_id: it.usage.total_tokens for it in truth.values() if it.usage}
        subagents = [it for it in turns.values() if it]
        of = {
            who: sum(tokens[it] for it in turns if turns[it] == who) for who in (None, *subagents)
        }
        whole = sum(tokens.values()) + OVERHEAD
        assert [(it.part, it.subagent_id, it.total_tokens) for it in parts] == [
            ("session", None, whole),
            ("turns", None, of[None]),
            *(("subagent", it, of[it]) for it in dict.fromkeys(subagents)),
            ("difference", None, OVERHEAD),
        ]
        # The session's own count is added to no sum.
        assert sum(it.total_tokens or 0 for it in views.usage(by=())) == whole - OVERHEAD
        groups = views.usage(by="subagent_id")
        assert {it.group["subagent_id"]: it.total_tokens for it in groups} == of
        assert views.verify() == []
    shown = runfold("usage", "--session", session["id"], "--json", "--db", url).document
    assert [row["total_tokens"] for row in shown] == [it.total_tokens for it in parts]


def all_recorded_once(tracker: Tracker, sim: Simulator, session: Mapping[str, Any]) -> None:
    for run_id in sim.turns(session["id"]):
        history = tracker.history(run_id)
        assert sum(isinstance(it.event, RunCreated) for it in history) == 1
        assert sum(it.event.topic == "run.completed" for it in history) == 1


def test_webhooks_first(database_url: str) -> None:
    async def scenario(sim: Simulator, clock: HeldClock) -> dict[str, Any]:
        source = AgentTurns(sim.base_url)
        async with Tracker(database_url, source, cadence=SLOW) as tracker:
            session = sim.create_session(subagents=2, overhead=OVERHEAD)
            state = await send(tracker, "agent.session.created", id=session["id"])
            assert state.subagent_id is None
            assert {it.run_id: it.subagent_id for it in tracker.watching} == sim.turns(
                session["id"]
            )
            clock.advance(3600)
            state = await send(tracker, "agent.session.idle", id=session["id"])
            assert (state.status, state.subagent_id) == ("completed", None)
            assert tracker.watching == []
            await send(tracker, "agent.session.idle", id=session["id"])
            all_recorded_once(tracker, sim, session)
            return session

    clock = HeldClock()
    with Simulator(clock=clock, parameters=PLAIN) as sim:
        session = asyncio.run(scenario(sim, clock))
        check(database_url, sim, session)


def test_polls_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"

    async def scenario(sim: Simulator) -> dict[str, Any]:
        source = AgentTurns(sim.base_url)
        session = sim.create_session(subagents=2, overhead=OVERHEAD)
        async with Tracker(url, source, cadence=QUICK) as tracker:
            # Also where nobody says that a turn is one of a sub-agent.
            last = list(sim.turns(session["id"]))[-1]
            await tracker.watch(session["id"], last)
            tracker.watch_thread(session["id"], every=0.2)
            states = [await tracker.wait(last, timeout=300)]
            await until(lambda: all(map(knows(tracker), sim.turns(session["id"]))))
            states += [await tracker.wait(it, timeout=300) for it in sim.turns(session["id"])]
            assert {it.run_id: it.subagent_id for it in states} == sim.turns(session["id"])
            tracker.unwatch_thread(session["id"])
            await send(tracker, "agent.session.idle", id=session["id"])
            all_recorded_once(tracker, sim, session)
        return session

    with Simulator(parameters=PLAIN) as sim:
        session = asyncio.run(scenario(sim))
        check(url, sim, session)


def knows(tracker: Tracker) -> Any:
    watched = lambda: {it.run_id for it in tracker.watching}  # noqa: E731

    def is_known(run_id: str) -> bool:
        if run_id in watched():
            return True
        try:
            return bool(tracker.history(run_id))
        except LookupError:
            return False

    return is_known


def test_turns_of_before_are_backfilled_and_a_restart_goes_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"

    async def scenario(sim: Simulator, clock: HeldClock) -> dict[str, Any]:
        session = sim.create_session(subagents=2, overhead=OVERHEAD)
        clock.advance(3600)
        subagent = sorted(filter(None, sim.turns(session["id"]).values()))[0]
        sim.add_turn(session["id"], subagent)
        async with Tracker(url, AgentTurns(sim.base_url), cadence=SLOW) as tracker:
            found = await tracker.backfill(session["id"], watch=True)
            assert (found.runs, found.failed) == (4, 0)
            [open_turn] = tracker.watching
            assert open_turn.subagent_id == subagent
        clock.advance(3600)
        async with Tracker(url, AgentTurns(sim.base_url), cadence=QUICK) as tracker:
            state = await tracker.wait(open_turn.run_id, timeout=300)
            assert (state.status, state.subagent_id) == ("completed", subagent)
            all_recorded_once(tracker, sim, session)
        return session

    clock = HeldClock()
    with Simulator(clock=clock, parameters=PLAIN) as sim:
        session = asyncio.run(scenario(sim, clock))
        check(url, sim, session, created=4)


def test_an_environment_says_why_a_session_hangs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"

    async def scenario(sim: Simulator, clock: HeldClock) -> None:
        source = AgentTurns(sim.base_url)
        async with Tracker(url, source, cadence=SLOW) as tracker:
            session = sim.create_session(subagents=1, tools=TOOLS, parameters=ASKING)
            environment = session["environment"]["id"]
            # Nothing of it is watched yet.
            assert await send(tracker, "agent.environment.failed", id=environment) is None
            await send(tracker, "agent.session.created", id=session["id"])
            assert await send(tracker, "agent.environment.failed", id="env_of_others") is None
            for status in ("suspended", "failed", "failed"):
                state = await send(tracker, f"agent.environment.{status}", id=environment)
                assert state.environment_status == status
            own, other = tracker.watching
            for run_id in (own.run_id, other.run_id):
                events = [it.event for it in tracker.history(run_id)]
                told = [it for it in events if isinstance(it, EnvironmentReported)]
                assert [(it.environment_id, it.status) for it in told] == [
                    (environment, "suspended"),
                    (environment, "failed"),
                ]
            with Views(url) as views:
                views.upgrade()
                views.catch_up()
                assert {(it.run_id, it.reason) for it in views.stuck()} == {
                    (own.run_id, "environment failed"),
                    (other.run_id, "environment failed"),
                }
                assert "environment failed" in runfold("stuck", "--db", url).out
                await send(tracker, "agent.environment.ready", id=environment)
                views.catch_up()
                assert views.stuck() == []
                assert views.run(own.run_id).environment_status == "ready"
                clock.advance(60)
                # Turns that wait for calls are read at once, as with a webhook of the session.
                state = await send(tracker, "agent.environment.expired", id=environment)
                assert state.status == "requires_action"
                assert views.verify() == []

    clock = HeldClock()
    with Simulator(clock=clock) as sim:
        asyncio.run(scenario(sim, clock))
