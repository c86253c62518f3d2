"""Runs that vanished before a restart are looked at again, until a day past their expiry."""

from datetime import timedelta

import pytest

from tests.support.poller_bench import KNOWN, Bench, ScriptedSource, body
from tracker.polling.recovery import resume
from tracker.recording.pending_runs import Pending

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("expired_ago", "created_ago", "looked_at"),
    [
        (-HOUR, HOUR, True),
        (23 * HOUR, 24 * HOUR, True),
        (25 * HOUR, 26 * HOUR, False),
        (None, HOUR, True),
        (None, 25 * HOUR, False),
        (None, None, True),
    ],
)
def test_a_vanished_run_is_looked_at_until_a_day_past_its_expiry(
    expired_ago: timedelta | None, created_ago: timedelta | None, *, looked_at: bool
) -> None:
    bench = Bench()
    source, now = ScriptedSource(bench.clock, body("in_progress")), bench.clock.now()
    state = KNOWN._replace(
        vanished=True,
        created_at=None if created_ago is None else now - created_ago,
        expires_at=None if expired_ago is None else now - expired_ago,
    )
    resume(bench.watch_list, bench.updates, {"assistants": source}, Pending([state], []))
    assert list(bench.watch_list.set_aside_errors) == (["run_1"] if looked_at else [])
    assert bench.watch_list.runs == []


def test_what_does_not_fit_its_queue_is_told_as_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.step_source import SourceWithSteps
    from tracker.polling import run_updates

    monkeypatch.setattr(run_updates, "MAX_STEPS_REQUESTS", 3)
    bench = Bench()
    service = SourceWithSteps(bench, body("completed"))
    for number in range(5):
        bench.updates.queue_steps(service, "thread_1", f"run_{number}")
    assert bench.status(service).given_up == 2
