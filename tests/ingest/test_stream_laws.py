"""Laws of streams: wherever one is cut, exactly its complete events are recorded."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.core.decider import decide, fold
from tracker.core.events import Event, RunStepRecorded
from tracker.core.other_decisions import decide_steps
from tracker.core.status import is_ended
from tracker.ingest.server_sent_events import EventParser
from tracker.simulator.api.responses import cancel_response, create_response
from tracker.simulator.api.stream_events import StreamEvent, response_events, run_events
from tracker.simulator.model.parameters import Parameters
from tracker.simulator.model.world import World
from tracker.sources.assistants.snapshots import run_snapshot, step_snapshot
from tracker.sources.responses.snapshots import response_snapshot
from tracker.sources.stream_events import StreamPayload, payload_in

NOW = 1_767_225_600.0
AT = datetime.fromtimestamp(NOW + 3600, UTC)


def make_events(seed: int, api: str) -> list[StreamEvent]:
    parameters = Parameters(action=0.0, endless=0.0, cancelled=0.0)
    world = World(seed, parameters)
    if api == "responses":
        record = create_response(world, NOW, {"background": True})
        return response_events(record, world.get_life(record))
    record = world.create_run(NOW, world.create_thread(NOW).id, {"assistant_id": "asst_1"})
    return run_events(record, world.get_life(record), NOW)


def read(pieces: Sequence[bytes]) -> list[StreamPayload]:
    parser = EventParser()
    found = (payload_in(event) for piece in pieces for event in parser.feed(piece))
    return [each for each in found if each is not None]


def history(shown: Sequence[StreamPayload], api: str) -> list[Event]:
    events: list[Event] = []
    for each in shown:
        if each.kind == "step":
            events += decide_steps(fold(events), [step_snapshot(each.body)], AT)
        else:
            read_run = response_snapshot if api == "responses" else run_snapshot
            events += decide(fold(events), read_run(each.body, api, observed_at=AT))
    return events


@pytest.mark.parametrize("api", ["assistants", "responses"])
@given(st.integers(0, 2**16), st.data())
def test_what_came_whole_is_seen_wherever_it_is_cut(
    api: str, seed: int, data: st.DataObject
) -> None:
    texts = [each.text.encode() for each in make_events(seed, api)]
    stream = b"".join(texts)
    off = data.draw(st.integers(0, len(stream)))
    cuts = sorted(data.draw(st.lists(st.integers(0, off), max_size=5)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, off], strict=True)]
    ends = accumulate(len(text) for text in texts)
    whole = [text for text, end in zip(texts, ends, strict=True) if end <= off]
    shown = read(pieces)
    assert shown == read(whole)
    # Going on elsewhere, from the start or after what was seen, leads to the same history.
    seen, complete = history(shown, api), history(read(texts), api)
    assert complete[: len(seen)] == seen
    assert history([*shown, *read(texts)], api) == complete


@pytest.mark.parametrize("api", ["assistants", "responses"])
@given(st.integers(0, 2**16))
def test_a_whole_stream_leads_to_the_end_with_every_step(api: str, seed: int) -> None:
    events = make_events(seed, api)
    complete = history(read([each.text.encode() for each in events]), api)
    assert fold(complete).is_ended
    steps = [event for event in complete if isinstance(event, RunStepRecorded)]
    told = {each.data["id"] for each in events if each.name.startswith("thread.run.step.")}
    assert {step.step_id for step in steps} == told


@given(st.integers(0, 2**16), st.floats(0, 60), st.sampled_from(["assistants", "responses"]))
def test_what_the_simulator_has_streamed_stays_so_when_it_is_cancelled(
    seed: int, after: float, api: str
) -> None:
    world, at = World(seed), NOW + after

    def list_events() -> list[StreamEvent]:
        life = world.get_life(record)
        if api == "responses":
            return [each for each in response_events(record, life) if each.at < at]
        return [each for each in run_events(record, life, NOW) if each.at < at]

    if api == "responses":
        record = create_response(world, NOW, {"background": True})
    else:
        thread = world.create_thread(NOW)
        record = world.create_run(NOW, thread.id, {"assistant_id": "asst_1"})
    before = list_events()
    if is_ended(world.get_status(at, record)) or world.get_status(at, record) == "cancelling":
        return
    if api == "responses":
        cancel_response(world, at, record)
    else:
        world.cancel_run(at, record)
    assert list_events() == before
