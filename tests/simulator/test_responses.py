"""Bodies of simulated responses, read by a source."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracker.core.status import ENDED
from tracker.simulator import ManualClock, Parameters, Refused, Simulator, Truth
from tracker.simulator.api.responses import response_body
from tracker.simulator.model.response_life import find_call_step
from tracker.sources.responses.snapshots import response_snapshot

BIRTH = 1_800_000_000.0
NOW = datetime(2027, 1, 15, tzinfo=UTC)
TOOLS = [{"type": "function", "name": "find_order"}, {"type": "file_search"}]
law = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def make_simulator(seed: int = 7, parameters: Parameters | None = None) -> Simulator:
    return Simulator(seed=seed, clock=ManualClock(BIRTH), parameters=parameters)


def read_body(sim: Simulator, response_id: str, at: float) -> dict[str, Any]:
    world = sim._service.world
    record = world.responses[response_id]
    return response_body(record, world.get_life(record), at)


def list_outputs(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "{}"}
        for item in body["output"]
        if item["type"] == "function_call"
    ]


@law
@given(st.integers(0, 10_000), st.booleans(), st.floats(0, 900))
def test_a_response_shows_what_happened(seed: int, many: bool, age: float) -> None:
    sim = make_simulator(seed, Parameters(action=0.7 if many else 0.1, failed=0.2, endless=0.1))
    made = sim.create_response(tools=TOOLS, model="gpt-5", metadata={"team": "blue"})
    at = BIRTH + age
    truth, body = sim.truth(made.run_id, at), read_body(sim, made.run_id, at)
    assert json.loads(json.dumps(body)) == body
    seen = response_snapshot(body, "responses", observed_at=NOW)
    assert {status for status, _ in truth.transitions} <= ENDED | {"queued", "in_progress"}
    assert body["status"] == truth.status
    assert seen.status == ("requires_action" if list_outputs(body) else truth.status)
    assert seen.usage == truth.usage
    assert (seen.error.code if seen.error else None) == (
        (truth.error_code or "server_error") if truth.status == "failed" else None
    )
    assert seen.incomplete_reason == truth.incomplete_reason
    if truth.status == "completed":
        assert truth.ended_at is not None
        assert body["completed_at"] == int(truth.ended_at)
        assert body["output"]


@law
@given(st.integers(0, 10_000), st.integers(0, 3))
def test_a_chain_stops_for_its_caller_as_often_as_a_run_would(seed: int, stops: int) -> None:
    sim = make_simulator(seed, Parameters.ending("completed", action=1.0, max_actions=stops))
    truth = sim.create_response(tools=TOOLS)
    for number in range(stops + 1):
        sim.clock.advance(1000)  # type: ignore[attr-defined]
        body = read_body(sim, truth.run_id, math.inf)
        assert (body["status"], bool(list_outputs(body))) == ("completed", number < stops)
        if number < stops:
            following = {"previous_response_id": truth.run_id, "tools": TOOLS}
            with pytest.raises(Refused, match="No tool output found"):
                sim.create_response(**following)
            truth = sim.create_response(**following, input=list_outputs(body))


def test_a_response_without_functions_makes_no_calls() -> None:
    sim = make_simulator(parameters=Parameters.ending("completed", action=1.0))
    truth = sim.create_response(model="gpt-5")
    world = sim._service.world
    assert find_call_step(world.get_life(world.responses[truth.run_id])) is None


def test_invalid_requests_are_refused() -> None:
    sim = make_simulator()
    for body, says in (
        ({"background": False}, "background=true"),
        ({"tools": {}}, "expected an array"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"previous_response_id": "resp_0"}, "not found"),
    ):
        with pytest.raises(Refused, match=says):
            sim.create_response(**body)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="No run found"):
        sim.truth("resp_0")


def test_the_same_seed_gives_the_same_responses() -> None:
    def build() -> Truth:
        sim = make_simulator(3, replace(Parameters(), action=0.5))
        return sim.truth(sim.create_response(tools=TOOLS).run_id, math.inf)

    assert build() == build()
