"""Every released shape of every event stays readable: a golden line is never changed."""

import json

import pytest
from pydantic import BaseModel

from tests.support.golden_files import GOLDEN_EVENTS
from tracker.core.events import EVENTS, Event, RunCreated, RunStatusChanged
from tracker.core.upcasters import upcast
from tracker.errors import UnreadableEvent
from tracker.event_store.codec import decode, encode


def test_every_event_has_a_golden_line_with_all_its_fields() -> None:
    current = {f"{kind.topic}/{kind.topic_version}" for kind in EVENTS.values()}
    whole = {line["topic"] for line in GOLDEN_EVENTS if is_whole(read(line))}
    assert current <= whole


def read(line: dict[str, object]) -> Event:
    return decode(str(line["topic"]), json.dumps(line["state"]).encode())


def is_whole(value: object) -> bool:
    if isinstance(value, BaseModel):
        fields = set(type(value).model_fields)
        return value.model_fields_set == fields and all(is_whole(it) for _, it in value)
    return not isinstance(value, tuple) or any(is_whole(it) for it in value)


@pytest.mark.parametrize("line", GOLDEN_EVENTS, ids=lambda line: line["topic"])
def test_a_golden_event_reads(line: dict[str, object]) -> None:
    event = read(line)
    topic, state = encode(event)
    assert decode(topic, state) == event
    if topic == line["topic"]:
        assert json.loads(state) == line["state"]


def test_an_event_of_a_newer_release_is_refused_by_name() -> None:
    with pytest.raises(UnreadableEvent, match=r"run\.created/9"):
        decode("run.created/9", b"{}")
    with pytest.raises(UnreadableEvent, match="no such"):
        decode("no such", b"{}")
    with pytest.raises(UnreadableEvent, match=r"run\.status_changed/1"):
        decode("run.status_changed/1", b'{"observed_at": 1')


def test_older_shapes_go_through_their_steps() -> None:
    steps = {
        ("t", 1): lambda fields: fields | {"b": fields["a"]},
        ("t", 2): lambda fields: {"b": fields["b"] + 1},
    }
    assert upcast("t", 1, 3, {"a": 1}, steps) == {"b": 2}
    with pytest.raises(LookupError):
        upcast("t", 1, 4, {"a": 1}, steps)


@pytest.mark.parametrize(
    "metadata",
    [
        {"_type_": "uuid.UUID", "_data_": "x"},
        {"_type_": "tracker.app.tracker:Tracker", "_data_": {"a": 1}},
        {"topic": "run.created/1", "nested": {"_type_": "decimal", "_data_": 1}},
        {"nul": "\x00", "line": "\n", "": ""},
    ],
)
def test_no_metadata_is_taken_for_a_type(metadata: dict[str, object]) -> None:
    stored = decode(
        "run.created/1",
        json.dumps(
            {
                "observed_at": "2026-01-01T12:00:00Z",
                "source": "assistants",
                "run_id": "run_1",
                "status": "queued",
                "metadata": metadata,
            }
        ).encode(),
    )
    assert isinstance(stored, RunCreated)
    assert stored.metadata == metadata
    assert decode(*encode(stored)) == stored


def test_topics_do_not_depend_on_where_a_class_lives() -> None:
    assert RunStatusChanged.topic == "run.status_changed"
    assert all(module not in topic for topic in EVENTS for module in ("tracker", "." * 2, ":"))
