"""Tokens that are written to a cache, and service tiers, in the shapes that services send."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.payload_bodies import assistants_run, response, turn
from tracker.core.decider import decide, fold
from tracker.core.state import initial_state
from tracker.core.usage import Usage
from tracker.sources.agents.snapshots import turn_snapshot, with_session
from tracker.sources.assistants.snapshots import run_snapshot, step_snapshot
from tracker.sources.fields import Fields
from tracker.sources.responses.snapshots import glance, response_snapshot
from tracker.sources.usages import read_usage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIDES = {"input_tokens": 100, "output_tokens": 7}


def read(usage: dict[str, Any], **more: Any) -> Usage:
    """Returns the usage of a document, which has nothing peculiar."""
    fields = Fields({"usage": usage, **more})
    found = read_usage(fields)
    assert found is not None
    assert fields.found == set()
    return found


@pytest.mark.parametrize(
    ("sent", "counts"),
    [
        (
            # OpenAI, with its lifetimes.
            {
                **SIDES,
                "total_tokens": 107,
                "input_tokens_details": {
                    "cached_tokens": 20,
                    "cache_write_tokens": 30,
                    "cache_write_tokens_details": {"ttl_30m_tokens": 10, "ttl_12h_tokens": 20},
                },
            },
            {
                "prompt_tokens": 100,
                "total_tokens": 107,
                "cached_tokens": 20,
                "cache_write_tokens": 30,
                "cache_write_30m_tokens": 10,
                "cache_write_12h_tokens": 20,
            },
        ),
        (
            # Anthropic counts the tokens of a cache beside the prompt.
            {
                **SIDES,
                "cache_read_input_tokens": 20,
                "cache_creation_input_tokens": 30,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 10,
                    "ephemeral_1h_input_tokens": 20,
                },
            },
            {
                "prompt_tokens": 150,
                "cached_tokens": 20,
                "cache_write_tokens": 30,
                "cache_write_5m_tokens": 10,
                "cache_write_1h_tokens": 20,
            },
        ),
        (
            # A proxy that has added them to the prompt.
            {**SIDES, "total_tokens": 107, "cache_creation_input_tokens": 30},
            {"prompt_tokens": 100, "total_tokens": 107, "cache_write_tokens": 30},
        ),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 7,
                "cache_creation_input_tokens": 30,
                "prompt_tokens_details": {
                    "cache_creation_tokens": 30,
                    "cache_creation_token_details": {"ephemeral_5m_input_tokens": 30},
                },
            },
            {"prompt_tokens": 100, "cache_write_tokens": 30, "cache_write_5m_tokens": 30},
        ),
        (
            # Lifetimes without their sum.
            {**SIDES, "cache_creation": {"ephemeral_5m_input_tokens": 1}, "totalTokens": 107},
            {
                "prompt_tokens": 100,
                "total_tokens": 107,
                "cache_write_tokens": 1,
                "cache_write_5m_tokens": 1,
            },
        ),
        (
            {"inputTokens": 100, "outputTokens": 7, "cacheWriteInputTokens": 5},
            {"prompt_tokens": 105, "cache_write_tokens": 5},
        ),
    ],
)
def test_tokens_written_to_a_cache(sent: dict[str, Any], counts: dict[str, int]) -> None:
    assert read(sent) == Usage(completion_tokens=7, **counts)


def test_a_tier_is_that_of_the_usage_or_else_of_the_document() -> None:
    assert read(SIDES, service_tier="flex").service_tier == "flex"
    assert read({**SIDES, "service_tier": "batch"}, service_tier="flex").service_tier == "batch"
    assert read(SIDES, service_tier=None).service_tier is None
    # Without counts there is nothing to price.
    assert read_usage(Fields({"usage": {}, "service_tier": "flex"})) is None


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "cache_creation",
                "cache_creation_input_tokens",
                "input_tokens",
                "input_tokens_details",
                "cache_write_tokens",
                "service_tier",
                "cache_write_tokens_details",
            ]
        ),
        st.none()
        | st.integers(-5, 2**64)
        | st.text(max_size=3)
        | st.just([])
        | st.dictionaries(
            st.sampled_from(["ephemeral_5m_input_tokens", "cached_tokens"]),
            st.none() | st.integers(-5, 2**64) | st.text(max_size=3),
        ),
    )
)
def test_any_usage_is_read(sent: dict[str, Any]) -> None:
    usage = read_usage(Fields({"usage": sent}))
    assert usage is None or usage == Usage.model_validate(usage.model_dump())


def test_the_tier_that_served_a_response_is_recorded_beside_the_one_asked_for() -> None:
    tokens = {**SIDES, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 64}}
    queued = response_snapshot(response("queued", service_tier="auto"), "r", observed_at=NOW)
    done = response_snapshot(
        response("completed", usage=tokens, service_tier="flex"), "r", observed_at=NOW
    )
    created, *_ = first = decide(initial_state, queued)
    *_, end = second = decide(fold(first), done)
    assert created.service_tier == "auto"  # type: ignore[attr-defined]
    assert end.usage == done.usage  # type: ignore[attr-defined]
    assert done.usage is not None
    assert (done.usage.service_tier, done.usage.cache_write_tokens) == ("flex", 64)
    # A later answer with another tier corrects it.
    served = response_snapshot(
        response("completed", usage=tokens, service_tier="default"), "r", observed_at=NOW
    )
    [reported] = decide(fold([*first, *second]), served)
    assert reported.usage == served.usage  # type: ignore[attr-defined]
    assert glance(b'{"service_tier": "flex"}') == {"service_tier": "flex"}


def test_other_sources_show_both() -> None:
    tokens = {
        "prompt_tokens": 9,
        "completion_tokens": 1,
        "prompt_token_details": {"cached_tokens": 2, "cache_write_tokens": 3},
    }
    run = run_snapshot(
        assistants_run("completed", usage=tokens, service_tier="priority"), "a", observed_at=NOW
    )
    assert run.usage is not None
    assert (run.usage.cache_write_tokens, run.usage.service_tier) == (3, "priority")
    step = step_snapshot({"id": "s", "status": "completed", "usage": tokens})
    assert step.usage is not None
    assert step.usage.cache_write_tokens == 3
    session = {"id": "sess_1", "agent": {"id": "agent_1", "service_tier": "flex"}}
    seen = turn_snapshot(with_session(turn("queued"), session, NOW), "t", observed_at=NOW)
    assert seen.service_tier == "flex"
