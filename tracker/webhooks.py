"""Webhooks as Standard Webhooks signs them: whether one is to be believed, and only once.

The library of that name reads the machine's clock, and fails with other errors than its own on
headers that are none; the whole of what it does is an HMAC.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from tracker.errors import SettingsError, WebhookRefused, WebhookReplayed

__all__ = ["sign"]

TOLERANCE = timedelta(minutes=5)
# One may come that is ahead by as much as it may be late.
_REMEMBERED = 2 * TOLERANCE
_PREFIX = "whsec_"
_VERSION = "v1,"
# Of the year 5138: more digits are no time in seconds.
_LONGEST_TIMESTAMP = 11


class Webhook(NamedTuple):
    """One that is to be believed: its id, the same each time it is sent, and when it was sent."""

    id: str
    sent_at: datetime


def verify(
    body: bytes, headers: Mapping[str, str], secret: str | Sequence[str], now: datetime
) -> Webhook:
    """Believes a webhook that is signed with `secret`, or one of several, and is of now.

    `body` has to be the bytes as they came. Raises WebhookRefused where it is not to be believed,
    SettingsError for a secret that is none; no message has the secret or the body in it.
    """
    keys = [_key(each) for each in ([secret] if isinstance(secret, str) else secret)]
    if not keys:
        raise SettingsError("no webhook secret was given, by which to believe webhooks")
    given = {name.lower(): value for name, value in headers.items()}
    required = ("webhook-id", "webhook-timestamp", "webhook-signature")
    missing = [name for name in required if not given.get(name)]
    if missing:
        raise WebhookRefused(
            f"the webhook has no header {', '.join(missing)}: hand in all headers of the request; "
            "a request without them is not from the service"
        )
    webhook_id, timestamp, signatures = (given[name] for name in required)
    sent_at = _checked(timestamp, now)
    expected = [_signature(key, webhook_id, timestamp, body).encode() for key in keys]
    found = [_encoded(each) for each in signatures.split() if each.startswith(_VERSION)]
    # All are compared, so that the time it takes tells nothing.
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in found]
    if not any(matches):
        why = "no signature of version v1" if not found else "a signature that does not fit"
        raise WebhookRefused(
            f"the webhook has {why}: it is forged, or the secret is another endpoint's, or the "
            "body is not the bytes as they came (JSON that was decoded and encoded is not)"
        )
    return Webhook(webhook_id, sent_at)


def sign(body: bytes, secret: str, webhook_id: str, sent_at: datetime) -> dict[str, str]:
    """The headers with which a service sends `body`; for tests of who receives it.

    Raises SettingsError for a secret that is none.
    """
    timestamp = str(int(sent_at.timestamp()))
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": _signature(_key(secret), webhook_id, timestamp, body),
    }


class ReplayGuard:
    """Which webhooks were taken in, for as long as they would be believed. Of one event loop."""

    def __init__(self) -> None:
        self._taken: dict[str, datetime] = {}
        self._under_way: dict[str, asyncio.Event] = {}

    @asynccontextmanager
    async def once(self, webhook: Webhook, now: datetime) -> AsyncIterator[None]:
        """Lets a webhook be taken in, once; one that failed may come again.

        Where the same is being taken in, it waits for what comes of that. Raises WebhookReplayed.
        """
        while (other := self._under_way.get(webhook.id)) is not None:
            await other.wait()
        while self._taken and now - self._taken[oldest := next(iter(self._taken))] > _REMEMBERED:
            del self._taken[oldest]
        if webhook.id in self._taken:
            raise WebhookReplayed(
                f"the webhook {webhook.id[:80]!r} was taken in already: nothing is left to be "
                "done, so answer it as a success, lest it be sent again"
            )
        done = self._under_way[webhook.id] = asyncio.Event()
        try:
            yield
            self._taken[webhook.id] = now
        finally:
            del self._under_way[webhook.id]
            done.set()


def _checked(timestamp: str, now: datetime) -> datetime:
    digits = timestamp.isascii() and timestamp.isdecimal()
    if not digits or len(timestamp) > _LONGEST_TIMESTAMP:
        raise WebhookRefused("the header webhook-timestamp is not a time in unix seconds")
    sent_at = datetime.fromtimestamp(int(timestamp), UTC)
    if abs(now - sent_at) > TOLERANCE:
        seconds = abs(now - sent_at).total_seconds()
        when = "old" if sent_at < now else "ahead of our clock"
        raise WebhookRefused(
            f"the webhook is {seconds:.0f} s {when}, and {TOLERANCE.total_seconds():.0f} s are let "
            "through: it is an old one sent again, or this machine's clock is wrong"
        )
    return sent_at


def _signature(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> str:
    signed = _encoded(f"{webhook_id}.{timestamp}.") + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return _VERSION + base64.b64encode(digest).decode()


def _encoded(text: str) -> bytes:
    # A header may hold what came as no text at all.
    return text.encode("utf-8", "replace")


def _key(secret: str) -> bytes:
    key = b""
    if secret.startswith(_PREFIX):
        with suppress(ValueError):
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    if not key:
        # Raised out here, lest what was decoded be its context.
        raise SettingsError(
            "a webhook secret is 'whsec_' and base64, as the service shows it where the endpoint "
            "is made; what was given is not"
        )
    return key
