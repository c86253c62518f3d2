"""Pages of a list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, Self, TypeVar

from pydantic import Field, PrivateAttr

from tracker.errors import UnusableAnswer
from tracker.sources.assistants.models import Run, RunStep
from tracker.sources.wire import Answered

Item = TypeVar("Item", bound=Run | RunStep)


class Page(Answered, Generic[Item]):
    """Part of a list: `data`, the ids at its ends, and whether there are more.

    `async for` gives the items of this page and then of those that follow, asking for each page
    when it is reached. With `before` and no `after` it goes backwards.
    """

    object: str | None = None
    data: list[Item] = Field(default_factory=list)
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool | None = None

    _turn: Callable[[str, str], Awaitable[Any]] | None = PrivateAttr(default=None)
    _backwards: bool = PrivateAttr(default=False)

    def seen_by(self, look: Callable[[Self], Awaitable[None]]) -> Self:
        """This page, where `look` is called with each further page before it is given."""
        turn = self._turn
        if turn is None:
            return self

        async def turn_and_look(direction: str, cursor: str) -> Self:
            page: Self = await turn(direction, cursor)
            await look(page)
            return page.seen_by(look)

        self._turn = turn_and_look
        return self

    async def next_page(self) -> Self | None:
        """The page that follows, or None where there is none. Raises SourceError.

        UnusableAnswer where the service says that there are more and gives no place to go on.
        """
        if not self.has_more or self._turn is None:
            return None
        cursor = self._cursor
        if cursor is None:
            raise UnusableAnswer("the service says that a list goes on, but not from where")
        page: Self = await self._turn("before" if self._backwards else "after", cursor)
        return page

    async def __aiter__(self) -> AsyncIterator[Item]:
        """The items of this page and all that follow. Raises SourceError.

        UnusableAnswer where the service gives the same items again and would do so for ever.
        """
        page: Page[Item] | None = self
        cursors: set[str | None] = set()
        previous: set[str] = set()
        while page is not None:
            fresh = [item for item in page.data if item.id not in previous]
            for item in fresh:
                yield item
            going_on = page.has_more and page._turn is not None
            if going_on and (page._cursor in cursors or (page.data and not fresh)):
                raise UnusableAnswer(
                    f"the service gives the same part of a list again, after {page._cursor!r}"
                )
            cursors.add(page._cursor)
            previous = {item.id for item in page.data}
            page = await page.next_page()

    @property
    def _cursor(self) -> str | None:
        if self._backwards:
            return self.first_id or (self.data[0].id if self.data else None)
        return self.last_id or (self.data[-1].id if self.data else None)
