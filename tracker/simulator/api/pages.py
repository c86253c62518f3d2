"""Pages of a list: cursors, order and limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tracker.simulator.model.errors import Refused, wrong_value_error

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The part of a list that a request asks for."""

    limit: int = 20
    newest_first: bool = True
    after: str | None = None
    before: str | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> PageRequest:
        """Parses the query of a request. Raises Refused."""
        text = query.get("limit", "20")
        if not text.isdecimal() or not 1 <= int(text) <= 100:
            raise wrong_value_error("limit", "expected an integer from 1 to 100.")

        order = query.get("order", "desc")
        if order not in ("asc", "desc"):
            raise wrong_value_error("order", "expected 'asc' or 'desc'.")

        return cls(
            int(text), order == "desc", query.get("after") or None, query.get("before") or None
        )


def paginate(
    items: Sequence[tuple[str, Item]], request: PageRequest
) -> tuple[list[Item], bool, str | None, str | None]:
    """Returns the items of a page, True if there are more, and the ids of its first and last item.

    `items` are pairs of id and item, oldest first. A page `before` a cursor ends at the cursor.
    Raises Refused for a cursor that is not in the list.
    """
    ordered = list(reversed(items)) if request.newest_first else list(items)
    start = 0 if request.after is None else _position(ordered, "after", request.after) + 1
    stop = len(ordered) if request.before is None else _position(ordered, "before", request.before)

    window = ordered[start:stop]
    backwards = request.before is not None and request.after is None
    page = window[-request.limit :] if backwards else window[: request.limit]
    first, last = (page[0][0], page[-1][0]) if page else (None, None)
    return [item for _, item in page], len(window) > len(page), first, last


def _position(items: Sequence[tuple[str, Item]], param: str, cursor: str) -> int:
    for index, (id_, _) in enumerate(items):
        if id_ == cursor:
            return index
    raise Refused(f"No object found with id '{cursor}' in this list.", param=param)
