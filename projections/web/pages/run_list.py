"""The list of runs: filters, an order, and pages by cursor."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from projections.queries.filters import RunFilters
from projections.queries.run_cursor import Order
from projections.web import page_queries
from projections.web.page import Page
from projections.web.pages.ranked_runs import RunLine, make_lines
from projections.web.words import OUTCOMES, STATUS_WORDS
from tracker.errors import SettingsError, UnknownRun

ROWS = 50
# Each order as URLs have it, as the views name it, and in words.
ORDERS: dict[str, tuple[Order, str]] = {
    "began": ("newest", "the newest first"),
    "time": ("slowest", "the slowest first"),
    "tokens": ("most_tokens", "those of most tokens first"),
    "dollars": ("dearest", "the dearest first"),
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
    wanted = _read_filters(page)
    limits = _read_limits(page, since)

    def read() -> tuple[list[RunLine], str | None, str | None]:
        cursor = page.params.get("cursor") or None
        found = page.answers.runs(order=order, cursor=cursor, limit=ROWS, **limits, **wanted)
        more = page.here(cursor=found.next_cursor) if found.next_cursor else None
        return make_lines(page, found), more, found.note

    with page.answers.connect() as connection:
        values = page_queries.list_values(connection)
    return {
        "list": page.try_panel(read),
        "values": values,
        "since": since,
        "sort": sort,
        "order_words": words,
        "orders": {name: page.here(sort=name, cursor=None) for name in ORDERS},
        "first_url": page.here(cursor=None) if page.params.get("cursor") else None,
        "applied": _list_applied(page),
        "statuses": _OPEN_STATUSES,
        "outcomes": OUTCOMES,
        "unknown_id": (page.params.get("q") or "").strip() or None,
    }


def _read_filters(page: Page) -> RunFilters:
    given = page.params
    filters: dict[str, Any] = {
        name: given[key]
        for key, name in (
            *(("status", "status"), ("outcome", "outcome"), ("source", "source")),
            *(("assistant", "assistant_id"), ("model", "model"), ("thread", "thread_id")),
            ("error", "error_code"),
        )
        if given.get(key)
    }
    metadata = _read_metadata(given.get("metadata"))
    return cast("RunFilters", {**filters, **({"metadata": metadata} if metadata else {})})


def _read_limits(page: Page, since: str) -> dict[str, Any]:
    until = page.params.get("until")
    return {
        "since": page.time.parse(since),
        "until": page.time.parse(until) if until else None,
    }


def _read_metadata(text: str | None) -> dict[str, str] | None:
    if not text:
        return None
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise SettingsError(f"{text!r} is no metadata: write a key and its value, as team=finance")
    return {key.strip(): value.strip()}


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
