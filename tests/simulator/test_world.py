"""The simulated service without HTTP, on a manual clock."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracker.errors import SettingsError
from tracker.simulator import Faults, ManualClock, Parameters, Refused, Simulator, SpeedClock
from tracker.simulator.api.pages import PageRequest, paginate
from tracker.simulator.model.catalogue import draw_arguments
from tracker.simulator.model.faults import CORRUPTIONS, REJECTIONS, STALE_ANSWERS
from tracker.simulator.model.throttle import Throttle

CALM = Parameters.ending("completed", action=0, stretched=0, answers="client")
# Machines that run tests may be slow.
law = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ASKING = replace(CALM, action=1, max_actions=1)


def make_simulator(
    parameters: Parameters = CALM, **options: object
) -> tuple[Simulator, ManualClock]:
    clock = ManualClock()
    return Simulator(seed=7, clock=clock, parameters=parameters, **options), clock  # type: ignore[arg-type]


def list_end_stamps(body: dict[str, object]) -> list[str]:
    names = ("completed_at", "failed_at", "cancelled_at")
    return [name for name in names if body[name] is not None]


def test_a_run_has_stamps_in_whole_seconds() -> None:
    sim, clock = make_simulator()
    run = sim.create_run(metadata={"team": "blue"})
    body = sim.body(run.run_id)

    assert body["status"] == "queued"
    assert body["created_at"] == 1_800_000_000
    assert body["expires_at"] == 1_800_000_600
    assert body["started_at"] is None
    assert body["usage"] is None
    assert body["metadata"] == {"team": "blue"}

    clock.advance(599)
    body = sim.body(run.run_id)
    truth = sim.truth(run.run_id)
    assert body["status"] == truth.status == "completed"
    assert list_end_stamps(body) == ["completed_at"]
    assert body["expires_at"] is None
    assert truth.ended_at is not None
    assert body["completed_at"] == int(truth.ended_at)
    assert truth.usage is not None
    assert body["usage"]["total_tokens"] == truth.usage.total_tokens
    assert [status for status, _ in truth.transitions] == ["queued", "in_progress", "completed"]


@law
@given(st.integers(0, 10_000), st.floats(0, 700))
def test_a_body_has_one_ending_stamp_at_the_end_and_none_before(seed: int, age: float) -> None:
    odds = Parameters(failed=0.2, incomplete=0.2, cancelled=0.2, endless=0.2)
    sim = Simulator(seed=seed, clock=ManualClock(), parameters=odds)
    run = sim.create_run()
    body = sim.body(run.run_id, run.created_at + age)
    ended = body["status"] in ("completed", "failed", "cancelled", "expired", "incomplete")

    assert len(list_end_stamps(body)) == (1 if ended else 0)
    assert (body["expires_at"] is None) == ended
    assert (body["last_error"] is not None) == (body["status"] == "failed")
    assert (body["incomplete_details"] is not None) == (body["status"] == "incomplete")
    assert (body["required_action"] is not None) == (body["status"] == "requires_action")
    if not ended:
        assert body["usage"] is None


def test_started_at_is_overwritten_after_tool_outputs() -> None:
    sim, clock = make_simulator(ASKING)
    run = sim.create_run()
    while sim.truth(run.run_id).status != "requires_action":
        clock.advance(1)
    first = sim.body(run.run_id)

    sim.submit_outputs(run.run_id)
    queued = sim.body(run.run_id)
    assert queued["status"] == "queued"
    assert queued["started_at"] == first["started_at"]
    assert queued["required_action"] is None

    clock.advance(2.5)
    assert sim.body(run.run_id)["started_at"] > first["started_at"]


def test_an_expired_run_carries_completed_at() -> None:
    sim, clock = make_simulator(ASKING)
    run = sim.create_run()
    clock.advance(600)
    body = sim.body(run.run_id)

    assert body["status"] == "expired"
    assert body["completed_at"] == body["created_at"] + 600


def test_a_token_limit_depends_on_the_version() -> None:
    sim, clock = make_simulator(replace(CALM, incomplete=1))
    run = sim.create_run()
    clock.advance(500)
    old, new = (sim.body(run.run_id, version=version) for version in ("v1", "v2"))

    assert (old["status"], new["status"]) == ("completed", "incomplete")
    assert old["incomplete_details"] == new["incomplete_details"]
    assert "file_ids" in old
    assert "tool_resources" in new
    assert "tool_resources" not in old


def test_a_failure_has_usage_or_zeros_or_none() -> None:
    usages = []
    for code in ("rate_limit_exceeded", "server_error"):
        for at_once in (0, 1):
            odds = replace(CALM, failed=1, failed_at_once=at_once, error_code=code)
            sim, clock = make_simulator(odds)
            run = sim.create_run()
            clock.advance(500)
            body = sim.body(run.run_id)
            assert body["last_error"]["code"] == code
            usages.append(body["usage"] and body["usage"]["total_tokens"])

    assert usages[0] > 0
    assert usages[1] == 0
    assert usages[2] > 0
    assert usages[3] is None


def test_a_cancelled_run_stops_after_a_while() -> None:
    sim, clock = make_simulator()
    run = sim.create_run()
    assert sim.cancel(run.run_id).status == "cancelling"

    with pytest.raises(Refused, match="Cannot cancel run with status 'cancelling'"):
        sim.cancel(run.run_id)

    clock.advance(4)
    body = sim.body(run.run_id)
    assert body["status"] == "cancelled"
    assert body["usage"]["total_tokens"] == 0


def test_a_thread_has_one_active_run() -> None:
    sim, clock = make_simulator()
    first = sim.create_run()
    with pytest.raises(Refused, match=f"{first.thread_id} already has an active run"):
        sim.create_run(first.thread_id)

    clock.advance(600)
    sim.create_run(first.thread_id)
    many, _ = make_simulator(many_active=True)
    assert many.create_run(many.create_run().thread_id).status == "queued"


def test_the_same_seed_and_times_give_the_same_bodies() -> None:
    bodies = []
    for _ in range(2):
        sim, clock = make_simulator(Parameters())
        runs = [sim.create_run() for _ in range(20)]
        clock.advance(20)
        bodies.append([sim.body(run.run_id) for run in runs])

    assert bodies[0] == bodies[1]
    assert len({body["status"] for body in bodies[0]}) > 1


def test_many_runs_are_drawn_only_on_use() -> None:
    sim, clock = make_simulator(Parameters())
    runs = [sim.create_run(model=f"gpt-{n % 5}") for n in range(2000)]
    clock.advance(30)

    assert len(sim.run_ids()) == 2000
    assert sim.truth(runs[1234].run_id).model == "gpt-4"


@law
@given(
    st.integers(0, 30), st.integers(1, 10), st.booleans(), st.none() | st.integers(0, 29)
)  # fmt: skip
def test_pages_join_to_the_whole_list(
    count: int, limit: int, newest_first: bool, cursor: int | None
) -> None:
    items = [(f"run_{n}", n) for n in range(count)]
    whole = [n for _, n in (reversed(items) if newest_first else items)]

    seen: list[int] = []
    more, after = True, None
    while more:
        page, more, first, last = paginate(items, PageRequest(limit, newest_first, after))
        assert (first is None) == (not page)
        seen, after = seen + page, last
    assert seen == whole

    if cursor is not None and cursor < count:
        place = whole.index(cursor)
        page, more, _, _ = paginate(items, PageRequest(limit, newest_first, before=f"run_{cursor}"))
        assert page == whole[max(0, place - limit) : place]
        assert more == (place > limit)


def test_a_cursor_that_is_not_in_the_list_is_refused() -> None:
    with pytest.raises(Refused, match="run_9"):
        paginate([("run_1", 1)], PageRequest(after="run_9"))


def test_faults_are_drawn_at_their_rates() -> None:
    faults = Faults.everywhere(0.5)
    drawn = [faults.draw(1, number, "GET") for number in range(4000)]

    assert drawn == [faults.draw(1, number, "GET") for number in range(4000)]
    assert set(drawn) == {None, *REJECTIONS, *CORRUPTIONS, *STALE_ANSWERS}
    assert 0.45 < sum(kind is not None for kind in drawn) / 4000 < 0.55
    assert all(faults.draw(1, number, "POST") is None for number in range(200))
    posted = {replace(faults, posts=True).draw(1, number, "POST") for number in range(4000)}
    assert posted == {None, *REJECTIONS, *CORRUPTIONS}


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(SettingsError):
        Faults(html=0.7, reset=0.7)
    with pytest.raises(SettingsError):
        SpeedClock(0)
    with pytest.raises(SettingsError):
        ManualClock().advance(-1)
    with pytest.raises(SettingsError):
        Simulator(per_minute=0)
    with pytest.raises(SettingsError, match="with block"):
        _ = Simulator().base_url


def test_a_speed_clock_runs_faster() -> None:
    clock = SpeedClock(1000.0, start=50.0)
    assert 50.0 <= clock.now() <= clock.now()


def test_a_throttle_lets_its_rate_through() -> None:
    throttle = Throttle(per_minute=120)
    waits = [throttle.consume(100 + n / 10) for n in range(100)]

    assert 20 <= sum(not wait for wait in waits) <= 22
    assert max(waits) <= 0.5


def test_arguments_follow_the_schema_of_the_function() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "of": {"enum": ["x"]}}}
    text = draw_arguments(Random(1), {"name": "mine", "parameters": schema})

    assert json.loads(text)["of"] == "x"
    assert isinstance(json.loads(text)["n"], int)


def test_importing_needs_no_server() -> None:
    code = (
        "import sys; import tracker.simulator;"
        "print([m for m in ('starlette', 'uvicorn', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_extra_is_explained() -> None:
    code = (
        "import sys; sys.modules['starlette'] = None; sys.modules['uvicorn'] = None\n"
        "from tracker.errors import SettingsError\n"
        "from tracker.simulator import Simulator\n"
        "try:\n    Simulator().__enter__()\n"
        "except SettingsError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'runfold[demo]'" in done.stdout
