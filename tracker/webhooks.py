"""Signing and verification of webhooks by the Standard Webhooks specification.

Its own library reads the clock of the machine, and raises unrelated errors on malformed headers;
all it does is an HMAC.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tracker.errors import SettingsError, WebhookRefused, WebhookReplayed

__all__ = ["sign"]

TOLERANCE = timedelta(minutes=5)
# A webhook may be ahead of our clock by as much as it may be late.
_REMEMBERED = 2 * TOLERANCE
_PREFIX = "whsec_"
_VERSION = "v1,"
# Of the headers; Svix, from which the specification comes, writes its own name before them.
_NAMES = ("webhook-id", "webhook-timestamp", "webhook-signature")
# The headers of a request: a mapping, a WSGI environ, or the pairs of an ASGI scope.
Headers = Mapping[str, Any] | Iterable[tuple[Any, Any]]
# A secret as the service shows it (`whsec_…`), or the bytes that it stands for.
Secret = str | bytes
# Reached in the year 5138: more digits are not a time in seconds.
_LONGEST_TIMESTAMP = 11


class Webhook(NamedTuple):
    """A verified webhook.

    `ReplayGuard` knows repetitions by the id, so a scheme without one needs a substitute.
    """

    id: str
    sent_at: datetime


def verify(
    body: bytes, headers: Headers, secret: Secret | Sequence[Secret], now: datetime
) -> Webhook:
    """Verifies that a webhook is recent, and signed with `secret` or one of several secrets.

    `body` has to be the bytes as received. Raises WebhookRefused for a forged or old webhook,
    SettingsError for an invalid secret; no message contains the secret or the body.
    """
    secrets = [secret] if isinstance(secret, str | bytes) else secret
    keys = [_parse_secret(each) for each in secrets]
    if not keys:
        raise SettingsError("no webhook secret was given, to verify webhooks with")
    given = _read_headers(headers)
    missing = [name for name in _NAMES if not given.get(name)]
    if missing:
        raise WebhookRefused(
            f"the webhook has no header {', '.join(missing)}: pass all headers of the request; "
            "a request without them is not from the service"
        )
    webhook_id, timestamp, signatures = (given[name] for name in _NAMES)
    sent_at = _check_timestamp(timestamp, now)
    expected = [_sign(key, webhook_id, timestamp, body).encode() for key in keys]
    found = [_encode(each) for each in signatures.split() if each.startswith(_VERSION)]
    # All are compared, so that the time taken reveals nothing.
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in found]
    if not any(matches):
        why = "no signature of version v1" if not found else "a signature that does not fit"
        raise WebhookRefused(
            f"the webhook has {why}: it is forged, or the secret is another endpoint's, or the "
            "body is not the bytes as received (JSON that was decoded and encoded is not)"
        )
    return Webhook(webhook_id, sent_at)


def sign(body: bytes, secret: Secret, webhook_id: str, sent_at: datetime) -> dict[str, str]:
    """Returns the headers with which a service sends `body`; for tests of a receiver.

    Raises SettingsError for an invalid secret.
    """
    timestamp = str(int(sent_at.timestamp()))
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": _sign(_parse_secret(secret), webhook_id, timestamp, body),
    }


class ReplayGuard:
    """Remembers processed webhooks for as long as they would pass verification.

    Belongs to one event loop.
    """

    def __init__(self) -> None:
        self._processed: dict[str, datetime] = {}
        self._in_progress: dict[str, asyncio.Event] = {}

    @asynccontextmanager
    async def once(self, webhook: Webhook, now: datetime) -> AsyncIterator[None]:
        """Processes a webhook within the context at most once; after an error it may come again.

        Waits if the same webhook is being processed. Raises WebhookReplayed.
        """
        while (other := self._in_progress.get(webhook.id)) is not None:
            await other.wait()
        while (
            self._processed
            and now - self._processed[oldest := next(iter(self._processed))] > _REMEMBERED
        ):
            del self._processed[oldest]
        if webhook.id in self._processed:
            raise WebhookReplayed(
                f"the webhook {webhook.id[:80]!r} was processed already: nothing is left to do, "
                "so answer it as a success, or it is sent again"
            )
        done = self._in_progress[webhook.id] = asyncio.Event()
        try:
            yield
            self._processed[webhook.id] = now
        finally:
            del self._in_progress[webhook.id]
            done.set()


def _read_headers(headers: Headers) -> dict[str, str]:
    """Returns the headers of a webhook by their names, as far as they are there."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    found: dict[str, str] = {}
    for name, value in pairs:
        # A WSGI environ has other things too, and its headers as HTTP_WEBHOOK_ID.
        if isinstance(name, str | bytes) and isinstance(value, str | bytes):
            plain = _as_text(name).lower().replace("_", "-").removeprefix("http-")
            found.setdefault(plain, _as_text(value))
    return {
        name: found.get(name) or found.get(name.replace("webhook-", "svix-"), "") for name in _NAMES
    }


def _as_text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _check_timestamp(timestamp: str, now: datetime) -> datetime:
    is_number = timestamp.isascii() and timestamp.isdecimal()
    if not is_number or len(timestamp) > _LONGEST_TIMESTAMP:
        raise WebhookRefused("the header webhook-timestamp is not a time in unix seconds")
    sent_at = datetime.fromtimestamp(int(timestamp), UTC)
    if abs(now - sent_at) > TOLERANCE:
        seconds = abs(now - sent_at).total_seconds()
        when = "old" if sent_at < now else "ahead of our clock"
        raise WebhookRefused(
            f"the webhook is {seconds:.0f} s {when}, and {TOLERANCE.total_seconds():.0f} s are "
            "allowed: it is an old one sent again, or this machine's clock is wrong"
        )
    return sent_at


def _sign(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> str:
    signed = _encode(f"{webhook_id}.{timestamp}.") + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return _VERSION + base64.b64encode(digest).decode()


def _encode(text: str) -> bytes:
    # A header may hold surrogates, for bytes that were not text.
    return text.encode("utf-8", "replace")


def _parse_secret(secret: Secret) -> bytes:
    key = b""
    # A secret that was read from a file ends with a line break.
    text = _as_text(secret).strip()
    if text.startswith(_PREFIX):
        with suppress(ValueError):
            key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    elif isinstance(secret, bytes):
        key = secret
    if not key:
        # Not raised within the block above: the decoded secret would be context of the error.
        raise SettingsError(
            "a webhook secret is 'whsec_' and base64, as the service shows it for the endpoint; "
            "the given one is not"
        )
    return key
