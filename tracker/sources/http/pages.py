"""Pages of a list, each of which fetches the one after it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Generic, Self, TypeVar

from pydantic import PrivateAttr

from tracker.errors import UnusableAnswer
from tracker.sources.answer import Answer
from tracker.sources.wire import (
    Answered,
    Entity,
    attach_answer,
    check_fields,
    entries_in,
    keep_fitting,
    read_answer,
)

Item = TypeVar("Item", bound=Entity)
PageType = TypeVar("PageType", bound="Page[Any]")
# Called with "after" or "before" and the id from which the list goes on.
FetchPage = Callable[[str, str], Awaitable[PageType]]


class Page(Answered, Generic[Item]):
    """Part of a list: `data`, the ids at its ends, and whether there are more.

    `async for` gives the items of this page and then of the following pages; each page is
    fetched when it is reached. A page that was asked for with `before` and without `after` is
    followed by earlier ones.
    """

    object: str | None = None
    data: list[Item]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool | None = None

    _fetch: FetchPage[Any] | None = PrivateAttr(default=None)
    _is_backwards: bool = PrivateAttr(default=False)

    def on_next_page(self, callback: Callable[[Self], Awaitable[None]]) -> None:
        """Calls `callback` with each following page, before the page is returned."""
        fetch = self._fetch
        if fetch is None:
            return

        async def fetch_and_call(direction: str, cursor: str) -> Self:
            page: Self = await fetch(direction, cursor)
            await callback(page)
            page.on_next_page(callback)
            return page

        self._fetch = fetch_and_call

    async def next_page(self) -> Self | None:
        """Returns the page that follows, None after the last one. Raises SourceError.

        UnusableAnswer if the service says that there are more and gives no id to go on from.
        """
        if not self.has_more or self._fetch is None:
            return None
        cursor = self._cursor
        if cursor is None:
            raise UnusableAnswer("the service says that a list goes on, but not from where")
        page: Self = await self._fetch("before" if self._is_backwards else "after", cursor)
        return page

    async def __aiter__(self) -> AsyncIterator[Item]:
        """Yields the items of this page and of all that follow. Raises SourceError.

        UnusableAnswer if the service repeats items, and would do so without end.
        """
        page: Page[Item] | None = self
        cursors: set[str | None] = set()
        previous: set[str] = set()
        while page is not None:
            fresh = [item for item in page.data if item.id not in previous]
            for item in fresh:
                yield item
            goes_on = page.has_more and page._fetch is not None
            if goes_on and (page._cursor in cursors or (page.data and not fresh)):
                raise UnusableAnswer(
                    f"the service gives the same part of a list again, after {page._cursor!r}"
                )
            cursors.add(page._cursor)
            previous = {item.id for item in page.data}
            page = await page.next_page()

    @property
    def _cursor(self) -> str | None:
        if self._is_backwards:
            return self.first_id or (self.data[0].id if self.data else None)
        return self.last_id or (self.data[-1].id if self.data else None)


def read_page(
    page_type: type[PageType],
    answer: Answer,
    body: dict[str, Any],
    request: str,
    expected: Mapping[str, str],
    *,
    fetch: FetchPage[PageType] | None = None,
    is_backwards: bool = False,
) -> PageType:
    """Returns the body of an answer as a page, each of whose items knows its answer.

    `fetch` gets the page that follows; without it, this page is the last one. Items without an
    id or a status, or with other fields than `expected`, are only in `body` of the page. Raises
    UnusableAnswer for something else than a list, and for one of nothing but such items.
    """
    entries = entries_in(request, body)
    fitting, _ = keep_fitting(entries, lambda item: _check_item(request, item, expected))
    page = read_answer(page_type, answer, {**body, "data": fitting}, request)
    attach_answer(page, answer, body)
    for item, sent in zip(page.data, fitting, strict=True):
        attach_answer(item, answer, sent)
    page._fetch, page._is_backwards = fetch, is_backwards
    return page


def _check_item(request: str, item: Mapping[str, Any], expected: Mapping[str, str]) -> None:
    check_fields(request, item, expected)
    if not all(isinstance(item.get(name), str) for name in ("id", "status")):
        raise UnusableAnswer(f"{request} brought an object without an id or a status.")
