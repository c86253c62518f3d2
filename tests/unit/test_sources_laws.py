"""Whatever a service sends: a snapshot, or a PayloadError, and nothing else."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tracker.core.snapshot import RunSnapshot
from tracker.errors import PayloadError
from tracker.sources.documents import decode
from tracker.sources.keys import Secrets
from tracker.sources.models import Run, RunStep
from tracker.sources.refusals import refusal, words
from tracker.sources.snapshots import glance, run_snapshot, step_snapshot

NOW = datetime(2026, 1, 1, tzinfo=UTC)

texts = st.text(max_size=8) | st.sampled_from(["tool_calls", "function", "name", "arguments", "id"])
numbers = st.integers() | st.floats() | st.integers(10**9, 10**19)
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def documents(fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Documents with an id and a status, and anything in any number of the other fields."""
    some = st.dictionaries(st.sampled_from(sorted(fields)), anything, max_size=6)
    named = st.fixed_dictionaries({"id": st.just("run_1"), "status": st.just("requires_action")})
    return st.tuples(named, some).map(lambda pair: pair[1] | pair[0])


@given(documents(Run.model_fields))
def test_a_run_of_anything(document: dict[str, Any]) -> None:
    with suppress(PayloadError):
        snapshot = run_snapshot(document, "assistants", observed_at=NOW)
        assert snapshot.run_id == "run_1"
        assert RunSnapshot.model_validate(snapshot.model_dump()) is not None


@given(documents(RunStep.model_fields))
def test_a_step_of_anything(document: dict[str, Any]) -> None:
    with suppress(PayloadError):
        assert step_snapshot(document).step_id == "run_1"


@given(st.binary(max_size=60) | anything.map(lambda value: json.dumps(value).encode()))
def test_a_body_of_anything(body: bytes) -> None:
    for reading in (decode, glance, words, step_snapshot):
        with suppress(PayloadError):
            reading(body)


@given(st.integers(200, 599), anything)
def test_an_error_of_anything(status: int, document: object) -> None:
    body = json.dumps(document).encode()
    error = refusal("GET /x", status, {}, body, now=NOW, secrets=Secrets("sk-1234"))
    assert str(error).isprintable()
    assert len(str(error)) < 600
