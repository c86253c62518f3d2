"""What an answer that is no success means: which error, and its message.

The kinds follow what OpenAI, Azure and their look-alikes send; `x-should-retry` is OpenAI's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple

from tracker.errors import (
    Busy,
    KeyRefused,
    Misconfigured,
    NotFound,
    PayloadError,
    PollAgain,
    RateLimited,
    RequestRefused,
    SourceError,
    Unreachable,
    UnusableAnswer,
)
from tracker.sources.answer import wait_hint
from tracker.sources.documents import decode
from tracker.sources.http.api_keys import Secrets

_LONGEST_WORDS = 300

_NO_QUOTA = {"insufficient_quota", "billing_hard_limit_reached", "arrearage"}
# What frameworks and gateways say of an address that they do not know: no run was looked for.
_NO_SUCH_ADDRESS = {"", "not found", "page not found", "404 page not found", "resource not found"}
_NO_SUCH_ADDRESS_FOLLOWED_BY_IT = ("invalid url", "unknown request url")


class Words(NamedTuple):
    """What a service itself said: `own` where it is an error of the API and not of a page."""

    text: str
    codes: frozenset[str] = frozenset()
    own: bool = False


def refusal(
    asked: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    secrets: Secrets,
) -> SourceError:
    """The error for an answer with `status`; the message says what was asked, came and cures it.

    `headers` are in lower case. Services repeat the key that they refuse, so `secrets` are taken
    out of what they say.
    """
    said = words(body)
    kind, cure = _kind(status, said)
    verdict = headers.get("x-should-retry", "").lower()
    if verdict == "true" and not issubclass(kind, (PollAgain, Misconfigured)):
        kind, cure = Busy, "The service asks to be asked again."
    # A rate limit ends by itself, whatever is said about this one request.
    if verdict == "false" and issubclass(kind, (Busy, Unreachable)):
        kind, cure = RequestRefused, "The service says that asking again will not help."
    quoted = quote(said.text, secrets)
    message = f"{asked} was answered {_named(status)}{quoted and f': {quoted}'}. {cure}"
    if issubclass(kind, PollAgain):
        return kind(message, retry_after=wait_hint(headers, now))
    return kind(message)


def quote(text: str, secrets: Secrets) -> str:
    """What a service said, on one line, without secrets, at most 300 characters of it."""
    # Before cutting, lest a half of a secret stays; and again, for one that had a gap.
    shown = secrets.scrub(text)
    shown = secrets.scrub("".join(char if char.isprintable() else " " for char in shown))
    shown = " ".join(shown.split()).rstrip(".")
    return shown if len(shown) <= _LONGEST_WORDS else f"{shown[:_LONGEST_WORDS]}…"


def words(body: bytes) -> Words:
    """The service's own message in an error's body, or the beginning of whatever came instead."""
    try:
        document = decode(body)
    except PayloadError:
        return Words(body.decode("utf-8", "replace"))
    error = document.get("error")
    content = error if isinstance(error, dict) else document
    text = next((value for value in _messages(content, error) if isinstance(value, str)), "")
    codes = (content.get(name) for name in ("code", "type"))
    return Words(
        text,
        frozenset(code.lower() for code in codes if isinstance(code, str)),
        not _is_about_the_address(text.strip(" .").lower()),
    )


def _is_about_the_address(text: str) -> bool:
    return text in _NO_SUCH_ADDRESS or text.startswith(_NO_SUCH_ADDRESS_FOLLOWED_BY_IT)


def _messages(content: Mapping[str, Any], error: object) -> tuple[object, ...]:
    return content.get("message"), error, content.get("detail"), content.get("code")


def _kind(status: int, said: Words) -> tuple[type[SourceError], str]:
    if said.codes & _NO_QUOTA or status == HTTPStatus.PAYMENT_REQUIRED:
        return KeyRefused, "Check the plan and the quota of the key."
    match status:
        case 401:
            return KeyRefused, "Check api_key."
        case 403:
            return KeyRefused, "Check what api_key may do, and what stands between."
        case 429:
            return RateLimited, "Ask less often, or later."
        case 404 | 410 if "deploymentnotfound" in said.codes:
            return Misconfigured, "Check base_url, which names the deployment."
        case 404 | 410 if "model_not_found" in said.codes:
            return RequestRefused, "Change the model."
        case 404 | 410 if said.own:
            return NotFound, "Check the ids, and that the key belongs to their project."
        case 404 | 405 | 407 | 410:
            return Misconfigured, "Check that base_url leads to this API, with its /v1 or the like."
        case 408 | 409 | 423 | 425:
            return Busy, "Ask again."
        case _ if 300 <= status < 400:
            return Misconfigured, "Redirects are not followed: set base_url to where it leads."
        case _ if status >= 500:
            return Unreachable, "The service has a problem: ask again later."
        case _ if status >= 400:
            return RequestRefused, "Change the request."
        case _:
            return UnusableAnswer, "Only 200 and 201 bring an answer: ask again."


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
