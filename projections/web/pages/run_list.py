"""The list of runs: filters, an order, and pages by cursor."""

from __future__ import annotations

from typing import Any, NamedTuple

from projections.web import page_queries
from projections.web.page import Page
from projections.web.page_queries import RunFilter, cursor_of, decode_cursor
from projections.web.pages.overview import RunLine, make_lines
from projections.web.words import OUTCOMES, STATUS_WORDS
from tracker.errors import SettingsError, UnknownRun

ROWS = 50
# Each order with the word for it; the key is that of URLs.
ORDERS = {
    "began": ("created_at", "the newest first"),
    "time": ("total_seconds", "the slowest first"),
    "dollars": ("cost", "the dearest first"),
}
_OPEN_STATUSES = tuple(it for it in STATUS_WORDS if it not in OUTCOMES)


class AppliedFilter(NamedTuple):
    """A filter that is in use, in words, and the URL without it."""

    text: str
    url: str | None


def find_place(page: Page) -> str | None:
    """Returns the URL of the run or thread whose id was typed in; None if there is none."""
    wanted = (page.params.get("q") or "").strip()
    if not wanted:
        return None
    try:
        return page.run_url(page.answers.run(wanted, page.params.get("source") or None))
    except (UnknownRun, SettingsError):
        found = page.answers.runs(thread_id=wanted, limit=1)
        return page.thread_url(found[0].source, wanted) if found else None


def gather(page: Page) -> dict[str, Any]:
    """Returns the values of the page."""
    sort = page.params.get("sort") or "began"
    if sort not in ORDERS:
        raise SettingsError(f"{sort!r} is no order of runs: {', '.join(ORDERS)}")
    order, words = ORDERS[sort]
    since = page.params.get("since") or "7d"
    wanted = _read_filter(page, since)
    cursor = page.params.get("cursor")
    after = decode_cursor(cursor) if cursor else None

    def read() -> tuple[list[RunLine], str | None]:
        with page.answers.connect() as connection:
            found = page_queries.list_runs(connection, wanted, order, after, ROWS + 1)
        more = None
        if found[ROWS:]:
            more = page.here(cursor=cursor_of(found[ROWS - 1], order).encode())
        return make_lines(page, found[:ROWS]), more

    with page.answers.connect() as connection:
        values = page_queries.list_values(connection)
    return {
        "list": page.try_panel(read),
        "values": values,
        "since": since,
        "sort": sort,
        "order_words": words,
        "orders": {name: page.here(sort=name, cursor=None) for name in ORDERS},
        "first_url": page.here(cursor=None) if cursor else None,
        "applied": _list_applied(page),
        "statuses": _OPEN_STATUSES,
        "outcomes": OUTCOMES,
        "unknown_id": (page.params.get("q") or "").strip() or None,
        "most_metadata": page_queries.MOST_METADATA if wanted.metadata else None,
    }


def _read_filter(page: Page, since: str) -> RunFilter:
    given = page.params
    until = given.get("until")
    return RunFilter(
        status=given.get("status") or None,
        outcome=given.get("outcome") or None,
        source=given.get("source") or None,
        assistant_id=given.get("assistant") or None,
        model=given.get("model") or None,
        thread_id=given.get("thread") or None,
        error_code=given.get("error") or None,
        metadata=_read_metadata(given.get("metadata")),
        since=page.time.parse(since),
        until=page.time.parse(until) if until else None,
    )


def _read_metadata(text: str | None) -> tuple[str, str] | None:
    if not text:
        return None
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise SettingsError(f"{text!r} is no metadata: write a key and its value, as team=finance")
    return key.strip(), value.strip()


def _list_applied(page: Page) -> list[AppliedFilter]:
    names = (
        *("status", "outcome", "source", "assistant", "model", "thread", "error"),
        *("metadata", "since", "until"),
    )
    return [
        AppliedFilter(f"{name} {page.params[name]}", page.here(**{name: None, "cursor": None}))
        for name in names
        if page.params.get(name)
    ]
