"""A map of days and hours, which shows when runs failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from markupsafe import Markup

from projections.web.drawing.svg import join_elements, make_element
from projections.web.local_time import format_day, format_weekday
from projections.web.words import format_count

_LEFT, _TOP, _CELL, _ROW = 56.0, 18, 17.3, 22
_STEP = 19.3
# So few failures are shown faintly, whatever their share.
_FEW = 2


class HourCount(NamedTuple):
    """The ended runs of one hour of a day."""

    runs: int
    failed: int


def draw_heat_map(
    days: Sequence[date],
    hours: Mapping[tuple[date, int], HourCount],
    link: Callable[[date, int], str | None],
) -> Markup:
    """Draws a row for each day; hours of three failures and more lead to their runs."""
    texts = [
        make_element("text", Markup(str(hour)), x=_LEFT + hour * _STEP + 4, y=12)
        for hour in range(0, 24, 3)
    ]
    rows = [
        _draw_day(at, day, {hour: hours.get((day, hour)) for hour in range(24)}, link)
        for at, day in enumerate(days)
    ]
    return make_element(
        "svg",
        *texts,
        *rows,
        class_="heat",
        viewBox=f"0 0 520 {_TOP + _ROW * len(days)}",
        role="img" if not any("<a " in it for it in rows) else "group",
        aria_label="Share of failed runs by day and hour",
    )


def find_worst(hours: Mapping[tuple[date, int], HourCount]) -> tuple[date, int] | None:
    """Returns the hour with the largest share of failures, of those with three and more."""
    many = [key for key, it in hours.items() if it.failed > _FEW]
    if not many:
        return None
    return max(many, key=lambda it: (hours[it].failed / hours[it].runs, hours[it].failed, it))


def _draw_day(
    row: int,
    day: date,
    hours: Mapping[int, HourCount | None],
    link: Callable[[date, int], str | None],
) -> Markup:
    top = _TOP + row * _ROW
    cells = [make_element("text", Markup(format_weekday(day)), x=0, y=top + 14)]
    for hour, count in hours.items():
        place = {"x": _LEFT + hour * _STEP, "y": top, "width": _CELL, "height": _ROW - 2}
        if count is None or not count.failed:
            title = None if count is None else f"{format_day(day)} {hour}:00: no failures"
            cells.append(make_element("rect", title=title, class_="z", **place))
            continue
        share = count.failed / count.runs
        strength = 0.16 if count.failed <= _FEW else 0.25 + 0.7 * min(1.0, share / 0.5)
        title = (
            f"{format_day(day)} {hour}:00: {format_count(count.failed)} of "
            f"{format_count(count.runs)} runs failed"
        )
        cell = make_element(
            "rect", title=title, class_="h", fill_opacity=round(strength, 2), **place
        )
        url = link(day, hour) if count.failed > _FEW else None
        if url is not None:
            cell = make_element("a", cell, href=url, aria_label=title)
        cells.append(cell)
    return join_elements(cells)
