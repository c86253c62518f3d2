"""Signatures of webhooks: the published vectors, the official client, and forgeries."""

import asyncio
import base64
import json
import time
from datetime import UTC, datetime, timedelta

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI

from tracker.errors import RunfoldError, SettingsError, WebhookRefused, WebhookReplayed
from tracker.ingest.webhook_inbox import hint_in
from tracker.webhooks import ReplayGuard, Webhook, sign, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"another secret altogether").decode()
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BODY = '{"type": "response.completed", "data": {"id": "resp_ü"}}'.encode()


def test_the_published_vector_is_believed() -> None:
    sent_at = datetime.fromtimestamp(1614265330, UTC)
    body, webhook_id = b'{"test": 2432232314}', "msg_p5jXN8AQM9LWM0D4loKWxJek"
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert sign(body, SECRET, webhook_id, sent_at) == headers
    assert verify(body, headers, SECRET, sent_at) == Webhook(webhook_id, sent_at)


def test_the_official_client_believes_what_is_signed_here() -> None:
    body = json.dumps(
        {
            "id": "evt_1",
            "object": "event",
            "type": "response.completed",
            "created_at": int(time.time()),
            "data": {"id": "resp_1"},
        }
    ).encode()
    headers = sign(body, SECRET, "wh_1", datetime.now(UTC))
    with OpenAI(api_key="sk-4f1d9c22b7", webhook_secret=SECRET) as client:
        event = client.webhooks.unwrap(body, headers)
        assert event.type == "response.completed"
        with pytest.raises(openai.InvalidWebhookSignatureError):
            client.webhooks.verify_signature(body, headers, secret=OTHER)


@given(st.binary(max_size=200), st.text(st.characters(codec="ascii"), min_size=1, max_size=20))
def test_what_is_signed_is_believed_and_nothing_else(body: bytes, webhook_id: str) -> None:
    headers = sign(body, SECRET, webhook_id, NOW)
    assert verify(body, headers, [OTHER, SECRET], NOW).id == webhook_id
    for changed, fields in (
        (body + b" ", {}),
        (body, {"webhook-id": f"{webhook_id}x"}),
        (body, {"webhook-timestamp": str(int(NOW.timestamp()) + 1)}),
        (body, {"webhook-signature": sign(body, OTHER, webhook_id, NOW)["webhook-signature"]}),
    ):
        with pytest.raises(WebhookRefused, match="a signature that does not fit"):
            verify(changed, {**headers, **fields}, SECRET, NOW)


@pytest.mark.parametrize("case", [str.lower, str.title, str.upper])
def test_the_headers_may_be_written_in_any_case(case: object) -> None:
    assert callable(case)
    headers = {case(name): value for name, value in sign(BODY, SECRET, "wh_1", NOW).items()}
    assert verify(BODY, headers, SECRET, NOW).id == "wh_1"


def test_one_signature_of_several_is_enough() -> None:
    headers = sign(BODY, SECRET, "wh_1", NOW)
    theirs = sign(BODY, OTHER, "wh_1", NOW)["webhook-signature"]
    ours = headers["webhook-signature"]
    both = {**headers, "webhook-signature": f"v1a,xyz {theirs} {ours}"}
    assert verify(BODY, both, SECRET, NOW).id == "wh_1"
    assert verify(BODY, both, (OTHER,), NOW).id == "wh_1"


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(missing: str) -> None:
    headers = sign(BODY, SECRET, "wh_1", NOW)
    for without in ({**headers, missing: ""}, {k: v for k, v in headers.items() if k != missing}):
        with pytest.raises(WebhookRefused, match=f"no header {missing}"):
            verify(BODY, without, SECRET, NOW)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_one_of_another_time_is_refused(seconds: int) -> None:
    sent_at = NOW + timedelta(seconds=seconds)
    headers = sign(BODY, SECRET, "wh_1", sent_at)
    when = "301 s old" if seconds < 0 else "301 s ahead of our clock"
    with pytest.raises(WebhookRefused, match=when):
        verify(BODY, headers, SECRET, NOW)
    assert verify(BODY, headers, SECRET, sent_at + timedelta(minutes=5)).sent_at == sent_at


@pytest.mark.parametrize("timestamp", ["now", "1.5", "-5", "1e9", "٣", "9" * 12, " 1", "0x5"])
def test_a_timestamp_that_is_none_is_refused(timestamp: str) -> None:
    headers = {**sign(BODY, SECRET, "wh_1", NOW), "webhook-timestamp": timestamp}
    with pytest.raises(WebhookRefused, match="webhook-timestamp is not a time"):
        verify(BODY, headers, SECRET, NOW)


@pytest.mark.parametrize("signature", ["v1", "v2,abc", "v1a,abc", "abc", ",", "ü"])
def test_a_signature_of_another_version_is_refused(signature: str) -> None:
    headers = {**sign(BODY, SECRET, "wh_1", NOW), "webhook-signature": signature}
    with pytest.raises(WebhookRefused, match="no signature of version v1"):
        verify(BODY, headers, SECRET, NOW)


@pytest.mark.parametrize("signature", ["v1,", "v1,ü", "v1,\udcff", "v1,====", "v1,abc,def"])
def test_a_signature_that_is_none_is_refused(signature: str) -> None:
    headers = {**sign(BODY, SECRET, "wh_1", NOW), "webhook-signature": signature}
    for odd in (headers, {**headers, "webhook-id": "\udcff"}):
        with pytest.raises(WebhookRefused, match="a signature that does not fit"):
            verify(BODY, odd, SECRET, NOW)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64!", "whsec_ü", []]
)
def test_a_secret_that_is_none_is_a_setting(secret: str | list[str]) -> None:
    with pytest.raises(SettingsError, match="webhook secret") as raised:
        verify(BODY, sign(BODY, SECRET, "wh_1", NOW), secret, NOW)
    assert len(secret) < 10 or str(secret)[6:] not in str(raised.value)
    assert raised.value.__context__ is None


def test_no_error_has_the_secret_or_the_body_in_it() -> None:
    headers = sign(BODY, OTHER, "wh_1", NOW)
    seen: list[RunfoldError] = []
    for fields, now in (({}, NOW), ({}, NOW + timedelta(days=1)), ({"webhook-id": ""}, NOW)):
        with pytest.raises(WebhookRefused) as raised:
            verify(BODY, {**headers, **fields}, SECRET, now)
        seen.append(raised.value)
    for error in seen:
        text = f"{error} {error!r} {error.__context__!r}"
        assert SECRET.removeprefix("whsec_") not in text
        assert "resp_" not in text


def test_one_is_taken_in_once_and_no_longer_than_it_would_be_believed() -> None:
    async def scenario() -> None:
        arrivals, webhook = ReplayGuard(), Webhook("wh_1", NOW)
        async with arrivals.once(webhook, NOW):
            pass
        with pytest.raises(WebhookReplayed, match="'wh_1' was processed already"):
            async with arrivals.once(webhook, NOW + timedelta(minutes=5)):
                pytest.fail("taken in twice")
        async with arrivals.once(Webhook("wh_2", NOW), NOW + timedelta(minutes=11)):
            pass
        # The first would be refused for its age by now, and need not be remembered.
        assert list(arrivals._processed) == ["wh_2"]

    asyncio.run(scenario())


@pytest.mark.parametrize("fails", [False, True])
def test_the_same_at_once_waits_for_what_comes_of_the_first(fails: bool) -> None:
    async def scenario() -> list[str]:
        arrivals, webhook, going = ReplayGuard(), Webhook("wh_1", NOW), asyncio.Event()
        told: list[str] = []

        async def deliver(name: str, error: Exception | None) -> None:
            try:
                async with arrivals.once(webhook, NOW):
                    await going.wait()
                    told.append(name)
                    if error is not None:
                        raise error
            except WebhookReplayed:
                told.append(f"{name} refused")
            except ValueError:
                told.append(f"{name} failed")

        first = asyncio.create_task(deliver("first", ValueError("down") if fails else None))
        second = asyncio.create_task(deliver("second", None))
        for _ in range(5):
            await asyncio.sleep(0)
        assert told == []
        going.set()
        await asyncio.gather(first, second)
        return told

    expected = ["first", "first failed", "second"] if fails else ["first", "second refused"]
    assert asyncio.run(scenario()) == expected


def test_a_hint_is_about_a_response_or_a_run() -> None:
    hint = hint_in({"type": "response.completed", "data": {"id": "resp_1"}})
    assert hint == ("response", "resp_1", None, "actionable")
    hint = hint_in({"type": "thread.run.created", "data": {"id": "r", "thread_id": "t"}})
    assert hint == ("thread.run", "r", "t", "seen")
    for what, until in (("completed", "ended"), ("requires_action", "actionable")):
        hint = hint_in({"type": f"thread.run.{what}", "data": {"id": "r"}})
        assert hint == ("thread.run", "r", None, until)
    for other in (
        {"type": "eval.run.succeeded", "data": {"id": "evalrun_1"}},
        {"type": "response.completed", "data": {"id": 5}},
        {"type": "response.completed", "data": ["resp_1"]},
        {"type": "response.output_text.done", "data": {"id": "resp_1"}},
        {"type": 7, "data": {"id": "resp_1"}},
        {},
    ):
        assert hint_in(other) is None
