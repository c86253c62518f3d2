"""The tracker in a background thread: calls from many threads, and its end."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.command_line import run_script
from tests.support.tracker_settings import PLAIN, QUEUED, QUICK, TOOLS
from tests.support.waiting import block_until
from tracker import BackgroundTracker, Delivery, Tracker, open_event_store
from tracker.core.events import RunActionRequired, RunCompleted, RunCreated
from tracker.errors import (
    KeyRefused,
    NotFound,
    PayloadError,
    RequestRefused,
    SettingsError,
    StoreUnavailable,
    UnknownRun,
    WaitTimeout,
)
from tracker.simulator import Simulator
from tracker.sources import Assistants

pytestmark = pytest.mark.integration


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=PLAIN, api_key="key-4f1d9c22b7", many_active=True) as running:
        yield running


def background(url: str, simulator: Simulator) -> BackgroundTracker:
    api = Assistants(simulator.base_url, api_key="key-4f1d9c22b7")
    return Tracker(url, api, cadence=QUICK).in_background()


def test_a_run_from_its_creation_to_its_end(database_url: str, simulator: Simulator) -> None:
    simulator.parameters = TOOLS
    thread = simulator.create_thread()
    with background(database_url, simulator) as tracker:
        run = tracker.runs.create(thread, assistant_id="asst_1", metadata={"customer": "ann"})
        state = tracker.wait(run.id, timeout=300, until="actionable")
        outputs = [{"tool_call_id": call.id, "output": "1"} for call in state.tool_calls]
        tracker.runs.submit_tool_outputs(thread, run.id, iter(outputs))
        assert tracker.wait(run.id, timeout=300).status == "completed"
        assert tracker.runs.retrieve(thread, run.id).status == "completed"
        tracker.runs_of("assistants").update(thread, run.id, metadata={"customer": "bob"})
        assert isinstance(tracker.history(run.id)[0].event, RunCreated)
        assert tracker.watching == []
        assert tracker.troubles == {}
        assert tracker.overdue == []
        assert tracker.drain(120)
        steps = list(tracker.runs.steps.list(thread, run.id, limit=1))
        assert len(steps) > 1
        assert tracker.runs.steps.retrieve(thread, run.id, steps[0].id).id == steps[0].id
    with pytest.raises(SettingsError, match="does not run"):
        tracker.history(run.id)
    with tracker:
        assert tracker.wait(run.id, timeout=1).metadata == {"customer": "bob"}


def test_lists_cancels_and_documents(database_url: str, simulator: Simulator) -> None:
    simulator.parameters = QUEUED
    thread = simulator.create_thread()
    theirs = [simulator.create_run(thread) for _ in range(3)]
    with background(database_url, simulator) as tracker:
        page = tracker.runs.list(thread, limit=2)
        assert (len(page.data), page.has_more) == (2, True)
        assert {run.id for run in page} == {run.run_id for run in theirs}
        assert tracker.sources_status()["assistants"].breaker == "closed"
        tracker.unwatch_thread("thread_of_nobody")
        tracker.watch(thread, theirs[0].run_id)
        assert theirs[0].run_id in [state.run_id for state in tracker.watching]
        tracker.runs.cancel(thread, theirs[0].run_id)
        assert tracker.wait(theirs[0].run_id, timeout=300).status == "cancelled"
        body = simulator.body(theirs[1].run_id) | {"status": "failed", "failed_at": 1_900_000_000}
        assert tracker.observe(body)[-1].topic == "run.failed"
        assert tracker.observe(body) == []
        tracker.watch_thread(thread)
        block_until(lambda: theirs[2].run_id in {state.run_id for state in tracker.watching})


def test_errors_are_those_of_the_tracker(tmp_path: Path, simulator: Simulator) -> None:
    simulator.parameters = QUEUED
    run = simulator.create_run()
    with background(f"sqlite:///{tmp_path}/runs.db", simulator) as tracker:
        with pytest.raises(UnknownRun):
            tracker.history("run_of_nobody")
        with pytest.raises(UnknownRun):
            tracker.wait("run_of_nobody")
        with pytest.raises(PayloadError):
            tracker.observe(b"[]")
        with pytest.raises(NotFound):
            tracker.runs.retrieve(run.thread_id, "run_of_nobody")
        with pytest.raises(RequestRefused):
            tracker.runs.submit_tool_outputs(run.thread_id, run.run_id, [])
        tracker.watch(run.thread_id, run.run_id)
        began = time.monotonic()
        with pytest.raises(WaitTimeout, match="stays watched"):
            tracker.wait(run.run_id, timeout=0.3)
        assert 0.3 <= time.monotonic() - began < 60
        with pytest.raises(SettingsError, match="nobody"):
            tracker.runs_of("nobody").retrieve("thread_1", "run_1")
        with pytest.raises(SettingsError, match="already"):
            tracker.start()
    wrong = Tracker(
        f"sqlite:///{tmp_path}/runs.db", Assistants(simulator.base_url, api_key="wrong-4f1d9c22b7")
    )
    with wrong.in_background() as tracker, pytest.raises(KeyRefused):
        tracker.runs.create(run.thread_id, assistant_id="asst_1")


def test_what_entering_raises_is_raised_where_it_is_started(tmp_path: Path) -> None:
    api = Assistants("http://127.0.0.1:9/v1")
    tracker = Tracker(f"sqlite:///{tmp_path}/no/such/folder/runs.db", api).in_background()
    before = threading.active_count()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="no folder"):
            tracker.start()
    # A thread that has nothing to do ends a moment later.
    block_until(lambda: threading.active_count() == before)
    tracker.stop()


def test_many_threads_use_it_at_once(database_url: str, simulator: Simulator) -> None:
    with background(database_url, simulator) as tracker:

        def one(number: int) -> str | None:
            run = tracker.runs.create(simulator.create_thread(), assistant_id=f"asst_{number}")
            assert tracker.history(run.id)
            return tracker.wait(run.id, timeout=300).status

        with ThreadPoolExecutor(12) as threads:
            assert set(threads.map(one, range(24))) == {"completed"}
        assert tracker.counts()["assistants"].polls > 0
    store = open_event_store(database_url)
    recorded = store.read_all(limit=10_000)
    store.close()
    assert sum(isinstance(entry.event, RunCompleted) for entry in recorded) == 24


def test_stopping_cuts_waits_short_and_lets_the_rest_finish(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    with Simulator(parameters=QUEUED, latency=1.0, many_active=True) as simulator:
        tracker = Tracker(url, Assistants(simulator.base_url)).in_background()
        with tracker:
            run = tracker.runs.create(simulator.create_thread(), assistant_id="asst_1")
            with ThreadPoolExecutor(2) as threads:
                waiting = threads.submit(tracker.wait, run.id)
                creating = threads.submit(
                    tracker.runs.create, simulator.create_thread(), assistant_id="asst_2"
                )
                block_until(lambda: len(tracker._portal._calls) == 2)
                tracker.stop()
                with pytest.raises(SettingsError, match="stopped while"):
                    waiting.result(120)
                created = creating.result(120)
    store = open_event_store(url)
    assert [type(e.event) for e in store.read(f"assistants:{created.id}")] == [RunCreated]
    store.close()


def test_a_plain_function_handles_and_may_block(database_url: str, simulator: Simulator) -> None:
    simulator.parameters = TOOLS
    tracker = background(database_url, simulator)
    awkward: list[BaseException] = []

    @tracker.on(RunActionRequired)
    def run_tools(delivery: Delivery) -> None:
        run = tracker.runs.retrieve(delivery.thread_id, delivery.run_id)
        if run.status == "requires_action" and isinstance(delivery.event, RunActionRequired):
            outputs = [{"tool_call_id": c.id, "output": "1"} for c in delivery.event.tool_calls]
            tracker.runs.submit_tool_outputs(delivery.thread_id, delivery.run_id, outputs)

    @tracker.on(RunCreated, name="awkward")
    async def blocks_its_own_loop(delivery: Delivery) -> None:
        try:
            tracker.history(delivery.run_id)
        except SettingsError as error:
            awkward.append(error)

    with tracker:
        runs = [
            tracker.runs.create(simulator.create_thread(), assistant_id="asst_1") for _ in range(5)
        ]
        assert {tracker.wait(run.id, timeout=300).status for run in runs} == {"completed"}
        assert [progress.name for progress in tracker.deliveries()] == ["handlers", "awkward"]
    assert "would wait for itself" in str(awkward[0])


STARTED = """
from tracker import Tracker
from tracker.sources import Assistants
tracker = Tracker("sqlite:///runs.db", Assistants({base_url!r}, "key-4f1d9c22b7")).in_background()
"""


def test_a_program_that_ends_without_stopping_it_loses_nothing(tmp_path: Path) -> None:
    with Simulator(parameters=QUEUED, api_key="key-4f1d9c22b7", latency=0.5) as simulator:
        thread = simulator.create_thread()
        done = run_script(
            tmp_path,
            STARTED.format(base_url=simulator.base_url)
            + f"""
import threading, time
tracker.start()
create = lambda: tracker.runs.create({thread!r}, assistant_id="asst_1")
threading.Thread(target=create, daemon=True).start()
# The program ends while the service has yet to answer.
while not tracker._portal._calls:
    time.sleep(0.01)
""",
        )
        [run_id] = simulator.run_ids()
    assert (done.returncode, done.stderr) == (0, "")
    store = open_event_store(f"sqlite:///{tmp_path}/runs.db")
    assert [type(e.event) for e in store.read(f"assistants:{run_id}")] == [RunCreated]
    store.close()


def test_ctrl_c_gets_through_to_a_call_that_blocks(tmp_path: Path, simulator: Simulator) -> None:
    simulator.parameters = QUEUED
    run = simulator.create_run()
    done = run_script(
        tmp_path,
        STARTED.format(base_url=simulator.base_url)
        + f"""
import os, signal, threading, time
with tracker:
    tracker.watch({run.thread_id!r}, {run.run_id!r})
    # Until the first poll, the state of the run has no id.
    while not tracker.watching[0].run_id:
        time.sleep(0.01)
    try:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        tracker.wait({run.run_id!r})
    except KeyboardInterrupt:
        print("stopped", [state.run_id for state in tracker.watching])
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == f"stopped ['{run.run_id}']"


def test_ctrl_c_at_any_moment_is_harmless(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        STARTED.format(base_url="http://127.0.0.1:9/v1")
        + """
import random, signal, sys

def interrupt(*_):
    global is_armed
    if is_armed:
        is_armed = False
        raise KeyboardInterrupt

def arm(*_):
    global is_armed
    is_armed = True

signal.signal(signal.SIGALRM, interrupt)
# Python drops an exception that is raised in a finalizer.
sys.unraisablehook = arm

# A function: a jump back to the head of a loop is not always covered by the `try` around it.
def use(number):
    while number % 2:
        tracker.watching
    tracker.wait("run_1")

with tracker:
    tracker.watch("thread_1", "run_1")
    for number in range(1500):
        try:
            arm()
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 0.002), 0.05)
            use(number)
        except KeyboardInterrupt:
            pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    print("watching", len(tracker.watching))
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "watching 1"


def test_ctrl_c_while_it_starts_stops_it(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        STARTED.format(base_url="http://127.0.0.1:9/v1")
        + """
import os, signal, threading, time
from tracker.app import bootstrap
slow = bootstrap.open_event_store
def open_slowly(url):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.5)
    return slow(url)
bootstrap.open_event_store = open_slowly
try:
    tracker.start()
except KeyboardInterrupt:
    print("stopped", [thread.name for thread in threading.enumerate()])
""",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "stopped ['MainThread']"


def stop_from_coroutine(tracker: BackgroundTracker, stopped: threading.Event) -> None:
    async def stop(delivery: Delivery) -> None:
        tracker.stop()
        stopped.set()

    tracker.on(RunCreated)(stop)


def stop_from_function(tracker: BackgroundTracker, stopped: threading.Event) -> None:
    def stop(delivery: Delivery) -> None:
        tracker.stop()
        stopped.set()

    tracker.on(RunCreated)(stop)


def stop_from_job(tracker: BackgroundTracker, stopped: threading.Event) -> None:
    def stop() -> None:
        tracker.stop()
        stopped.set()

    tracker.every(0.05, stop)


@pytest.mark.parametrize("arrange", [stop_from_coroutine, stop_from_function, stop_from_job])
def test_it_can_be_stopped_by_a_handler_or_a_job(
    arrange: Callable[[BackgroundTracker, threading.Event], None],
    tmp_path: Path,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tracker, stopped = background(f"sqlite:///{tmp_path}/runs.db", simulator), threading.Event()
    arrange(tracker, stopped)
    tracker.start()
    with suppress(SettingsError):
        tracker.runs.create(simulator.create_thread(), assistant_id="asst_1")
    assert stopped.wait(60)
    # Here it waits for the end.
    tracker.stop()
    with pytest.raises(SettingsError, match="does not run"):
        tracker.watching  # noqa: B018 - the call is what is refused
    assert "has not finished" not in caplog.text
