"""A chart of a page, with its legend and its numbers as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from projections.web.drawing.charts import Series, draw_stack
from projections.web.page import Page
from projections.web.time_range import Bar, TimeRange
from projections.web.words import format_large

# The head of the first column of each table.
UNIT_HEADS = {"hour": "Hour", "day": "Day", "week": "Week", "month": "Month", "year": "Year"}


class Legend(NamedTuple):
    """One entry below a chart."""

    css: str
    name: str
    value: str


class ChartPart(NamedTuple):
    """A chart with its legend, and its numbers as a table."""

    picture: Markup
    legend: list[Legend]
    heads: list[str]
    rows: list[list[str]]
    note: str = ""


def group_by_time(chosen: TimeRange, page: Page, *names: str) -> dict[str, Any]:
    """Returns the arguments of a question about a range, by its bars and other names."""
    return {
        "by": (chosen.by, *names),
        "since": chosen.since,
        "until": chosen.limit,
        "tz": page.time.name,
    }


def draw_bars(
    label: str, bars: Sequence[Bar], series: Sequence[Series], write: Callable[[float], str]
) -> Markup:
    """Draws stacked bars of a range."""
    labels, titles = [it.label for it in bars], [it.title for it in bars]
    return draw_stack(label, labels, titles, series, write)


def write_number(value: float) -> str:
    """Returns a mark of an axis of counts."""
    return format_large(value).replace(".0 ", " ") if value >= 10_000 else f"{value:,.0f}"
