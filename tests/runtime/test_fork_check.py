"""Forks: objects opened before one refuse to work in the child, others work."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import run_script
from tracker.simulator import Parameters, Simulator

pytestmark = pytest.mark.integration

PLAIN = Parameters.ending("completed", action=0.0, time_scale=0.02, stretched=0.0)

# Forks, has the child do something, and ends as the child did. A child that hangs is killed.
PARENT = """
import asyncio, os, signal, sys, warnings
# Later Pythons warn of a fork beside threads, which is what is tried here.
warnings.filterwarnings("ignore", "This process", DeprecationWarning)
from tracker import Tracker, open_event_store
from tracker.errors import SettingsError
from tracker.sources import Assistants
URL, THREAD, RUN = {url!r}, {thread!r}, {run!r}
api = Assistants({base_url!r}, api_key="key-4f1d9c22b7")

def in_child(work):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            work()
            sys.stdout.flush()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, status

def refused(work):
    try:
        work()
    except SettingsError as error:
        assert "post_fork" in str(error), error
        print("refused")
    else:
        raise AssertionError("not refused")
"""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=PLAIN, many_active=True) as running:
        yield running


def forked(tmp_path: Path, simulator: Simulator, url: str, body: str) -> list[str]:
    run = simulator.create_run()
    names = {
        "url": url,
        "base_url": simulator.base_url,
        "thread": run.thread_id,
        "run": run.run_id,
    }
    done = run_script(tmp_path, PARENT.format(**names) + body)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_one_in_the_background_is_refused_in_the_child_and_goes_on_in_the_parent(
    tmp_path: Path, simulator: Simulator, database_url: str
) -> None:
    body = """
tracker = Tracker(URL, api).in_background().start()
tracker.watch(THREAD, RUN)
runs = tracker.runs

def child():
    for work in (
        lambda: tracker.wait(RUN, timeout=1),
        lambda: tracker.watching,
        lambda: tracker.history(RUN),
        lambda: tracker.observe({}),
        lambda: tracker.counts(),
        lambda: tracker.runs,
        lambda: runs.retrieve(THREAD, RUN),
        lambda: tracker.start(),
    ):
        refused(work)
    tracker.stop()

# Also while the parent's threads are in the midst of something.
for _ in range(5):
    in_child(child)
print(tracker.wait(RUN, timeout=300).status)
tracker.stop()
"""
    assert forked(tmp_path, simulator, database_url, body) == ["refused"] * 40 + ["completed"]


def test_one_that_was_not_open_is_good_in_the_child(
    tmp_path: Path, simulator: Simulator, database_url: str
) -> None:
    body = """
tracker = Tracker(URL, api)
background = Tracker(URL, api).in_background()

async def follow():
    async with tracker:
        await tracker.watch(THREAD, RUN)
        print((await tracker.wait(RUN, timeout=300)).status)

def other_child():
    with background:
        background.watch(THREAD, RUN)
        print(background.wait(RUN, timeout=300).status)

in_child(lambda: asyncio.run(follow()))
in_child(other_child)
asyncio.run(follow())
"""
    assert forked(tmp_path, simulator, database_url, body) == ["completed"] * 3


def test_one_that_is_entered_is_refused_in_the_child(
    tmp_path: Path, simulator: Simulator, database_url: str
) -> None:
    body = """
async def main():
    async with Tracker(URL, api) as tracker:
        runs = tracker.runs
        await tracker.watch(THREAD, RUN)

        def child():
            refused(lambda: tracker.history(RUN))
            refused(lambda: tracker.watching)
            refused(lambda: asyncio.run(tracker.wait(RUN)))
            refused(lambda: asyncio.run(runs.retrieve(THREAD, RUN)))
            refused(lambda: asyncio.run(runs.steps.list(THREAD, RUN)))
            refused(lambda: asyncio.run(tracker.__aexit__(None, None, None)))

        in_child(child)
        print((await tracker.wait(RUN, timeout=300)).status)

asyncio.run(main())
"""
    assert forked(tmp_path, simulator, database_url, body) == ["refused"] * 6 + ["completed"]


def test_a_store_that_was_open_is_refused_in_the_child(
    tmp_path: Path, simulator: Simulator, database_url: str
) -> None:
    body = """
store = open_event_store(URL)
tracker = Tracker(store, api)
background = tracker.in_background()

async def enter():
    async with tracker:
        pass

def child():
    refused(lambda: asyncio.run(enter()))
    refused(background.start)

in_child(child)
asyncio.run(enter())
store.close()
"""
    assert forked(tmp_path, simulator, database_url, body) == ["refused"] * 2
