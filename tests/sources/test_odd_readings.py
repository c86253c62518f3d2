"""Fields in other types and spellings than documented: what is read of them, and its name."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.core.snapshot import Configuration, RunError, RunSnapshot, StepSnapshot
from tracker.core.usage import Usage
from tracker.sources import counted
from tracker.sources.agents.snapshots import turn_snapshot
from tracker.sources.assistants.models import Run
from tracker.sources.assistants.snapshots import run_snapshot, step_snapshot
from tracker.sources.configurations import make_configuration
from tracker.sources.counts import read_count
from tracker.sources.responses.snapshots import response_snapshot
from tracker.sources.stamps import read_stamp, says_no_time

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MOMENT = datetime(2026, 1, 1, 10, 0, 10, tzinfo=UTC)
UNIX = int(MOMENT.timestamp())


def read(status: str = "completed", **more: Any) -> RunSnapshot:
    body = {"id": "run_1", "object": "thread.run", "status": status} | more
    return run_snapshot(body, "x", observed_at=NOW)


@pytest.mark.parametrize(
    "sent",
    [
        "Thu, 01 Jan 2026 10:00:10 GMT",
        "Thursday, 01-Jan-26 10:00:10 GMT",
        "Thu, 1 Jan 2026 12:00:10 +0200",
        "1 Jan 2026 10:00:10 UTC",
        "Thu Jan  1 10:00:10 2026",
        "Thu Jan 01 2026 11:00:10 GMT+0100 (Central European Standard Time)",
        "2026-01-01 10:00:10 +0000 UTC",
        "2026-01-01 11:00:10.0 +0100 CET m=+0.003",
        "2026-01-01 10:00:10 UTC",
        "2026-01-01t10:00:10z",
        " 2026-01-01T10:00:10.0000000Z ",
        "20260101T100010Z",
        "2026-01-01T10:00:10+0000",
        f"/Date({UNIX * 1000})/",
        f"{UNIX}.0",
        {"seconds": UNIX, "nanos": 0},
        {"seconds": str(UNIX)},
        {"_seconds": UNIX, "_nanoseconds": 0},
        {"$date": "2026-01-01T10:00:10Z"},
        {"$date": {"$numberLong": str(UNIX * 1000)}},
        MOMENT.astimezone(),
    ],
)
def test_a_moment_in_another_spelling(sent: object) -> None:
    assert read_stamp(sent) == MOMENT


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        ("2026-01-01T10:00:60Z", "2026-01-01T10:01:00Z"),
        ("2026-06-30T23:59:60.5Z", "2026-07-01T00:00:00Z"),
        ("2026-01-01T24:00:00Z", "2026-01-02T00:00:00Z"),
        ("2026-12-31 24:00", "2027-01-01T00:00:00Z"),
        ("2000-01-01T00:00:00Z", "2000-01-01T00:00:00Z"),
        (946_684_800, "2000-01-01T00:00:00Z"),
        ("2199-12-31T23:59:59Z", "2199-12-31T23:59:59Z"),
        (7_258_118_399, "2199-12-31T23:59:59Z"),
    ],
)
def test_a_moment_at_an_edge(sent: object, moment: str) -> None:
    assert read_stamp(sent) == datetime.fromisoformat(moment)


ZEROS = (
    *(0, -1, 0.0, False, "", " ", "0", "-62135596800", [], {}, "null", "None", "nil", "N/A"),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00", "0001-01-01 00:00:00 +0000 UTC"),
    *("0000-00-00 00:00:00", "0000-00-00", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000+00:00"),
    *("Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 GMT"),
)
OUTSIDE = (
    *(946_684_799, 7_258_118_400, 10**400, -(10**400), float("inf"), float("nan"), True),
    *("soon", "9999-12-31T23:59:59.9999999Z", "1999-12-31T23:59:59Z", "2200-01-01T00:00:00Z"),
    *("1899-12-30T00:00:00", "1753-01-01", "2603-05-05T00:00:00Z", "2026-01-01 10:00:10 CET"),
    *("2026-13-01T00:00:00Z", "1e400", "9" * 5000, "Thu, 01 Jan 1998 10:00:10 GMT", ["x"]),
    *("0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", {"seconds": "x"}, {"a": 1}),
    *(621_355_968_000_000_000, 9_999_999_999, {"$date": {"$date": {"$date": {"$date": 1}}}}),
    *({"seconds": 10**5000}, "2026-01-01T25:00:60Z"),
    *(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)),
)


@pytest.mark.parametrize("sent", [*ZEROS, *OUTSIDE])
def test_no_moment(sent: object) -> None:
    assert read_stamp(sent) is None


@pytest.mark.parametrize("sent", ZEROS)
def test_a_zero_time_never_beats_a_real_one(sent: object) -> None:
    assert says_no_time(sent)
    seen = read("failed", completed_at=sent, failed_at=UNIX, cancelled_at=sent)
    assert seen.ended_at == MOMENT
    assert "zero_stamps" in seen.peculiarities
    assert not any(name.startswith("unreadable") for name in seen.peculiarities)


@given(st.text() | st.floats() | st.integers() | st.dictionaries(st.text(), st.text()))
def test_every_moment_that_is_read_is_plausible(sent: object) -> None:
    moment = read_stamp(sent)
    assert moment is None or 2000 <= moment.year <= 2199
    says_no_time(sent)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_is_the_same_in_each_spelling(moment: datetime) -> None:
    whole = moment.replace(microsecond=0)
    spellings = (
        whole,
        whole.isoformat(),
        f"{whole:%Y-%m-%d %H:%M:%S} +0000 UTC",
        format_datetime(whole, usegmt=True),
        whole.timestamp(),
        {"seconds": int(whole.timestamp()), "nanos": 0},
    )
    expected = whole if 2000 <= whole.year <= 2199 else None
    assert [read_stamp(it) for it in spellings] == [expected] * len(spellings)


def test_a_snapshot_of_an_own_source_has_no_implausible_stamp() -> None:
    seen = RunSnapshot(
        source="x",
        run_id="run_1",
        observed_at=NOW,
        status="queued",
        created_at=datetime(1, 1, 1, tzinfo=UTC),
        expires_at=datetime(9999, 12, 31, tzinfo=UTC),
    )
    assert (seen.created_at, seen.expires_at) == (None, None)
    assert seen.peculiarities == {"unreadable_created_at", "unreadable_expires_at"}
    step = StepSnapshot(
        step_id="step_1",
        type="x",
        status="completed",
        created_at=NOW,
        ended_at=datetime(1, 1, 1, tzinfo=UTC),
    )
    assert (step.created_at, step.ended_at) == (NOW, None)
    assert step.peculiarities == {"unreadable_ended_at"}


@pytest.mark.parametrize(
    ("sent", "count"),
    [
        (10, 10),
        ("10", 10),
        (" 10 ", 10),
        (10.0, 10),
        ("10.0", 10),
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        (2**63, None),
        ("9223372036854775808", None),
        (1e300, None),
        (-1, None),
        ("-1", None),
        (10.5, None),
        ("10.5", None),
        (True, None),
        (False, None),
        ("", None),
        ("x", None),
        ("\u0661", None),
        ("9" * 5000, None),
        (float("nan"), None),
        (float("inf"), None),
        ([], None),
        ({}, None),
        (None, None),
    ],
)
def test_a_count(sent: object, count: int | None) -> None:
    assert read_count(sent) == count
    assert counted(total_tokens=sent) == (None if count is None else Usage(total_tokens=count))
    seen = read(usage={"total_tokens": sent, "prompt_tokens": 7})
    assert seen.usage == Usage(prompt_tokens=7, total_tokens=count)


@pytest.mark.parametrize(
    "sent",
    [
        {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
        {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15},
        {"promptTokens": "10", "completionTokens": 5.0, "totalTokens": 15},
        {"prompt_tokens": None, "input_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        {"prompt_tokens": "x", "input_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    ],
)
def test_tokens_under_other_names(sent: dict[str, Any]) -> None:
    usage = Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15)
    body = {"id": "run_1", "status": "completed", "usage": sent}
    assert read(usage=sent).usage == usage
    assert response_snapshot(body, "x", observed_at=NOW).usage == usage
    assert turn_snapshot(body, "x", observed_at=NOW).usage == usage
    assert step_snapshot(body).usage == usage


@pytest.mark.parametrize(
    ("sent", "usage", "name"),
    [
        ({"cached_tokens": 4}, Usage(total_tokens=9, cached_tokens=4), None),
        ({"cachedTokens": "4"}, Usage(total_tokens=9, cached_tokens=4), "wrong_type_cachedTokens"),
        ([], Usage(total_tokens=9), "empty_array_for_object"),
        (7, Usage(total_tokens=9), "unreadable_prompt_tokens_details"),
        ({"cached_tokens": "x"}, Usage(total_tokens=9), "unreadable_cached_tokens"),
    ],
)
def test_details_of_tokens(sent: object, usage: Usage, name: str | None) -> None:
    seen = read(usage={"total_tokens": 9, "prompt_tokens_details": sent})
    assert seen.usage == usage
    assert name is None or name in seen.peculiarities


@pytest.mark.parametrize("sent", [0, False, "", "{}", 3, ["x"], True])
def test_no_usage(sent: object) -> None:
    seen = read(usage=sent)
    assert (seen.usage, "unreadable_usage" in seen.peculiarities) == (None, True)


@pytest.mark.parametrize(
    ("sent", "error", "name"),
    [
        ({"code": 500, "message": "boom"}, RunError(code="500", message="boom"), "wrong_type_code"),
        ({"code": 5.0}, RunError(code="5"), "wrong_type_code"),
        ({"code": {"id": "e"}}, RunError(code="e"), "wrong_type_code"),
        ({"code": ["x"]}, RunError(), "unreadable_code"),
        ({"code": True}, RunError(), "unreadable_code"),
        ({"message": [{"msg": "x"}]}, RunError(message='[{"msg": "x"}]'), "wrong_type_message"),
        ({"message": False}, RunError(), "unreadable_message"),
        ("boom", RunError(message="boom"), "error_as_text"),
        (["boom"], RunError(message='["boom"]'), "wrong_type_last_error"),
        (500, RunError(message="500"), "wrong_type_last_error"),
        (False, None, "unreadable_last_error"),
        (True, None, "unreadable_last_error"),
        ([], None, "empty_array_for_object"),
        ("", None, "error_as_text"),
    ],
)
def test_an_error(sent: object, error: RunError | None, name: str) -> None:
    seen = read("failed", last_error=sent)
    assert seen.error == error
    assert name in seen.peculiarities


@pytest.mark.parametrize(
    ("sent", "text", "name"),
    [
        (42, "42", "wrong_type_model"),
        (42.0, "42", "wrong_type_model"),
        ({"id": "gpt-5"}, "gpt-5", "wrong_type_model"),
        ({"name": "gpt-5"}, "gpt-5", "wrong_type_model"),
        ({"family": "gpt"}, None, "unreadable_model"),
        (["gpt-5"], None, "unreadable_model"),
        (True, None, "unreadable_model"),
        (float("nan"), None, "unreadable_model"),
        (10**400, None, "unreadable_model"),
    ],
)
def test_a_name(sent: object, text: str | None, name: str) -> None:
    seen = read(model=sent, thread_id=sent, assistant_id=sent)
    assert (seen.model, seen.thread_id, seen.assistant_id) == (text, text, text)
    assert name in seen.peculiarities


def test_half_a_surrogate_pair_in_any_text() -> None:
    call = {
        "id": "\ud83d",
        "type": "function",
        "function": {"name": "\ud83d", "arguments": "\ud83d"},
    }
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [call]}}
    error = {"code": "\ud83d", "message": "\ud83d"}
    seen = read("requires_action", model="\ud83d", last_error=error, required_action=action)
    assert (seen.model, seen.error) == ("?", RunError(code="?", message="?"))
    assert (seen.tool_calls[0].id, seen.tool_calls[0].arguments) == ("?", "?")


@pytest.mark.parametrize("sent", ["x", "", "{}", 3, True, ["x"], [["a", 1]]])
def test_metadata_that_is_no_object_says_nothing(sent: object) -> None:
    seen = read(metadata=sent)
    assert (seen.metadata, "unreadable_metadata" in seen.peculiarities) == (None, True)
    assert (read().metadata, read(metadata=None).metadata, read(metadata=[]).metadata) == (
        None,
        {},
        {},
    )


@pytest.mark.parametrize(
    ("sent", "configuration"),
    [
        ({"tools": {}}, Configuration()),
        ({"tools": ["retrieval"]}, Configuration(tools=({"type": "retrieval"},))),
        ({"tools": ["retrieval", 5]}, Configuration()),
        ({"instructions": [{"text": "x"}]}, Configuration(instructions='[{"text": "x"}]')),
        ({"temperature": "default"}, Configuration(settings={"temperature": "default"})),
        ({"temperature": 1}, Configuration(settings={"temperature": 1.0})),
        ({"file_ids": [{"id": "f"}]}, Configuration(settings={"file_ids": [{"id": "f"}]})),
        ({"top_p": True, "tool_choice": None}, Configuration(settings={"top_p": True})),
    ],
)
def test_settings(sent: dict[str, Any], configuration: Configuration) -> None:
    assert read(**sent).configuration == configuration


def test_a_configuration_is_checked_once() -> None:
    tools = [{"type": "function", "function": {"name": f"f{number}"}} for number in range(4)]
    first, second = (read(tools=tools, instructions="x").configuration for _ in range(2))
    assert first is second
    assert first is not read(tools=tools, instructions="y").configuration
    seen = read(tools=[{"type": "function", "n": 10**400}])
    assert seen.configuration == Configuration(tools=({"type": "function", "n": None},))
    assert "unstorable_configuration" in seen.peculiarities


def test_values_that_are_not_json_make_a_configuration_too() -> None:
    made = make_configuration(None, [{"a": object(), 1: "\ud83d"}], {"temperature": 1.0})
    assert made == Configuration(tools=({"a": None, "1": "?"},), settings={"temperature": 1.0})


@pytest.mark.parametrize("sent", [3, "a\nb", "x" * 100_000, ["resp_0"], True])
def test_a_reference_to_no_run_says_nothing(sent: object) -> None:
    body = {"id": "resp_1", "status": "completed", "previous_response_id": sent}
    seen = response_snapshot(body, "x", observed_at=NOW)
    assert seen.continues is None
    assert "unreadable_previous_response_id" in seen.peculiarities


def test_the_typed_model_of_an_odd_run_has_its_other_fields() -> None:
    sent = {
        "id": "run_1",
        "status": "failed",
        "last_error": False,
        "usage": {"prompt_tokens": "x", "total_tokens": 15},
        "created_at": "soon",
        "failed_at": UNIX,
        "tools": {"a": 1},
    }
    run = Run.model_validate(sent)
    assert (run.last_error, run.created_at, run.tools) == (None, None, None)
    assert run.usage is not None
    assert (run.usage.prompt_tokens, run.usage.total_tokens) == (None, 15)
    assert run.failed_at == MOMENT
