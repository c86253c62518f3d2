"""The durations of the phases of a range: those of half of the runs, and of 95 of 100."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from projections.web.drawing.charts import Series, draw_lines
from projections.web.page import Page
from projections.web.pages.chart_part import UNIT_HEADS, ChartPart, group_by_time
from projections.web.time_range import Bar, TimeRange
from projections.web.words import UNKNOWN, format_duration

# Of the logarithmic scales, in seconds.
_MARKS = (1, 2, 5, 10, 30, 60, 300, 600, 3_600, 21_600, 86_400, 604_800, 2_592_000)
PHASE_TITLES = {"queued": "Queued", "running": "Running", "action": "Waiting for us"}


class Durations(NamedTuple):
    """The durations of a range, in all and as charts."""

    # Seconds by percentage, by phase.
    whole: Mapping[str, Mapping[float, float]]
    charts: list[tuple[str, str, ChartPart]]


def read_durations(page: Page, chosen: TimeRange) -> Durations:
    """Returns the durations of a range, and draws those of each phase."""
    question = group_by_time(chosen, page)
    whole = page.answers.timing(**{**question, "by": None}, percentiles=(50, 95))
    by_phase = {it.phase: it.known_percentiles for it in whole if it.runs}
    bars = chosen.bars(page.time)
    if chosen.unit in ("hour", "day"):
        found = page.answers.timing(**question, percentiles=(50, 95))
        points: dict[tuple[str, date], Mapping[float, float]] = {
            (it.phase, chosen.bar_of(it.group, page.time)): it.known_percentiles for it in found
        }
    else:
        # Percentiles of days do not sum up to those of a week.
        points = _read_periods(page, chosen, bars)
    charts = []
    for phase, title in PHASE_TITLES.items():
        if phase not in by_phase:
            continue
        values = [points.get((phase, bar.start), {}) for bar in bars]
        text = (
            f"{format_duration(by_phase[phase][50])} · "
            f"95 of 100: {format_duration(by_phase[phase][95])}"
        )
        charts.append((title, text, _draw_timing(title, chosen, bars, values)))
    return Durations(by_phase, charts)


def _read_periods(
    page: Page, chosen: TimeRange, bars: Sequence[Bar]
) -> dict[tuple[str, date], Mapping[float, float]]:
    points: dict[tuple[str, date], Mapping[float, float]] = {}
    edges = [page.time.midnight(bar.start) for bar in bars] + [chosen.until]
    for bar, since, until in zip(bars, edges, edges[1:], strict=False):
        for row in page.answers.timing(None, (50, 95), since, until):
            points[row.phase, bar.start] = row.known_percentiles
    return points


def _draw_timing(
    title: str, chosen: TimeRange, bars: Sequence[Bar], values: Sequence[Mapping[float, float]]
) -> ChartPart:
    # Nothing below a second is drawn apart: stamps are in whole seconds.
    lines = [
        Series(words, css, [max(1.0, it[percent]) if it else None for it in values])
        for words, css, percent in (
            ("half take at most", "p50", 50),
            ("95 of 100 take at most", "p95", 95),
        )
    ]
    numbers = [it for line in lines for it in line.values if it is not None] or [1.0]
    low = max((it for it in _MARKS if it <= min(numbers)), default=1)
    high = min((it for it in _MARKS if it >= max(numbers)), default=_MARKS[-1])
    marks = [it for it in _MARKS if low <= it <= high]
    if len(marks) == 1:
        marks.append(_MARKS[min(_MARKS.index(marks[0]) + 1, len(_MARKS) - 1)])
    while len(marks) > 6:
        marks = [*marks[:-1][::2], marks[-1]]
    labels, titles = [it.label for it in bars], [it.title for it in bars]
    picture = draw_lines(f"{title}: p50 and p95", labels, titles, lines, marks, _write_axis_time)
    rows = [
        [bar.title, *(format_duration(it[percent]) if it else UNKNOWN for percent in (50, 95))]
        for bar, it in zip(bars, values, strict=True)
    ]
    return ChartPart(picture, [], [UNIT_HEADS[chosen.unit], "p50", "p95"], rows)


def _write_axis_time(value: float) -> str:
    return "<1 s" if value < 1.5 else format_duration(value)
