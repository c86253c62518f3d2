"""The filters that choose the runs of a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

from sqlalchemy import ColumnElement, or_

from projections.folding.json_text import group_text, plain_text
from tracker.core.status import ENDED
from tracker.errors import SettingsError

# One value, or any of several; None for all. An empty text stands for an unknown value.
Filter = str | Sequence[str] | None


class RunFilters(TypedDict, total=False):
    """The filters of a question: a run has to match all that are given.

    A filter is one value, or a sequence of values of which one must match; an empty text stands
    for an unknown value. `metadata` has the value of each key, as text or as it is.
    """

    status: Filter
    outcome: Filter
    source: Filter
    thread_id: Filter
    assistant_id: Filter
    model: Filter
    subagent_id: Filter
    service_tier: Filter
    error_code: Filter
    metadata: Mapping[str, Any] | None


class Filters(NamedTuple):
    """Parsed filters."""

    # The values of each column, of which one must match.
    columns: Mapping[str, tuple[str, ...]] = {}
    # The text of the value of each key of the metadata, as `group_text` returns it.
    metadata: Mapping[str, str | None] = {}

    def only(self, *names: str) -> Filters:
        """Returns the filters of these columns alone."""
        return Filters({name: it for name, it in self.columns.items() if name in names})

    def without(self, *names: str) -> Filters:
        """Returns the filters of the other columns, and those of the metadata."""
        columns = {name: it for name, it in self.columns.items() if name not in names}
        return Filters(columns, self.metadata)

    @property
    def are_open(self) -> bool:
        """True if no run that has ended can match."""
        wanted = self.columns.get("status")
        return wanted is not None and not ENDED.intersection(wanted)


def parse_filters(
    *,
    status: Filter = None,
    outcome: Filter = None,
    source: Filter = None,
    thread_id: Filter = None,
    assistant_id: Filter = None,
    model: Filter = None,
    subagent_id: Filter = None,
    service_tier: Filter = None,
    error_code: Filter = None,
    metadata: Mapping[str, Any] | None = None,
) -> Filters:
    """Returns the filters of a question. Raises SettingsError for a value that is not text."""
    given = {
        "status": status,
        "outcome": outcome,
        "source": source,
        "thread_id": thread_id,
        "assistant_id": assistant_id,
        "model": model,
        "subagent_id": subagent_id,
        "service_tier": service_tier,
        "error_code": error_code,
    }
    columns = {name: _parse_values(name, it) for name, it in given.items() if it is not None}
    try:
        wanted = {key: group_text(value) for key, value in (metadata or {}).items()}
    except (TypeError, ValueError, AttributeError):
        raise SettingsError(f"metadata has to be a dict of JSON values, not {metadata!r}") from None
    return Filters(columns, wanted)


def filter_conditions(filters: Filters, columns: Any) -> list[ColumnElement[bool]]:
    """Returns the conditions of the filters of columns, over the table `runs` or a part of it."""
    found = [match_values(columns[name], wanted) for name, wanted in filters.columns.items()]
    if filters.are_open:
        # True of all these runs, and lets the database use the index of open runs.
        found.append(columns.outcome.is_(None))
    return found


def match_values(column: ColumnElement[Any], wanted: Sequence[str]) -> ColumnElement[bool]:
    """Returns the condition that a column has one of the values; an empty text is also NULL."""
    if "" in wanted:
        return or_(column.in_(wanted), column.is_(None))
    return column.in_(wanted)


def _parse_values(name: str, given: str | Sequence[str]) -> tuple[str, ...]:
    values = (given,) if isinstance(given, str) else tuple(given)
    for value in values:
        if not isinstance(value, str):
            raise SettingsError(f"{name} has to be a text or several, not {value!r}")
    # As the tables have them.
    return tuple(plain_text(it) or "" for it in values)
