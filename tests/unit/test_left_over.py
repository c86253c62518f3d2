"""What a tracker left to be done, as the next one finds it in the store."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests.looking import at, ended, seen
from tracker import open_event_store
from tracker.core.facts import decide_steps, decide_vanished
from tracker.core.snapshot import RunSnapshot, StepSnapshot
from tracker.histories import Histories, Look, look
from tracker.unfinished import Left

STEP = StepSnapshot(step_id="step_1", type="tool_calls", status="completed")
DAY = timedelta(hours=24)


def steps(second: float) -> Look:
    return Look("assistants:run_1", lambda state: decide_steps(state, [STEP], at(second)))


def left(*looks: RunSnapshot | Look, now: float = 100.0) -> Left:
    store = open_event_store("memory://")
    histories = Histories(store)
    for entry in looks:
        histories.record([look(entry) if isinstance(entry, RunSnapshot) else entry])
    # Another one, which has nothing in memory.
    found = Histories(store).left(at(now) - DAY)
    store.close()
    return found


def names(found: Left) -> tuple[list[str], list[str]]:
    return [state.run_id for state in found.open], [state.run_id for state in found.stepless]


WORKING = seen("in_progress", 2, started=1, thread_id="thread_1")
ENDED = ended("completed", 12, 10, thread_id="thread_1")


@pytest.mark.parametrize(
    ("looks", "now", "expected"),
    [
        ([], 100.0, ([], [])),
        ([WORKING], 100.0, (["run_1"], [])),
        ([WORKING, steps(3)], 100.0, (["run_1"], [])),
        ([WORKING, ENDED], 100.0, ([], ["run_1"])),
        ([ENDED], 100.0, ([], ["run_1"])),
        ([ENDED, steps(13)], 100.0, ([], [])),
        # Read while it went on: what ended last is not there yet.
        ([WORKING, steps(3), ENDED], 100.0, ([], ["run_1"])),
        ([WORKING, ENDED], 24 * 3600 + 9.0, ([], ["run_1"])),
        ([WORKING, ENDED], 24 * 3600 + 11.0, ([], [])),
    ],
)
def test_open_runs_and_those_without_steps_are_found(
    looks: Sequence[RunSnapshot | Look], now: float, expected: tuple[list[str], list[str]]
) -> None:
    assert names(left(*looks, now=now)) == expected


def test_what_happens_after_an_end_does_not_open_a_run_again() -> None:
    corrected = ended("completed", 20, 10, thread_id="thread_1", metadata={"a": "1"})
    found = left(WORKING, ENDED, steps(13), corrected)
    assert names(found) == ([], [])


def test_a_run_without_steps_is_told_with_its_thread() -> None:
    [state] = left(WORKING, ENDED).stepless
    assert (state.source, state.run_id, state.thread_id) == ("assistants", "run_1", "thread_1")


def test_a_run_that_vanished_is_open_still() -> None:
    gone = Look("assistants:run_1", lambda state: decide_vanished(state, at(5)))
    [state] = left(WORKING, gone).open
    assert state.vanished
