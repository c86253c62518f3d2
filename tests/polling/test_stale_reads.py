"""Stale reads: an answer that takes a run back is doubted until others confirm it."""

from typing import Any

import pytest

from tests.support.observations import CALL, at, seen, statuses, waiting
from tests.support.poller_bench import Bench, ScriptedSource, body, run, watch
from tracker.core.decider import fold
from tracker.core.other_decisions import decide_submission
from tracker.core.stale_reads import CONFIRMING_READS, StaleRead, detect_stale_read
from tracker.core.state import RunState, progress_marker
from tracker.testing import given

BIRTH = 1_767_225_600
ACTION = {
    "type": "submit_tool_outputs",
    "submit_tool_outputs": {
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "price"}}]
    },
}


def fold_snapshots(*snapshots: Any) -> RunState:
    return fold(given().when(*snapshots).decided)


WAITS = fold_snapshots(seen("in_progress", 2, started=1), waiting(4))
QUEUES = fold_snapshots(seen("in_progress", 2, started=1), waiting(4), seen("queued", 6, started=1))


def test_a_look_that_goes_on_is_not_doubted() -> None:
    for look in (
        seen("queued", 8, started=1),
        seen("in_progress", 8, started=7),
        seen("completed", 8, started=1),
        seen("paused", 8, started=1),
        waiting(8),
        waiting(8, calls=(CALL.model_copy(update={"id": "call_2"}),)),
    ):
        assert detect_stale_read(WAITS, look, None) is None, look.status


def test_a_look_that_goes_back_is_doubted_until_it_came_thrice() -> None:
    for state, look in ((WAITS, seen("in_progress", 8, started=1)), (QUEUES, waiting(8))):
        stale: StaleRead | None = None
        for number in range(1, CONFIRMING_READS + 1):
            stale = detect_stale_read(state, look, stale)
            assert stale is not None
            assert (stale.reads, stale.since) == (number, at(8))
            assert stale.is_confirmed is (number == CONFIRMING_READS)


def test_a_wait_that_was_missed_is_doubted_when_it_is_shown_later() -> None:
    missed = fold_snapshots(seen("in_progress", 2, started=1), seen("queued", 6, started=1))
    assert detect_stale_read(missed, waiting(8), None) is not None
    assert detect_stale_read(missed, waiting(8, started=7), None) is None


def test_another_look_back_is_another_doubt() -> None:
    before = StaleRead(progress_marker("in_progress", at(1), ()), at(7), 2)
    assert detect_stale_read(QUEUES, waiting(8), before) == StaleRead(
        progress_marker("requires_action", at(1), (CALL,)), at(8)
    )


def test_a_run_whose_calls_we_answered_goes_on() -> None:
    known = given().when(seen("in_progress", 2, started=1), waiting(4)).decided
    answered = fold([*known, *decide_submission(fold(known), ["call_1"], at(5))])
    assert detect_stale_read(answered, seen("in_progress", 8, started=1), None) is None


def test_a_poller_records_no_look_that_is_doubted() -> None:
    working, waits = (
        body("in_progress", started_at=BIRTH),
        body("requires_action", started_at=BIRTH, required_action=ACTION),
    )
    queued = body("queued", started_at=BIRTH)

    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(
            bench.clock, working, waits, working, waits, working, working, queued, waits, queued
        )
        watch(bench, service)
        await bench.advance(60)
        assert len(service.asked) > 9
        assert [s for s, _ in statuses([entry.event for entry in _read(bench)])] == [
            "in_progress",
            "requires_action",
            "queued",
        ]

    run(scenario)


def test_a_poller_believes_what_is_shown_again_as_of_when_it_was_first() -> None:
    working = body("in_progress", started_at=BIRTH)
    waits = body("requires_action", started_at=BIRTH, required_action=ACTION)

    async def scenario(bench: Bench) -> None:
        start = bench.clock.now().timestamp()
        service = ScriptedSource(bench.clock, working, waits, waits, working)
        watch(bench, service)
        await bench.advance(30)
        went_on: Any = _read(bench)[-1].event
        assert (went_on.status, went_on.inferred) == ("in_progress", False)
        doubts = service.asked[3:6]
        assert went_on.not_before.timestamp() - start == pytest.approx(service.asked[2])
        assert went_on.not_after.timestamp() - start < doubts[0] + 0.1
        assert went_on.observed_at.timestamp() - start >= doubts[2]
        assert doubts[2] - doubts[0] < 2

    run(scenario)


def _read(bench: Bench) -> list[Any]:
    return list(bench.store.read("assistants:run_1"))
