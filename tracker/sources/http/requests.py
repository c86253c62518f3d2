"""Asking for runs and steps by path, and checking that the answer is the one asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from tracker.errors import PayloadError, SettingsError, UnusableAnswer
from tracker.sources.answer import Answer
from tracker.sources.assistants.pages import RunPage, StepPage
from tracker.sources.documents import read
from tracker.sources.http.address import path_of
from tracker.sources.http.transport import PAGE_CAP, Query, Transport
from tracker.sources.wire import Answered

PageType = TypeVar("PageType", RunPage, StepPage)
Model = TypeVar("Model", bound=Answered)


async def ask_for(
    transport: Transport,
    method: str,
    path: str,
    expected: Mapping[str, str],
    document: Mapping[str, Any] | None = None,
    query: Query = (),
) -> tuple[Answer, dict[str, Any]]:
    """One answer whose ids and kind are `expected`; only `id` may not be missing from it.

    Raises what `Transport.ask` raises, and UnusableAnswer for another run, thread or kind.
    """
    answer, found = await transport.ask(method, path, document=document, query=query)
    check(f"{method} {path}", found, expected)
    return answer, found


async def ask_for_entries(
    transport: Transport, path: str, expected: Mapping[str, str], query: Query
) -> tuple[Answer, list[dict[str, Any]], str | None]:
    """The entries of one page of a list as they were sent; each has what is `expected`.

    With them comes the id to go on after, None where the list does not go on.

    Raises what `Transport.ask` raises, and UnusableAnswer for another list.
    """
    answer, found = await transport.ask("GET", path, cap=PAGE_CAP, query=query)
    if not isinstance(found.get("data"), list):
        raise UnusableAnswer(f"GET {path} brought no list: `data` is missing.")
    for sent in found["data"]:
        check(f"GET {path}", sent if isinstance(sent, dict) else {}, expected)
    data = found["data"]
    last = found.get("last_id") or (data[-1]["id"] if data else None)
    return answer, data, last if found.get("has_more") and isinstance(last, str) else None


async def ask_for_page(
    transport: Transport,
    path: str,
    page_type: type[PageType],
    expected: Mapping[str, str],
    query: Query,
) -> PageType:
    """One page of a list, ready to turn; each of its items has what is `expected`.

    Raises what `Transport.ask` raises, and UnusableAnswer for another list.
    """
    answer, found = await transport.ask("GET", path, cap=PAGE_CAP, query=query)
    page = page_of(page_type, answer, found, f"GET {path}", expected)

    async def turn(direction: str, cursor: str) -> PageType:
        others: Query = [(name, value) for name, value in query if name != direction]
        return await ask_for_page(
            transport, path, page_type, expected, [*others, (direction, cursor)]
        )

    given = {name for name, _ in query}
    page._turn = turn
    page._backwards = "before" in given and "after" not in given
    return page


def page_of(
    page_type: type[PageType],
    answer: Answer,
    found: dict[str, Any],
    asked: str,
    expected: Mapping[str, str],
) -> PageType:
    """A document as a page, each of whose items knows its answer. Raises UnusableAnswer."""
    if not isinstance(found.get("data"), list):
        raise UnusableAnswer(f"{asked} brought no list: `data` is missing.")
    for sent in found["data"]:
        _check(asked, sent if isinstance(sent, dict) else {}, expected)
    page = answered(page_type, answer, found, asked)
    for item, sent in zip(page.data, found["data"], strict=True):
        item._answer, item._body = answer, sent
    return page


def answered(model: type[Model], answer: Answer, document: dict[str, Any], asked: str) -> Model:
    """A document as a model that knows its answer. Raises UnusableAnswer where it is not one."""
    try:
        known = read(model, document, "what was asked for")
    except PayloadError as error:
        why = str(error)
    else:
        known._answer, known._body = answer, document
        return known
    raise UnusableAnswer(f"{asked} brought an answer of no use, {why}.")


def page_query(
    *, after: str | None, before: str | None, limit: int | None, order: str | None
) -> list[tuple[str, str]]:
    """The query of a list; what is None is left to the service."""
    given = {"after": after, "before": before, "limit": limit, "order": order}
    return [(name, str(value)) for name, value in given.items() if value is not None]


def without_stream(document: dict[str, Any]) -> dict[str, Any]:
    """The same document. Raises SettingsError where it asks for a stream of events."""
    if document.get("stream"):
        raise SettingsError(
            "stream is not offered: leave it out, and watch the run; or create it with the "
            "service's own client, and read its stream through tracker.observing(…)"
        )
    return document


def runs_path(thread_id: str, *more: str) -> str:
    """The path of a thread's runs, of one of them, or below it. Raises SettingsError."""
    return path_of("threads", thread_id, "runs", *more)


def check(asked: str, found: Mapping[str, Any], expected: Mapping[str, str]) -> None:
    """Raises UnusableAnswer unless `found` has an id, and nothing but what is `expected`."""
    if not isinstance(found.get("id"), str) or not found["id"]:
        raise UnusableAnswer(f"{asked} brought an object without an id.")
    _check(asked, found, expected)


def _check(asked: str, found: Mapping[str, Any], expected: Mapping[str, str]) -> None:
    for name, value in expected.items():
        if found.get(name) not in (value, None):
            # What came instead is not repeated: it may be anything, a key too.
            raise UnusableAnswer(f"{asked} brought another {name} than {value!r}.")
