"""Requests for runs and steps by path, whose answers are checked to be those asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from tracker.errors import SettingsError, UnusableAnswer
from tracker.sources.answer import Answer
from tracker.sources.http.address import path_of
from tracker.sources.http.error_mapping import MAY_HAVE_HAPPENED
from tracker.sources.http.pages import PageType, read_page
from tracker.sources.http.transport import PAGE_CAP, Query, Transport
from tracker.sources.wire import check_entity, entries_in, goes_on, keep_fitting

logger = logging.getLogger("runfold.sources")


@contextmanager
def admit_outcome(method: str) -> Iterator[None]:
    """Adds to an UnusableAnswer about a POST that the service may have done it all the same."""
    try:
        yield
    except UnusableAnswer as error:
        if method != "POST" or error.may_have_happened:
            raise
        admitted = UnusableAnswer(f"{error} {MAY_HAVE_HAPPENED}", retry_after=error.retry_after)
        admitted.may_have_happened = True
        raise admitted from None


async def ask_for(
    transport: Transport,
    method: str,
    path: str,
    expected: Mapping[str, str],
    document: Mapping[str, Any] | None = None,
    query: Query = (),
) -> tuple[Answer, dict[str, Any]]:
    """Returns an answer and its object, which has an id and the `expected` fields.

    Of these fields all but the id may be missing. Raises what `Transport.ask` raises, and
    UnusableAnswer for another run, thread or type of object.
    """
    answer, found = await transport.ask(method, path, document=document, query=query)
    check_entity(f"{method} {path}", found, expected)
    return answer, found


async def ask_for_entries(
    transport: Transport,
    path: str,
    expected: Mapping[str, str],
    query: Query,
    *,
    keeps_others: bool = False,
) -> tuple[Answer, list[dict[str, Any]], str | None]:
    """Returns one page of a list: the answer, its entries as sent, and the id to go on after.

    Entries that are not as `expected` are left out unless `keeps_others`, so that each costs only
    itself. The id is None on the last page. Raises what `Transport.ask` raises, and
    UnusableAnswer for a list of nothing but something else.
    """
    request = f"GET {path}"
    answer, found = await transport.ask("GET", path, cap=PAGE_CAP, query=query, is_page=True)
    entries = entries_in(request, found)
    fitting, refusal = keep_fitting(entries, lambda entry: check_entity(request, entry, expected))
    if refusal is not None and not keeps_others:
        warn_once(str(refusal))
    last = found.get("last_id") or (fitting[-1]["id"] if fitting else None)
    after = last if goes_on(found) and isinstance(last, str) else None
    return answer, entries if keeps_others else fitting, after


@lru_cache(maxsize=1000)
def warn_once(problem: str) -> None:
    """Logs, once, that an entry of a list is left out."""
    # A page is requested again and again.
    logger.warning("an entry of a list is left out: %s", problem)


async def ask_for_page(
    transport: Transport,
    path: str,
    page_type: type[PageType],
    expected: Mapping[str, str],
    query: Query,
) -> PageType:
    """Returns one page of a list, which fetches the pages after it.

    Raises what `Transport.ask` raises, and UnusableAnswer for a list of something else than
    `expected`.
    """

    async def fetch(direction: str, cursor: str) -> PageType:
        others: Query = [(name, value) for name, value in query if name != direction]
        return await ask_for_page(
            transport, path, page_type, expected, [*others, (direction, cursor)]
        )

    answer, found = await transport.ask("GET", path, cap=PAGE_CAP, query=query, is_page=True)
    given = {name for name, _ in query}
    return read_page(
        page_type,
        answer,
        found,
        f"GET {path}",
        expected,
        fetch=fetch,
        is_backwards="before" in given and "after" not in given,
    )


def page_query(
    *, after: str | None, before: str | None, limit: int | None, order: str | None
) -> list[tuple[str, str]]:
    """Returns the query of a list; a parameter that is None is left to the service."""
    given = {"after": after, "before": before, "limit": limit, "order": order}
    return [(name, str(value)) for name, value in given.items() if value is not None]


def without_stream(document: dict[str, Any]) -> dict[str, Any]:
    """Returns the same document. Raises SettingsError if it asks for a stream of events."""
    if document.get("stream"):
        raise SettingsError(
            "stream is not offered: leave it out, and watch the run; or create it with the "
            "service's own client, and read its stream through tracker.observing(…)"
        )
    return document


def runs_path(thread_id: str, *more: str) -> str:
    """Returns the path of a thread's runs, of one run, or below it. Raises SettingsError."""
    return path_of("threads", thread_id, "runs", *more)
