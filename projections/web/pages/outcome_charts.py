"""The outcomes of the runs of a range, by bar, and their failures, by day and hour."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from projections.queries.grouping import HOUR
from projections.row_types import StatusCount
from projections.web.drawing.charts import Series
from projections.web.drawing.heat_map import HourCount, draw_heat_map, find_worst
from projections.web.local_time import format_day
from projections.web.page import Page
from projections.web.pages.chart_part import (
    UNIT_HEADS,
    ChartPart,
    Legend,
    draw_bars,
    group_by_time,
    write_number,
)
from projections.web.time_range import TimeRange
from projections.web.words import OUTCOMES, describe_status, format_count

# The days of the map of hours.
_MAP_DAYS = 28


class OutcomeCounts:
    """The runs of a range by their status, by bar and by hour."""

    def __init__(self, page: Page, chosen: TimeRange) -> None:
        self.range, self.bars = chosen, chosen.bars(page.time)
        question = group_by_time(chosen, page)
        found = page.answers.status_counts(**question)
        hourly: Sequence[StatusCount] = found
        first = page.time.localize(chosen.until - timedelta(microseconds=1)).date()
        first -= timedelta(days=min(_MAP_DAYS - 1, first.toordinal() - 1))
        since = max(page.time.midnight(first), chosen.since or page.time.midnight(first))
        if chosen.by != HOUR:
            hourly = page.answers.status_counts(**{**question, "by": HOUR, "since": since})
        self.by_status: Counter[str] = Counter()
        self.by_bar: dict[date, Counter[str]] = defaultdict(Counter)
        for row in found:
            self.by_status[row.status] += row.runs
            self.by_bar[chosen.bar_of(row.group, page.time)][row.status] += row.runs
        self.all = sum(self.by_status.values())
        self.ended = sum(self.by_status[it] for it in OUTCOMES)
        self.days = self._list_days(page, since)
        self.hours = self._sum_hours(hourly)

    def _list_days(self, page: Page, since: datetime) -> list[date]:
        first = page.time.localize(max(since, min(self.range.first, self.range.until))).date()
        last = page.time.localize(self.range.until - timedelta(microseconds=1)).date()
        return [first + timedelta(days=it) for it in range((last - first).days + 1)][-_MAP_DAYS:]

    def _sum_hours(self, hourly: Sequence[StatusCount]) -> dict[tuple[date, int], HourCount]:
        hours: dict[tuple[date, int], HourCount] = {}
        for row in hourly:
            hour = row.group[HOUR]
            if row.status in OUTCOMES and isinstance(hour, datetime):
                key = hour.date(), hour.hour
                known = hours.get(key, HourCount(0, 0))
                failed = row.runs if row.status == "failed" else 0
                hours[key] = HourCount(known.runs + row.runs, known.failed + failed)
        return hours

    def draw_outcomes(self) -> ChartPart:
        """Draws the outcomes by bar, failed on top."""
        shown = [it for it in OUTCOMES if self.by_status[it]]
        series = [
            Series(
                describe_status(it),
                it,
                [self.by_bar[bar.start][it] or None for bar in self.bars],
            )
            for it in shown
        ]
        return ChartPart(
            draw_bars("Outcomes, stacked", self.bars, series, write_number),
            [Legend(it, describe_status(it), format_count(self.by_status[it])) for it in shown],
            [UNIT_HEADS[self.range.unit], *map(describe_status, shown)],
            [
                [bar.title, *(format_count(self.by_bar[bar.start][it]) for it in shown)]
                for bar in self.bars
            ],
        )

    def draw_hours(self, page: Page) -> ChartPart:
        """Draws when runs failed."""

        def link(day: date, hour: int) -> str | None:
            begin = datetime(day.year, day.month, day.day, hour, tzinfo=page.time.zone)
            since = begin.astimezone(UTC)
            until = since + timedelta(hours=1)
            return page.url(
                "runs",
                outcome="failed",
                since=page.time.format_iso(since),
                until=page.time.format_iso(until),
            )

        hours = {key: it for key, it in self.hours.items() if key[0] in self.days}
        worst = find_worst(hours)
        note = "No hour had three failures or more."
        if worst is not None:
            day, hour = worst
            count = hours[worst]
            note = (
                f"Worst: {format_day(day)}, {hour} to {hour + 1} h: "
                f"{count.failed:,} of {count.runs:,} runs failed."
            )
        rows = [
            [f"{format_day(day)} {hour}:00", format_count(it.runs), format_count(it.failed)]
            for (day, hour), it in sorted(hours.items())
            if it.failed
        ]
        picture = draw_heat_map(self.days, hours, link)
        return ChartPart(picture, [], ["Hour", "Runs that ended", "Failed"], rows, note)
