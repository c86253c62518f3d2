"""Pending work of a tracker that has ended, as the next one finds it in the store."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests.support.observations import at, ended, seen
from tracker import open_event_store
from tracker.core.other_decisions import decide_disappearance, decide_steps
from tracker.core.snapshot import RunSnapshot, StepSnapshot
from tracker.recording.observation import Observation
from tracker.recording.pending_runs import Pending
from tracker.recording.repository import RunRepository

STEP = StepSnapshot(step_id="step_1", type="tool_calls", status="completed")
DAY = timedelta(hours=24)


def observe_steps(second: float) -> Observation:
    return Observation("assistants:run_1", lambda state: decide_steps(state, [STEP], at(second)))


def find_pending(*looks: RunSnapshot | Observation, now: float = 100.0) -> Pending:
    store = open_event_store("memory://")
    repository = RunRepository(store)
    for entry in looks:
        repository.record([Observation.of(entry) if isinstance(entry, RunSnapshot) else entry])
    # Another one, which has nothing in memory.
    found, _ = RunRepository(store).pending_runs(lambda source: at(now) - DAY, at(now))
    store.close()
    return found.pending


def ids_of(found: Pending) -> tuple[list[str], list[str]]:
    return [state.run_id for state in found.open], [state.run_id for state in found.without_steps]


WORKING = seen("in_progress", 2, started=1, thread_id="thread_1")
ENDED = ended("completed", 12, 10, thread_id="thread_1")


@pytest.mark.parametrize(
    ("looks", "now", "expected"),
    [
        ([], 100.0, ([], [])),
        ([WORKING], 100.0, (["run_1"], [])),
        ([WORKING, observe_steps(3)], 100.0, (["run_1"], [])),
        ([WORKING, ENDED], 100.0, ([], ["run_1"])),
        ([ENDED], 100.0, ([], ["run_1"])),
        ([ENDED, observe_steps(13)], 100.0, ([], [])),
        # Read while it went on: what ended last is not there yet.
        ([WORKING, observe_steps(3), ENDED], 100.0, ([], ["run_1"])),
        ([WORKING, ENDED], 24 * 3600 + 9.0, ([], ["run_1"])),
        ([WORKING, ENDED], 24 * 3600 + 11.0, ([], [])),
    ],
)
def test_open_runs_and_those_without_steps_are_found(
    looks: Sequence[RunSnapshot | Observation], now: float, expected: tuple[list[str], list[str]]
) -> None:
    assert ids_of(find_pending(*looks, now=now)) == expected


def test_what_happens_after_an_end_does_not_open_a_run_again() -> None:
    corrected = ended("completed", 20, 10, thread_id="thread_1", metadata={"a": "1"})
    found = find_pending(WORKING, ENDED, observe_steps(13), corrected)
    assert ids_of(found) == ([], [])


def test_a_run_without_steps_is_told_with_its_thread() -> None:
    [state] = find_pending(WORKING, ENDED).without_steps
    assert (state.source, state.run_id, state.thread_id) == ("assistants", "run_1", "thread_1")


def test_a_run_that_vanished_is_open_still() -> None:
    gone = Observation("assistants:run_1", lambda state: decide_disappearance(state, at(5)))
    [state] = find_pending(WORKING, gone).open
    assert state.vanished
