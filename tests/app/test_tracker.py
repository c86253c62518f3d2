"""The tracker over real HTTP to the simulator, with a real database, from creation to end."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from projections import Views
from tests.support.tracker_settings import LONG, PLAIN, QUICK, TOOLS, tracker_of
from tests.support.waiting import until
from tracker import Tracker, open_event_store
from tracker.core.events import (
    RunActionRequired,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunMetadataChanged,
    RunStepRecorded,
    ToolOutputsSubmitted,
)
from tracker.errors import (
    KeyRefused,
    NotFound,
    PayloadError,
    RequestRefused,
    SettingsError,
    UnknownRun,
    Unreachable,
    WaitTimeout,
)
from tracker.simulator import Faults, Parameters, Simulator
from tracker.sources import Assistants

pytestmark = pytest.mark.integration


def topics(tracker: Tracker, run_id: str) -> list[type]:
    return [type(entry.event) for entry in tracker.history(run_id)]


def test_a_run_of_ours_from_its_creation_to_sql(database_url: str, simulator: Simulator) -> None:
    simulator.parameters = TOOLS
    thread = simulator.create_thread()

    async def scenario() -> str:
        async with tracker_of(database_url, simulator) as tracker:
            run = await tracker.runs.create(
                thread, assistant_id="asst_1", metadata={"customer": "ann"}
            )
            state = await tracker.wait(run.id, timeout=300, until="actionable")
            assert state.needs_action
            outputs = [{"tool_call_id": c.id, "output": "1"} for c in state.tool_calls]
            await tracker.runs.submit_tool_outputs(thread, run.id, outputs)
            state = await tracker.wait(run.id, timeout=300)
            assert state.status == "completed"
            assert tracker.watching == []
            seen = topics(tracker, run.id)
            assert seen[0] is RunCreated
            assert seen[-1] is RunCompleted
            assert seen.index(RunActionRequired) < seen.index(ToolOutputsSubmitted)
            page = await tracker.runs.steps.list(thread, run.id)
            ended = [step.id async for step in page if step.status == "completed"]
            steps = [
                entry.event.step_id
                for entry in tracker.history(run.id)
                if isinstance(entry.event, RunStepRecorded)
            ]
            assert sorted(steps) == sorted(ended)
            await tracker.runs.steps.retrieve(thread, run.id, ended[0])
            assert topics(tracker, run.id).count(RunStepRecorded) == len(ended)
            return run.id

    run_id = asyncio.run(scenario())
    truth = simulator.truth(run_id)
    with Views(database_url) as views:
        views.upgrade()
        views.catch_up()
        row = views.run(run_id)
        assert (row.status, row.outcome) == ("completed", "completed")
        assert truth.usage is not None
        assert row.total_tokens == truth.usage.total_tokens
        assert row.metadata == {"customer": "ann"}
        phases = [phase.status for phase in views.phases(run_id)]
        assert "requires_action" in phases
        assert phases[0] == "queued"


def test_somebody_elses_runs_are_watched_together(database_url: str, simulator: Simulator) -> None:
    runs = [simulator.create_run(assistant_id=f"asst_{number}") for number in range(15)]

    async def scenario() -> None:
        async with tracker_of(database_url, simulator) as tracker:
            for run in runs:
                await tracker.watch(run.thread_id, run.run_id)
                await tracker.watch(run.thread_id, run.run_id)
            states = await asyncio.gather(*(tracker.wait(r.run_id, timeout=300) for r in runs))
            assert {state.status for state in states} == {"completed"}
            again = await tracker.wait(runs[0].run_id, timeout=1)
            assert again.status == "completed"

    asyncio.run(scenario())
    store = open_event_store(database_url)
    recorded = store.read_all(limit=10_000)
    store.close()
    assert sum(isinstance(entry.event, RunCreated) for entry in recorded) == 15
    assert sum(isinstance(entry.event, RunCompleted) for entry in recorded) == 15


def test_a_tracker_takes_up_what_another_left(database_url: str, simulator: Simulator) -> None:
    simulator.parameters = LONG
    run = simulator.create_run()

    async def left() -> None:
        async with tracker_of(database_url, simulator) as tracker:
            await tracker.watch(run.thread_id, run.run_id)
            # Until the first poll, the state of the run has no id.
            await until(lambda: tracker.watching[0].run_id == run.run_id)
            with pytest.raises(WaitTimeout, match="stays watched"):
                await tracker.wait(run.run_id, timeout=0.5)

    async def taken_up() -> None:
        async with tracker_of(database_url, simulator) as tracker:
            assert [state.run_id for state in tracker.watching] == [run.run_id]
            simulator.cancel(run.run_id)
            state = await tracker.wait(run.run_id, timeout=300)
            assert state.status == "cancelled"
            assert topics(tracker, run.run_id)[-1] is RunCancelled

    asyncio.run(left())
    asyncio.run(taken_up())


def test_every_call_is_captured(database_url: str, simulator: Simulator) -> None:
    simulator.parameters = Parameters.ending(
        "completed", queued_median=300, queued_within=(300, 300)
    )
    thread = simulator.create_thread()

    async def scenario() -> None:
        async with tracker_of(database_url, simulator) as tracker:
            run = await tracker.runs.create(thread, assistant_id="asst_1")
            await tracker.runs.update(thread, run.id, metadata={"a": "1"})
            assert topics(tracker, run.id)[-1] is RunMetadataChanged
            assert (await tracker.runs.retrieve(thread, run.id)).id == run.id
            await tracker.runs.cancel(thread, run.id)
            assert (await tracker.wait(run.id, timeout=300)).status == "cancelled"
            others = [simulator.create_run(thread) for _ in range(1)]
            for other in others:
                simulator.cancel(other.run_id)
            found = [listed.id async for listed in await tracker.runs.list(thread, limit=1)]
            assert set(found) == {run.id, *(other.run_id for other in others)}
            assert topics(tracker, others[0].run_id)[0] is RunCreated
            with pytest.raises(RequestRefused, match="Cannot cancel run"):
                await tracker.runs.cancel(thread, run.id)

    asyncio.run(scenario())


def test_documents_are_observed_once(database_url: str, simulator: Simulator) -> None:
    run = simulator.create_run()
    end = simulator.clock.now() + 1000
    body = simulator.body(run.run_id, at=end)

    async def scenario() -> None:
        async with tracker_of(database_url, simulator) as tracker:
            assert [e.topic for e in tracker.observe(body)][-1] == "run.completed"
            assert tracker.observe(json.dumps(body)) == []
            assert tracker.observe(json.dumps(body).encode(), observed_at=datetime.now(UTC)) == []
            for bad in (b"", b"[]", "{", {"id": "run_1"}, {"object": "thread.run", "id": 3}):
                with pytest.raises(PayloadError):
                    tracker.observe(bad)  # type: ignore[arg-type]
            with pytest.raises(UnknownRun):
                tracker.history("run_of_nobody")
            with pytest.raises(UnknownRun):
                await tracker.wait("run_of_nobody")

    asyncio.run(scenario())


def test_an_observed_end_wakes_who_waits(database_url: str, simulator: Simulator) -> None:
    simulator.parameters = LONG
    run = simulator.create_run()

    async def scenario() -> None:
        async with tracker_of(database_url, simulator) as tracker:
            await tracker.watch(run.thread_id, run.run_id)
            waiting = asyncio.create_task(tracker.wait(run.run_id, timeout=300))
            await asyncio.sleep(0.3)
            body = simulator.body(run.run_id) | {"status": "failed", "failed_at": 1_900_000_000}
            await asyncio.to_thread(tracker.observe, body)
            assert (await waiting).status == "failed"

    asyncio.run(scenario())


def test_faults_of_all_kinds_do_not_change_what_happened(tmp_path: Path) -> None:
    faults = Faults(
        rate_limited=0.03,
        rate_limited_silently=0.01,
        server_error=0.03,
        bad_gateway=0.02,
        unavailable=0.02,
        overloaded=0.02,
        reset=0.03,
        truncated=0.03,
        cut=0.03,
        malformed=0.03,
        html=0.02,
        empty=0.03,
        wrong_id=0.03,
        stale=0.05,
        repeated=0.05,
        retry_after=0.2,
    )
    with Simulator(parameters=PLAIN, faults=faults, seed=3) as simulator:
        runs = [simulator.create_run() for _ in range(20)]

        async def scenario() -> None:
            async with tracker_of(f"sqlite:///{tmp_path}/runs.db", simulator) as tracker:
                for run in runs:
                    await tracker.watch(run.thread_id, run.run_id)
                for run in runs:
                    state = await tracker.wait(run.run_id, timeout=300)
                    truth = simulator.truth(run.run_id)
                    assert (state.status, state.usage) == (truth.status, truth.usage)

        asyncio.run(scenario())
        assert sum(simulator.traffic[name] for name in ("429", "500", "502")) > 0


def test_what_keeps_a_run_from_being_asked_about_reaches_who_waits(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    with Simulator(parameters=PLAIN, api_key="right-4f1d9c22b7") as simulator:
        run = simulator.create_run()

        async def scenario(key: str, run_id: str) -> None:
            api = Assistants(base_url=simulator.base_url, api_key=key)
            async with Tracker(url, api, cadence=QUICK) as tracker:
                await tracker.watch(run.thread_id, run_id)
                await tracker.wait(run_id, timeout=300)

        with pytest.raises(KeyRefused) as refused:
            asyncio.run(scenario("wrong-4f1d9c22b7", run.run_id))
        assert "wrong-4f1d9c22b7" not in str(refused.value)
        with pytest.raises(NotFound, match="run_unknown"):
            asyncio.run(scenario("right-4f1d9c22b7", "run_unknown"))
        asyncio.run(scenario("right-4f1d9c22b7", run.run_id))


def test_a_service_that_cannot_be_reached_is_asked_until_the_deadline(tmp_path: Path) -> None:
    async def scenario() -> None:
        api = Assistants(base_url="http://127.0.0.1:9/v1", api_key="key-4f1d9c22b7")
        async with Tracker(f"sqlite:///{tmp_path}/runs.db", api) as tracker:
            await tracker.watch("thread_1", "run_1")
            await until(lambda: "run_1" in tracker.troubles)
            await tracker.wait("run_1", timeout=0.5)

    with pytest.raises(WaitTimeout, match=r"127\.0\.0\.1:9") as late:
        asyncio.run(scenario())
    assert isinstance(late.value.__cause__, Unreachable)


def test_a_tracker_is_used_within_its_block() -> None:
    tracker = Tracker(
        "memory://", Assistants(base_url="http://127.0.0.1:9/v1", api_key="key-4f1d9c22b7")
    )
    with pytest.raises(SettingsError, match="async with"):
        tracker.history("run_1")
    with pytest.raises(SettingsError, match="name"):
        Tracker(
            "memory://",
            Assistants(base_url="http://127.0.0.1:9/v1"),
            Assistants(base_url="http://127.0.0.1:8/v1"),
        )
