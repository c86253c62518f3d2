"""Recorded runs, served again over HTTP: recorded again, their histories are the same."""

import asyncio
import signal
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from projections import RunHistory
from tests.support.command_line import finish, runfold, start
from tests.support.simulated_files import START
from tracker import EventStore, open_event_store
from tracker.core import events as e
from tracker.core.status import is_ended
from tracker.errors import SettingsError
from tracker.event_store import Append
from tracker.recording.observation import Observation
from tracker.recording.repository import RunRepository
from tracker.simulator import ManualClock, Parameters, Replay, Simulator
from tracker.simulator.model.recorded_run import RecordedRun
from tracker.sources.assistants.snapshots import run_snapshot, step_snapshot
from tracker.sources.responses.snapshots import response_snapshot

pytestmark = pytest.mark.integration

RUNS, CHAINS, EVERY = 80, 10, 1.0
FUNCTION = {"type": "function", "name": "price", "parameters": {}}


class Recorder:
    """Asks a service for all runs, once a second of its time, and records what it shows."""

    def __init__(self, app: Starlette, clock: ManualClock, thread_id: str) -> None:
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://service/v1"
        )
        self.clock, self.thread_id = clock, thread_id
        self.store = open_event_store("memory://")
        self.repository = RunRepository(self.store)
        self.shown: dict[str, tuple[Mapping[str, Any], datetime]] = {}
        self.ended: set[str] = set()

    async def look(self, responses: list[str]) -> None:
        """Looks at all runs of the thread, and at these responses."""
        moment = datetime.fromtimestamp(self.clock.now(), UTC)
        page = await self.client.get(f"/threads/{self.thread_id}/runs?limit=100")
        bodies = page.json().get("data", [])
        for response_id in responses:
            answer = await self.client.get(f"/responses/{response_id}")
            bodies += [answer.json()] if answer.status_code == 200 else []
        for body in bodies:
            await self._record(body, moment)

    def is_open(self, key: str, continued: set[str]) -> bool:
        """True if a response runs, or waits for an answer to its calls."""
        body = self.shown[key][0]
        calls = any(it["type"] == "function_call" for it in body["output"])
        return not is_ended(body["status"]) or (calls and key not in continued)

    async def _record(self, body: Mapping[str, Any], moment: datetime) -> None:
        key, known = body["id"], self.shown.get(body["id"])
        self.shown[key] = (body, moment)
        if known is not None and known[0] == body:
            return
        is_response = body["object"] == "response"
        read = response_snapshot if is_response else run_snapshot
        snapshot = read(
            body,
            "assistants",
            asked_at=moment,
            observed_at=moment + timedelta(milliseconds=10),
            unchanged_until=known and known[1],
        )
        before = Observation.of_predecessor(snapshot)
        self.repository.record([Observation.of(snapshot), *([before] if before else [])])
        if is_ended(body["status"]) and not is_response:
            self.ended.add(key)
            steps = await self.client.get(f"/threads/{self.thread_id}/runs/{key}/steps?limit=100")
            for step in steps.json()["data"]:
                found = step_snapshot(step)
                observed = moment + timedelta(seconds=1)
                self.repository.record(
                    [Observation.of_step("assistants", key, self.thread_id, found, observed)]
                )


async def record_simulation() -> tuple[EventStore, str, list[str]]:
    """Records runs and chains of responses to their ends."""
    clock = ManualClock(START)
    quick = Parameters(time_scale=0.4, stretched=0.0, unanswered=0.0, endless=0.0, action=0.6)
    simulator = Simulator(clock=clock, parameters=quick, many_active=True, seed=5)
    thread_id = simulator.create_thread()
    recorder = Recorder(simulator.app, clock, thread_id)
    responses: list[str] = []
    continued: set[str] = set()
    for second in range(600):
        if second < RUNS // 4:
            for _ in range(4):
                simulator.create_run(thread_id, metadata={"tenant": f"t{second % 3}"})
        if second < CHAINS:
            responses.append(simulator.create_response(tools=[FUNCTION]).run_id)
        clock.advance(EVERY)
        await recorder.look(responses)
        for key in [it for it in responses if it not in continued]:
            body = recorder.shown[key][0]
            calls = [it for it in body["output"] if it["type"] == "function_call"]
            if calls and second % 3 == 0:
                continued.add(key)
                outputs = [
                    {"type": "function_call_output", "call_id": it["call_id"], "output": "1"}
                    for it in calls
                ]
                more = {"previous_response_id": key, "input": outputs, "tools": [FUNCTION]}
                responses.append(simulator.create_response(**more).run_id)
        waits = any(it not in recorder.shown or recorder.is_open(it, continued) for it in responses)
        if second > RUNS // 4 and len(recorder.ended) == RUNS and not waits:
            break
    await recorder.client.aclose()
    return recorder.store, thread_id, responses


async def record_replay(store: EventStore, thread_id: str, responses: list[str]) -> EventStore:
    """Records what a replay of a store shows."""
    first, last = Replay(store).period
    clock = ManualClock(first)
    recorder = Recorder(Replay(store, clock=clock).app, clock, thread_id)
    while clock.now() < last + 2:
        clock.advance(EVERY)
        await recorder.look(responses)
    await recorder.client.aclose()
    return recorder.store


def told(history: RunHistory) -> dict[str, Any]:
    """Returns what has to be equal of two histories of one run."""
    events = [it.event for it in history.events]
    changes = [it for it in events if isinstance(it, e.Change)]
    run = history.run
    return {
        # The status at first sight depends on when we looked.
        "transitions": [
            (
                type(it).__name__,
                None if isinstance(it, e.RunCreated) else getattr(it, "status", None),
            )
            for it in changes
        ],
        "calls": [it.tool_calls for it in changes if isinstance(it, e.RunActionRequired)],
        "ends": [
            (it.status, it.occurred_at, it.usage, it.error, it.reason)
            for it in changes
            if isinstance(it, e.RunEnded)
        ],
        "actions": [(it.seq, it.tool_call_id, it.name, it.arguments) for it in history.actions],
        "steps": history.steps,
        "identity": (run.thread_id, run.assistant_id, run.model, run.metadata, run.created_at),
        "configuration": run.configuration_digest,
        "usage": history.usage,
    }


def check_phases(one: RunHistory, other: RunHistory) -> None:
    """Compares the phases of a run, and of its replay, with their bounds and the served times."""
    assert [it.status for it in one.phases] == [it.status for it in other.phases]
    for first, second in zip(one.phases, other.phases, strict=True):
        if first.at_most_seconds is not None and second.at_least_seconds is not None:
            assert second.at_least_seconds <= first.at_most_seconds + 1e-6
        if second.at_most_seconds is not None and first.at_least_seconds is not None:
            assert first.at_least_seconds <= second.at_most_seconds + 1e-6
    served = RecordedRun([it.event for it in one.events], None).states
    stays = [(a.state.status, b.at - a.at) for a, b in pairwise(served)]
    kinds = {"queued": "queued", "requires_action": "action"}
    for kind in ("queued", "running", "action"):
        seconds = sum(it for status, it in stays if kinds.get(status or "", "running") == kind)
        least = getattr(other.run, f"{kind}_at_least_seconds")
        most = getattr(other.run, f"{kind}_at_most_seconds")
        if other.outcome is not None and least is not None:
            assert least - 1e-6 <= seconds, (kind, one.run_key)
            assert most is None or seconds <= most + 1e-6, (kind, one.run_key)


@pytest.mark.seeds
def test_a_hundred_runs_that_are_recorded_again() -> None:
    async def scenario() -> None:
        store, thread_id, responses = await record_simulation()
        again = await record_replay(store, thread_id, responses)
        keys = {it.stream for it in store.read_all(limit=100_000)}
        keys = {it for it in keys if not it.startswith("configuration:")}
        assert len(keys) >= 100
        waited = 0
        for key in keys:
            one, other = RunHistory(key, store.read(key)), RunHistory(key, again.read(key))
            assert told(other) == told(one)
            check_phases(one, other)
            waited += bool(one.actions)
        assert waited > 20

    asyncio.run(scenario())


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database with two runs, of which one waited for an output."""
    url = f"sqlite:///{tmp_path_factory.mktemp('recorded') / 'runs.db'}"
    store = open_event_store(url)
    begin = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def times(seconds: float) -> dict[str, datetime]:
        moment = begin + timedelta(seconds=seconds)
        return {"occurred_at": moment, "observed_at": moment + timedelta(seconds=0.4)}

    for number in (1, 2):
        key = f"run_{number}"
        created: list[e.Event] = [
            e.RunCreated(
                source="assistants",
                run_id=key,
                status="queued",
                thread_id="thread_1",
                **times(60.0 * number),  # type: ignore[arg-type]
            ),
            e.RunStatusChanged(previous="queued", status="in_progress", **times(60.0 * number + 1)),  # type: ignore[arg-type]
            e.RunCompleted(previous="in_progress", **times(60.0 * number + 9)),  # type: ignore[arg-type]
        ]
        store.append([Append(f"assistants:{key}", 0, created)])
    store.close()
    return url


def test_a_replay_over_http(recorded: str) -> None:
    store = open_event_store(recorded)
    clock = ManualClock(datetime(2026, 1, 1, 12, 1, tzinfo=UTC).timestamp())
    with Replay(store, clock=clock) as replay, httpx.Client(base_url=replay.base_url) as client:
        path = "/threads/thread_1/runs"
        assert replay.run_ids == ("run_1", "run_2")
        assert client.get(f"{path}/run_1").json()["status"] == "queued"
        assert client.get(f"{path}/run_2").status_code == 404
        clock.advance(5)
        assert client.get(f"{path}/run_1").json()["status"] == "in_progress"
        assert client.post(f"{path}/run_1/cancel").json()["status"] == "in_progress"
        refused = client.post(f"{path}/run_1/submit_tool_outputs", json={"tool_outputs": []})
        assert refused.status_code == 400
        clock.advance(60)
        assert [it["id"] for it in client.get(path).json()["data"]] == ["run_2", "run_1"]
        assert client.get(f"{path}/run_1/steps").json()["data"] == []
        assert client.post("/responses", json={"background": True}).status_code == 400
        assert client.get("/responses/run_1").status_code == 404
    later = datetime(2026, 1, 1, 12, 1, 30, tzinfo=UTC)
    assert Replay(store, since=later).run_ids == ("run_2",)
    assert Replay(store, until=later).run_ids == ("run_1",)
    with pytest.raises(SettingsError, match="no runs"):
        Replay(store, since=later, until=later)
    store.close()


def test_the_commands_of_replays(recorded: str, tmp_path: Path) -> None:
    shown = runfold("replay", "run_1", "--db", recorded, "--speed", "1000")
    assert shown.code == 0
    assert "RunStatusChanged" in shown.out
    assert "in_progress" in shown.out
    assert runfold("replay", "run_9", "--db", recorded).code == 1
    assert runfold("simulate", "--since", "1h").code == 2
    missing = runfold("simulate", "--replay", recorded, "--since", "2026-02-01", "--port", "0")
    assert "no runs" in missing.message
    process = start(
        "simulate", "--replay", recorded, "--port", "0", "--speed", "60", folder=tmp_path
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "2 runs on 1 threads, from 2026-01-01 12:01:00" in line
    url = line.split()[2].rstrip(":")
    assert httpx.get(f"{url}/threads/thread_1/runs/run_1").json()["object"] == "thread.run"
    process.send_signal(signal.SIGINT)
    assert finish(process).code in (0, 130)
