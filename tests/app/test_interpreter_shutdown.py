"""Programs that end without stopping the tracker: work in progress is finished first."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.command_line import run_script
from tracker import open_event_store
from tracker.core.events import RunCreated, RunStatusChanged
from tracker.runtime.worker_threads import ExitSafeExecutor

pytestmark = pytest.mark.integration

HANDLED = """
import threading, time
from tracker import Tracker
from tracker.core.events import RunCreated
from tracker.sources import Assistants
tracker = Tracker("sqlite:///runs.db", Assistants("http://127.0.0.1:9/v1"))
begun = threading.Event()

@tracker.on(RunCreated, since="start")
def handle(delivery):
    begun.set()
    {handler}
    print("handled", delivery.run_id, len(background.history(delivery.run_id)), flush=True)

background = tracker.in_background().start()
background.observe({{
    "id": "run_1", "object": "thread.run", "thread_id": "thread_1", "status": "in_progress",
    "created_at": 1767225600,
}})
{then}
"""


@pytest.mark.parametrize(
    ("handler", "then", "code"),
    [
        ("time.sleep(0.8)", "begun.wait(60)", 0),
        ("pass", "begun.wait(60)", 0),
        ("time.sleep(0.8)", "begun.wait(60); raise SystemExit(3)", 3),
    ],
)
def test_a_handler_that_is_under_way_finishes(
    tmp_path: Path, handler: str, then: str, code: int
) -> None:
    done = run_script(tmp_path, HANDLED.format(handler=handler, then=then))
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout == "handled run_1 2\n"
    store = open_event_store(f"sqlite:///{tmp_path}/runs.db")
    assert [type(e.event) for e in store.read("assistants:run_1")] == [RunCreated, RunStatusChanged]
    store.close()


def test_a_program_that_fails_ends_with_that(tmp_path: Path) -> None:
    done = run_script(tmp_path, HANDLED.format(handler="pass", then="raise ValueError('mine')"))
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.splitlines()[-1] == "ValueError: mine"


def test_threads_last_until_the_interpreter_has_waited_for_all() -> None:
    program = """
import threading, time
from tracker.runtime.worker_threads import ExitSafeExecutor
threads = ExitSafeExecutor(max_workers=1)
assert not threads.is_interpreter_ending
def work():
    while not threads.is_interpreter_ending:
        time.sleep(0.01)
    print([threads.submit(pow, number, 2).result() for number in range(5)])
    def fail():
        raise KeyError("in vain")
    print(repr(threads.submit(fail).exception()), threads.submit(int, "11", base=2).result())
    threads.shutdown()
    try:
        threads.submit(pow, 2, 2)
    except RuntimeError:
        print("closed", threads.is_interpreter_ending)
threading.Thread(target=work).start()
print("main ends")
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "main ends",
        "[0, 1, 4, 9, 16]",
        "KeyError('in vain') 3",
        "closed False",
    ]


def test_they_are_a_pool_like_any_other_before(monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitSafeExecutor(max_workers=1) as threads:
        assert threads.submit(pow, 2, 3).result() == 8
        assert not threads.is_interpreter_ending
        number = threading.active_count()
        assert [threads.submit(abs, -it).result() for it in range(10)] == list(range(10))
        assert threading.active_count() == number

    def none_to_be_had(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", none_to_be_had)
    with ExitSafeExecutor() as others, pytest.raises(RuntimeError, match="can't start"):
        others.submit(pow, 2, 3)
    with ExitSafeExecutor() as others:
        assert not others.is_interpreter_ending
