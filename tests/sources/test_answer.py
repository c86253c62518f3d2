"""Answers: time stamps, hints and bodies."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.errors import PayloadError
from tracker.sources.answer import reset_hint, select_headers, server_date, wait_hint
from tracker.sources.documents import decode, decode_body
from tracker.sources.stamps import read_stamp

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
UNIX = int(NOW.timestamp())


@pytest.mark.parametrize(
    "sent",
    [
        UNIX,
        float(UNIX),
        str(UNIX),
        UNIX * 1000,
        UNIX * 1_000_000,
        UNIX * 1_000_000_000,
        "2026-01-01T12:00:00Z",
        "2026-01-01T12:00:00",
        "2026-01-01T14:00:00+02:00",
        NOW,
        NOW.replace(tzinfo=None),
    ],
)
def test_a_moment_in_any_unit(sent: object) -> None:
    assert read_stamp(sent) == NOW


def test_milliseconds_are_kept() -> None:
    assert read_stamp(UNIX * 1000 + 250) == NOW + timedelta(milliseconds=250)


@pytest.mark.parametrize("sent", [None, 0, -1, "", "0"])
def test_no_moment_was_said(sent: object) -> None:
    assert read_stamp(sent) is None


@pytest.mark.parametrize(
    "sent",
    [True, [], "soon", float("inf"), float("nan"), 10**400, "1e400", "0001-01-01T00:00+14:00"],
)
def test_what_is_no_moment_is_none(sent: object) -> None:
    assert read_stamp(sent) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"openai-poll-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"openai-poll-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1, 2"}, None),
        ({"retry-after": "99999999"}, 3600.0),
        ({"retry-after": "1m30s"}, 90.0),
        ({"retry-after": "1.5s"}, 1.5),
        ({"retry-after": "1h"}, 3600.0),
        ({"retry-after": "2 m 3 s"}, 123.0),
        ({"retry-after-ms": "6ms"}, 0.006),
        ({"openai-poll-after-ms": "1s"}, 1.0),
        ({"retry-after": "1m30"}, None),
        ({"retry-after": "30s later"}, None),
        ({"retry-after": str(int(NOW.timestamp()) + 7)}, 7.0),
        ({"retry-after": str((int(NOW.timestamp()) + 7) * 1000)}, 7.0),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:08 GMT"}, 8.0),
        ({"retry-after": "Thu, 01 Jan 2026 11:59:00 GMT"}, 0.0),
        (
            {
                "retry-after": "Thu, 01 Jan 2026 15:00:08 GMT",
                "date": "Thu, 01 Jan 2026 15:00:00 GMT",
            },
            8.0,
        ),
    ],
)
def test_the_wait_that_is_asked_for(headers: dict[str, str], seconds: float | None) -> None:
    assert wait_hint(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-ratelimit-reset-requests": "6ms"}, 0.006),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "20s"}, 20.0),
        (
            {
                "x-ratelimit-reset-requests": "9m",
                "x-ratelimit-remaining-requests": "12",
                "x-ratelimit-reset-tokens": "20s",
                "x-ratelimit-remaining-tokens": "0",
            },
            20.0,
        ),
        ({"x-ratelimit-reset-requests": "9m", "x-ratelimit-remaining-requests": "12"}, None),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 5)}, 5.0),
        ({"x-ratelimit-reset-requests": "soon"}, None),
        ({"x-ratelimit-reset-requests": "999h"}, 3600.0),
    ],
)
def test_the_limits_that_are_used_up_say_when_they_are_reset(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert reset_hint(headers, NOW) == pytest.approx(seconds) if seconds else seconds is None


@settings(max_examples=50)
@given(st.text("0123456789.-hmsuµn eE", max_size=12))
def test_a_hint_is_none_or_within_an_hour(text: str) -> None:
    for name in ("retry-after", "retry-after-ms", "openai-poll-after-ms"):
        found = wait_hint({name: text}, NOW)
        assert found is None or 0.0 <= found <= 3600.0
    found = reset_hint({"x-ratelimit-reset-requests": text}, NOW)
    assert found is None or 0.0 <= found <= 3600.0


def test_the_date_of_the_server() -> None:
    assert server_date({"date": "Thu, 01 Jan 2026 12:00:00 GMT"}) == NOW
    assert server_date({"date": "Sanitized"}) is None
    assert server_date({}) is None


def test_headers_that_help_are_kept() -> None:
    headers = {"x-request-id": "req_1", "x-ratelimit-remaining-requests": "3", "set-cookie": "a"}
    assert select_headers(headers) == {
        "x-request-id": "req_1",
        "x-ratelimit-remaining-requests": "3",
    }


def test_half_a_surrogate_pair_does_not_make_a_body_unusable() -> None:
    document, body = decode_body(b'\xef\xbb\xbf{"id": "run_1", "instructions": "a \\ud83d b"}')
    assert document == {"id": "run_1", "instructions": "a ? b"}
    assert decode_body(body) == (document, body)


@pytest.mark.parametrize(
    "payload",
    [
        {"id": "run_1", "text": "a ? b"},
        b'{"id": "run_1", "text": "a \\ud83d b"}',
        '{"id": "run_1", "text": "a \\ud83d b"}',
        '{"id": "run_1", "text": "a \ud83d b"}',
        '\ufeff{"id": "run_1", "text": "a ? b"}',
    ],
)
def test_every_form_of_a_payload_is_decoded_and_repaired(
    payload: dict[str, Any] | bytes | str,
) -> None:
    assert decode(payload) == {"id": "run_1", "text": "a ? b"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'"text"', b"null", b"3", b"\xff\xfe\x00", b"[" * 9999, b"[" * 300 + b"]" * 300],
)
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadError, match=r"^not (a )?JSON"):
        decode(body)


def test_importing_the_package_loads_no_http_client() -> None:
    lines = [
        "import sys, tracker.sources, tracker.sources.source, tracker.sources.http.pages",
        "names = ('Response', 'Run', 'RunListSource', 'counted', 'decode', 'read_stamp')",
        "assert all(getattr(tracker.sources, name) for name in names)",
        "assert 'httpx' not in sys.modules",
        "tracker.sources.Assistants",
        "assert 'httpx' in sys.modules",
        "assert 'Assistants' in dir(tracker.sources)",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)
