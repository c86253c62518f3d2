"""Mapping of unsuccessful responses to errors and their messages.

Follows the responses of OpenAI, Azure and their look-alikes; `x-should-retry` is OpenAI's.
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
from tracker.sources.answer import reset_hint, wait_hint
from tracker.sources.documents import decode
from tracker.sources.http.api_keys import Secrets

# The advice about a POST whose outcome is not known: to send it again may begin, and cost, twice.
MAY_HAVE_HAPPENED = (
    "The service may have done it all the same: look for what it began before you send it again."
)
_LONGEST_QUOTE = 300

_NO_QUOTA = {"insufficient_quota", "billing_hard_limit_reached", "arrearage"}
# Messages of frameworks and gateways for an unknown address: no run was looked up.
_NO_SUCH_ADDRESS = {"", "not found", "page not found", "404 page not found", "resource not found"}
_NO_SUCH_ADDRESS_PREFIXES = ("invalid url", "unknown request url")


class ServiceMessage(NamedTuple):
    """The message in the body of an unsuccessful response."""

    text: str
    # Its `code` and `type`, in lower case.
    codes: frozenset[str] = frozenset()
    # True if the API itself sent it, not a framework or gateway in front of it.
    is_from_api: bool = False


def map_error(
    request: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    secrets: Secrets,
) -> SourceError:
    """Returns the error of a response; its message has the request, the response and a cure.

    `headers` are in lower case. Services repeat the key that they refuse, so `secrets` are removed
    from their message.
    """
    sent = read_message(body)
    error_type, cure = _classify(status, sent)
    # A gateway gave up, or the service broke in the middle of it.
    is_uncertain = is_post(request) and (status == HTTPStatus.REQUEST_TIMEOUT or status >= 500)
    should_retry = headers.get("x-should-retry", "").lower()
    if should_retry == "true" and not issubclass(error_type, (PollAgain, Misconfigured)):
        error_type, cure = Busy, "The service asks to be asked again."
    # A rate limit ends by itself, whatever the header says about this one request.
    if should_retry == "false" and issubclass(error_type, (Busy, Unreachable)):
        error_type, cure = RequestRefused, "The service says that asking again will not help."
    elif is_uncertain:
        cure = "The service has a problem."
    if is_uncertain:
        cure = f"{cure} {MAY_HAVE_HAPPENED}"
    quoted = quote(sent.text, secrets)
    message = f"{request} was answered {_describe(status)}{quoted and f': {quoted}'}. {cure}"
    error: SourceError
    if issubclass(error_type, PollAgain):
        wait = wait_hint(headers, now)
        if wait is None and error_type is RateLimited:
            wait = reset_hint(headers, now)
        error = error_type(message, retry_after=wait)
    else:
        error = error_type(message)
    error.may_have_happened, error.status = is_uncertain, status
    return error


def is_post(request: str) -> bool:
    """True if a request, named by its method and path, is one that begins or changes something."""
    return request.startswith("POST ")


def quote(text: str, secrets: Secrets) -> str:
    """Returns at most 300 characters of a service's text, on one line and without secrets."""
    # Before cutting, so that no half of a secret stays; and again, for one that had a line break.
    shown = secrets.scrub(text)
    shown = secrets.scrub("".join(char if char.isprintable() else " " for char in shown))
    shown = " ".join(shown.split()).rstrip(".")
    return shown if len(shown) <= _LONGEST_QUOTE else f"{shown[:_LONGEST_QUOTE]}…"


def read_message(body: bytes) -> ServiceMessage:
    """Returns the message in the body of an error, or the body itself if it has none."""
    try:
        document = decode(body)
    except PayloadError:
        return ServiceMessage(body.decode("utf-8", "replace"))
    error = document.get("error")
    content = error if isinstance(error, dict) else document
    text = next((value for value in _messages(content, error) if isinstance(value, str)), "")
    codes = (content.get(name) for name in ("code", "type"))
    return ServiceMessage(
        text,
        frozenset(code.lower() for code in codes if isinstance(code, str)),
        not _is_about_the_address(text.strip(" .").lower()),
    )


def _is_about_the_address(text: str) -> bool:
    return text in _NO_SUCH_ADDRESS or text.startswith(_NO_SUCH_ADDRESS_PREFIXES)


def _messages(content: Mapping[str, Any], error: object) -> tuple[object, ...]:
    return content.get("message"), error, content.get("detail"), content.get("code")


def _classify(status: int, sent: ServiceMessage) -> tuple[type[SourceError], str]:
    if sent.codes & _NO_QUOTA or status == HTTPStatus.PAYMENT_REQUIRED:
        return KeyRefused, "Check the plan and the quota of the key."
    match status:
        case 401:
            return KeyRefused, "Check api_key."
        case 403:
            return KeyRefused, "Check what api_key may do, and any gateway in between."
        case 429:
            return RateLimited, "Ask less often, or later."
        case 404 | 410 if "deploymentnotfound" in sent.codes:
            return Misconfigured, "Check base_url, which names the deployment."
        case 404 | 410 if "model_not_found" in sent.codes:
            return RequestRefused, "Change the model."
        case 404 | 410 if sent.is_from_api:
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
            return UnusableAnswer, "Only 200 to 299 bring an answer: ask again."


def _describe(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
