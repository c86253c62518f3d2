"""Backfills of long threads over HTTP: complete, despite faults and after a kill."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from projections import Views
from tests.support.command_line import runfold
from tests.support.killed_backfill import Counting, tracker_of
from tests.support.paths import ROOT
from tests.support.tracker_settings import LONG, PLAIN
from tracker import Tracker, open_event_store
from tracker.core.events import Event, RunStepRecorded, run_stream
from tracker.errors import NotFound, SettingsError
from tracker.ingest.backfill import Backfilled
from tracker.simulator import Faults, Simulator
from tracker.sources import Responses

pytestmark = pytest.mark.integration

RUNS = 250
NOW = datetime.now(UTC)

Histories = dict[str, list[Event]]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=PLAIN, many_active=True) as running:
        yield running


@pytest.fixture(scope="module")
def thread(simulator: Simulator) -> str:
    """A thread of many runs that have all ended."""
    thread = simulator.create_thread()
    for _ in range(RUNS):
        simulator.create_run(thread)
    until = time.monotonic() + 120
    while any(simulator.body(run)["completed_at"] is None for run in runs_on(simulator, thread)):
        assert time.monotonic() < until
        time.sleep(0.2)
    return thread


@pytest.fixture(autouse=True)
def without_faults(simulator: Simulator) -> Iterator[None]:
    yield
    simulator.faults = Faults()


def runs_on(simulator: Simulator, thread: str) -> list[str]:
    return [run for run in simulator.run_ids() if simulator.truth(run).thread_id == thread]


def read_histories(tracker: Tracker, runs: Sequence[str]) -> Histories:
    """Returns the events of each run, without the times of their observation."""
    others = {"observed_at": NOW, "asked_at": None}
    return {
        run: [entry.event.model_copy(update=others) for entry in tracker.history(run)]
        for run in runs
    }


def runs_with_steps(url: str, runs: Sequence[str]) -> set[str]:
    store = open_event_store(url)
    try:
        found = store.read_many([run_stream("assistants", run) for run in runs])
    finally:
        store.close()
    return {
        stream.partition(":")[2]
        for stream, recorded in found.items()
        if any(isinstance(entry.event, RunStepRecorded) for entry in recorded)
    }


def backfill_thread(
    url: str, api: Counting, thread: str, runs: Sequence[str]
) -> tuple[Backfilled, Histories]:
    async def scenario() -> tuple[Backfilled, Histories]:
        async with tracker_of(url, api) as tracker:
            done = await asyncio.wait_for(tracker.backfill(thread), 120)
            return done, read_histories(tracker, runs)

    return asyncio.run(scenario())


def test_a_thread_of_three_pages_comes_in_whole_and_once(
    database_url: str, simulator: Simulator, thread: str
) -> None:
    api, runs = Counting(simulator.base_url), runs_on(simulator, thread)
    done, seen = backfill_thread(database_url, api, thread, runs)
    assert (done.runs, done.failed) == (RUNS, 0)
    assert len(api.pages) == 3
    assert sorted(api.steps_of) == sorted(runs)
    assert done.events == sum(map(len, seen.values()))
    for run in runs:
        true = {step.id for step in simulator.truth(run).steps}
        steps = [event.step_id for event in seen[run] if isinstance(event, RunStepRecorded)]
        assert len(steps) == len(set(steps))
        assert set(steps) == true
    assert done.steps == sum(len(simulator.truth(run).steps) for run in runs)
    assert backfill_thread(database_url, api, thread, runs) == (Backfilled(RUNS, 0, 0), seen)
    assert len(api.steps_of) == RUNS
    with Views(database_url) as views:
        views.upgrade()
        views.catch_up()
        assert [(row.status, row.runs) for row in views.status_counts()] == [("completed", RUNS)]
        assert views.verify() == []


def test_faults_cost_only_time(tmp_path: Path, simulator: Simulator, thread: str) -> None:
    api, runs = Counting(simulator.base_url), runs_on(simulator, thread)
    _, seen = backfill_thread("memory://", api, thread, runs)
    simulator.faults = Faults(rate_limited=0.04, server_error=0.04, truncated=0.04, retry_after=0.1)
    url = f"sqlite:///{tmp_path}/runs.db"
    done, found = backfill_thread(url, Counting(simulator.base_url), thread, runs)
    assert found == seen
    assert (done.runs, done.failed) == (RUNS, 0)


def test_after_a_kill_it_goes_on_and_asks_for_no_recorded_steps(
    database_url: str, simulator: Simulator, thread: str
) -> None:
    runs = runs_on(simulator, thread)
    _, seen = backfill_thread("memory://", Counting(simulator.base_url), thread, runs)
    arguments = [database_url, simulator.base_url, thread, "120"]
    died = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_backfill", *arguments],
        cwd=ROOT,
        timeout=300,
        capture_output=True,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    whole = runs_with_steps(database_url, runs)
    assert 0 < len(whole) <= 120
    api = Counting(simulator.base_url)
    done, found = backfill_thread(database_url, api, thread, runs)
    assert found == seen
    assert sorted(api.steps_of) == sorted(set(runs) - whole)
    assert done.runs == RUNS
    assert 0 < done.events < sum(map(len, seen.values()))


def test_open_runs_are_watched_to_their_ends(simulator: Simulator) -> None:
    thread = simulator.create_thread()
    run = simulator.create_run(thread, parameters=LONG)

    async def scenario() -> None:
        async with tracker_of("memory://", Counting(simulator.base_url)) as tracker:
            assert (await tracker.backfill(thread)).runs == 1
            assert [state.run_id for state in tracker.watching] == [run.run_id]
            simulator.cancel(run.run_id)
            assert (await tracker.wait(run.run_id, timeout=300)).status == "cancelled"

    asyncio.run(scenario())


def test_what_cannot_be_is_said(simulator: Simulator) -> None:
    async def scenario() -> None:
        api = Counting(simulator.base_url)
        other = Responses(simulator.base_url, "key-4f1d9c22b7")
        async with Tracker("memory://", api, other, resume=False) as tracker:
            with pytest.raises(NotFound, match="knows no thread thread_9"):
                await tracker.backfill("thread_9", "assistants")
            with pytest.raises(SettingsError, match="'responses' cannot list all runs"):
                await tracker.backfill("thread_9", source="responses")

    asyncio.run(scenario())


def test_without_an_event_loop(simulator: Simulator) -> None:
    thread = simulator.create_thread()
    simulator.create_run(thread, parameters=LONG)
    with tracker_of("memory://", Counting(simulator.base_url)).in_background() as tracker:
        assert tracker.backfill(thread, steps=False, watch=False).runs == 1
        assert tracker.watching == []


def test_on_the_command_line(
    tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "key-4f1d9c22b7")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    threads = [simulator.create_thread() for _ in range(2)]
    runs = [simulator.create_run(thread) for thread in threads]
    simulator.create_run(threads[1], parameters=LONG)
    while any(simulator.body(run.run_id)["completed_at"] is None for run in runs):
        time.sleep(0.1)
    service = ("--base-url", simulator.base_url, "--source", "mine")
    bare = runfold("backfill", *threads, *service, "--no-steps")
    assert bare.code == 0
    for line, thread, count in zip(bare.out.splitlines(), threads, (1, 2), strict=True):
        assert line.startswith(f"{thread}: {count} runs, ")
        assert line.endswith(" new events (0 steps)")
    whole = runfold("backfill", *threads, *service)
    assert whole.code == 0
    assert "(0 steps)" not in whole.out
    again = runfold("backfill", *threads, *service)
    assert again.out.count(" 0 new events (0 steps)") == 2
    rows = runfold("status", "--json").document
    assert sum(row["runs"] for row in rows) == 3
    nowhere = runfold("backfill", "thread_9", *service)
    assert nowhere.code == 1
    assert "knows no thread thread_9" in nowhere.message
    assert runfold("backfill", "thread_9").code == 2
    listless = runfold("backfill", "thread_9", *service, "--api", "responses")
    assert "cannot list all runs of a thread" in listless.message
