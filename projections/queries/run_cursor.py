"""The orders of runs, and the cursors that continue a list of them."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args

from sqlalchemy import ColumnElement, and_, func, tuple_

from projections.database.schema import run_costs, runs
from projections.folding.micros import micros, moment_of
from tracker.errors import SettingsError

Order = Literal["newest", "oldest", "slowest", "dearest", "most_tokens"]


class RunOrder(NamedTuple):
    """An order of runs: by a value, and by the key where that is equal."""

    name: Order
    # Over `runs`, or over `run_costs`; it has an index.
    value: ColumnElement[Any]
    is_descending: bool = True

    @property
    def is_by_creation(self) -> bool:
        """True if every run has the value, and limits of time apply to it."""
        return self.value is runs.c.created_at


# As in the expressions of their indexes.
TOKENS = func.coalesce(runs.c.total_tokens, runs.c.prompt_tokens + runs.c.completion_tokens)
NANODOLLARS = (
    run_costs.c.input_nanodollars + run_costs.c.output_nanodollars + run_costs.c.request_nanodollars
)
_ORDERS = {
    it.name: it
    for it in (
        RunOrder("newest", runs.c.created_at),
        RunOrder("oldest", runs.c.created_at, is_descending=False),
        RunOrder("slowest", runs.c.total_seconds),
        RunOrder("dearest", NANODOLLARS),
        RunOrder("most_tokens", TOKENS),
    )
}


def parse_order(name: str) -> RunOrder:
    """Returns the order of a name. Raises SettingsError for an unknown one."""
    if name not in _ORDERS:
        raise SettingsError(f"{name!r} is not an order of runs: {', '.join(get_args(Order))}")
    return _ORDERS[name]


def sort_columns(order: RunOrder, value: Any, key: Any) -> tuple[Any, Any]:
    """Returns what an ORDER BY of these columns sorts by."""
    return (value.desc(), key.desc()) if order.is_descending else (value, key)


def is_after(order: RunOrder, cursor: str, value: Any, key: Any) -> ColumnElement[bool]:
    """Returns the condition that a run comes after the cursor. Raises SettingsError."""
    limit, run_key = _read(order, cursor)
    here, place = tuple_(value, key), tuple_(limit, run_key)
    # The first condition follows from the second, and lets each database use its index.
    if order.is_descending:
        return and_(value <= limit, here < place)
    return and_(value >= limit, here > place)


def write_cursor(order: RunOrder, value: Any, run_key: str) -> str:
    """Returns the cursor of the runs after this one: a text without special characters."""
    number = micros(value) if isinstance(value, datetime) else value
    text = json.dumps([order.name, number, run_key], separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(order: RunOrder, cursor: str) -> tuple[Any, str]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        name, number, run_key = json.loads(urlsafe_b64decode(padded))
        limit = moment_of(number) if order.is_by_creation else number
        is_valid = isinstance(number, int | float) and isinstance(run_key, str)
    except (ValueError, TypeError, OverflowError, AttributeError):
        is_valid = False
    if not is_valid:
        raise SettingsError(f"{cursor!r} is not a cursor of runs: pass `next_cursor` as it was")
    if name != order.name:
        raise SettingsError(
            f"the cursor is of runs in the order {name}, not {order.name}: begin without one"
        )
    return limit, run_key
