"""Runs at the ends of time are polled like others, and hold no other run up."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.extreme_runs import MOMENTS
from tests.support.poller_bench import Bench, ScriptedSource, body, run, watch
from tracker.core.snapshot import RunSnapshot
from tracker.observability.otel import _to_nanoseconds
from tracker.sources.answer import Answer


class ExtremeSource(ScriptedSource):
    """A source of runs whose times, and whose clock, are all at one moment."""

    moment = MOMENTS[0]

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        answer = await super().fetch(thread_id, run_id, known)
        return replace(answer, date=self.moment)

    def snapshot(self, body: bytes | Mapping[str, Any], **times: Any) -> RunSnapshot:
        found = super().snapshot(body, **times)
        names = ("created_at", "started_at", "expires_at", "ended_at")
        return found.model_copy(update=dict.fromkeys(names, self.moment))


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_a_run_of_that_time_is_followed_to_its_end(moment: datetime) -> None:
    async def scenario(bench: Bench) -> None:
        service = ExtremeSource(
            bench.clock,
            *(body("queued"), body("in_progress"), body("in_progress"), body("completed")),
        )
        service.moment = moment
        other = ScriptedSource(bench.clock, body("queued"), body("completed"))
        other.name = "other"
        watched, fellow = watch(bench, service), watch(bench, other, "run_2", "thread_2")
        for _ in range(60):
            await bench.advance(1)
            await bench.overdue.tick()
        assert watched.state.is_ended
        assert fellow.state.is_ended
        assert watched.state.created_at == moment
        assert bench.watch_list.runs == []

    run(scenario)


def test_spans_have_times_that_can_be_sent() -> None:
    numbers = [_to_nanoseconds(moment) for moment in MOMENTS]
    assert numbers == sorted(numbers)
    assert all(0 <= number < 2**64 for number in numbers)
    assert _to_nanoseconds(datetime(2026, 1, 1, tzinfo=UTC)) == 1_767_225_600 * 10**9
