"""The first page: what needs somebody now, and how the runs of a range went."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from markupsafe import Markup

from projections.export.rows import Rows
from projections.queries.grouping import HOUR
from projections.row_types import CostRow, FailureRow, OpenRunRow, RunRow, StatusCount, UsageRow
from projections.web import page_queries
from projections.web.drawing.charts import Series, draw_lines, draw_stack
from projections.web.drawing.heat_map import HourCount, draw_heat_map, find_worst
from projections.web.drawing.timelines import draw_phase_bar
from projections.web.local_time import format_day
from projections.web.page import Page, phase_seconds
from projections.web.pages.needs import read_needs
from projections.web.time_range import (
    DEFAULT_RANGE,
    RANGES,
    Bar,
    TimeRange,
    choose_range,
)
from projections.web.words import (
    OUTCOMES,
    UNKNOWN,
    count_noun,
    describe_status,
    format_count,
    format_dollars,
    format_duration,
    format_large,
    format_percent,
)
from tracker.errors import PricesDiffer, SettingsError

MOST_OPEN, MOST_RANKED, MOST_CODES, MOST_MODELS = 50, 8, 10, 5
# The days of the map of hours.
_MAP_DAYS = 28
# Of the logarithmic scales, in seconds.
_MARKS = (1, 2, 5, 10, 30, 60, 300, 600, 3_600, 21_600, 86_400, 604_800, 2_592_000)
PHASE_TITLES = {"queued": "Queued", "running": "Running", "action": "Waiting for us"}


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


class Headline(NamedTuple):
    """One of the six numbers."""

    name: str
    value: str
    note: str
    title: str = ""


class RunLine(NamedTuple):
    """A run in a table, with its phase bar."""

    run: RunRow
    bar: Markup


class OpenLine(NamedTuple):
    """An open run in a table, with its phase bar."""

    run: OpenRunRow
    bar: Markup


def gather(page: Page) -> dict[str, Any]:
    """Returns the values of the page, and of most of the report."""
    with page.answers.connect() as connection:
        oldest = page_queries.find_oldest(connection)
    name = page.params.get("since") or DEFAULT_RANGE
    chosen = choose_range(name, page.params.get("until"), page.time, oldest)
    if oldest is None:
        return {"range": chosen, "is_empty": True}
    needs = page.try_panel(lambda: read_needs(page))
    opened = page.try_panel(lambda: _read_open(page))
    counts = page.try_panel(lambda: _Counts(page, chosen))
    usage = page.try_panel(lambda: page.answers.usage(**_grouped(chosen, page, "model")))
    costs = page.try_panel(lambda: read_costs(page, _grouped(chosen, page, "model")))
    timing = page.try_panel(lambda: _read_timing(page, chosen))
    return {
        "range": chosen,
        "is_empty": False,
        "ranges": RANGES,
        "needs": needs,
        "open": opened,
        "numbers": _make_headlines(needs, counts, opened, usage, costs, timing),
        "counts": counts,
        "has_runs": counts.value is None or counts.value.all > 0,
        "newest": _find_newest(page, counts.value),
        "outcomes": _map(counts, lambda it: it.draw_outcomes(page)),
        "failed_when": _map(counts, lambda it: it.draw_hours(page)),
        "timing": timing,
        "tokens": _map(usage, lambda it: _draw_tokens(page, chosen, it)),
        "dollars": _map(costs, lambda it: _draw_dollars(page, chosen, it)),
        "has_prices": costs.problem is not None or costs.value is not None,
        "slowest": page.try_panel(lambda: _read_slowest(page, chosen)),
        "dearest": page.try_panel(lambda: _read_dearest(page, chosen))
        if costs.value is not None
        else None,
        "failures": page.try_panel(lambda: _read_failures(page, chosen)),
    }


def _map(panel: Any, change: Callable[[Any], Any]) -> Any:
    return panel if panel.value is None else type(panel)(change(panel.value))


def _grouped(chosen: TimeRange, page: Page, *names: str) -> dict[str, Any]:
    return {
        "by": (chosen.by, *names),
        "since": chosen.since,
        "until": chosen.limit,
        "tz": page.time.name,
    }


def read_costs(page: Page, question: Mapping[str, Any]) -> list[CostRow] | None:
    """Returns costs; None where there is no price list, or another one than the database has."""
    try:
        return list(page.answers.cost(**question))
    except (SettingsError, PricesDiffer):
        return None


def _find_newest(page: Page, counts: _Counts | None) -> datetime | None:
    if counts is None or counts.all:
        return None
    with page.answers.connect() as connection:
        return page_queries.find_newest(connection)


class _Counts:
    """The runs of a range by their status, by bar and by hour."""

    def __init__(self, page: Page, chosen: TimeRange) -> None:
        self.range, self.bars = chosen, chosen.bars(page.time)
        question = _grouped(chosen, page)
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

    def draw_outcomes(self, page: Page) -> ChartPart:
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
            _draw_stack("Outcomes, stacked", self.bars, series, _write_number),
            [Legend(it, describe_status(it), format_count(self.by_status[it])) for it in shown],
            [_TIMES[self.range.unit], *map(describe_status, shown)],
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


_TIMES = {"hour": "Hour", "day": "Day", "week": "Week", "month": "Month", "year": "Year"}


def _draw_stack(
    label: str, bars: Sequence[Bar], series: Sequence[Series], write: Callable[[float], str]
) -> Markup:
    labels, titles = [it.label for it in bars], [it.title for it in bars]
    return draw_stack(label, labels, titles, series, write)


def _write_number(value: float) -> str:
    return format_large(value).replace(".0 ", " ") if value >= 10_000 else f"{value:,.0f}"


def _write_dollars(value: float) -> str:
    return f"${value:,.0f}" if value == round(value) else format_dollars(value)


def _write_axis_time(value: float) -> str:
    return "<1 s" if value < 1.5 else format_duration(value)


class _Timing(NamedTuple):
    """The durations of a range, in all and as charts."""

    # Seconds by percentage, by phase.
    whole: Mapping[str, Mapping[float, float]]
    charts: list[tuple[str, str, ChartPart]]


def _read_timing(page: Page, chosen: TimeRange) -> _Timing:
    question = _grouped(chosen, page)
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
    return _Timing(by_phase, charts)


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
    return ChartPart(picture, [], [_TIMES[chosen.unit], "p50", "p95"], rows)


def _draw_models(
    label: str,
    page: Page,
    chosen: TimeRange,
    values: Mapping[tuple[date, str | None], Any],
    write: Callable[[float], str],
    write_sum: Callable[[Any], str],
) -> ChartPart:
    bars = chosen.bars(page.time)
    sums: dict[str | None, Any] = {}
    for (_, model), value in values.items():
        sums[model] = sums.get(model, 0) + value
    ordered = sorted((it for it in sums if sums[it]), key=lambda it: (-sums[it], it or ""))
    shown, rest = ordered[:MOST_MODELS], ordered[MOST_MODELS:]
    groups = [(page.name_of(it) or "unknown model", [it]) for it in shown]
    if rest:
        groups.append((f"{count_noun(len(rest), 'other model')}", rest))
    series, legend = [], []
    for at, (name, models) in enumerate(groups):
        css = f"m{at}" if at < MOST_MODELS else "m9"
        parts = [sum(values.get((bar.start, it), 0) for it in models) for bar in bars]
        series.append(Series(name, css, [float(it) or None for it in parts]))
        legend.append(Legend(css, name, write_sum(sum(sums[it] for it in models))))
    rows = [
        [bar.title, *(write(it.values[at] or 0) for it in series)] for at, bar in enumerate(bars)
    ]
    picture = _draw_stack(label, bars, series, write)
    return ChartPart(picture, legend, [_TIMES[chosen.unit], *(it.name for it in series)], rows)


def _draw_tokens(page: Page, chosen: TimeRange, found: Sequence[UsageRow]) -> ChartPart:
    values: dict[tuple[date, str | None], int] = defaultdict(int)
    without = whole = 0
    for row in found:
        tokens = _tokens_of(row)
        without, whole = without + row.runs_without_usage, whole + tokens
        values[chosen.bar_of(row.group, page.time), _model_of(row.group)] += tokens
    part = _draw_models(
        "Tokens by model, stacked", page, chosen, values, _write_number, format_large
    )
    silent = f"; {count_noun(without, 'run')} {'does' if without == 1 else 'do'} not say"
    note = f"{format_large(whole)} in all{silent if without else ''}"
    return part._replace(note=note)


def _draw_dollars(page: Page, chosen: TimeRange, found: Sequence[CostRow]) -> ChartPart:
    values: dict[tuple[date, str | None], Decimal] = defaultdict(Decimal)
    unpriced, whole = 0, Decimal()
    for row in found:
        money = row.total_dollars or Decimal()
        unpriced, whole = unpriced + row.unpriced_runs, whole + money
        values[chosen.bar_of(row.group, page.time), _model_of(row.group)] += money
    part = _draw_models(
        "Dollars by model, stacked", page, chosen, values, _write_dollars, format_dollars
    )
    silent = (
        f"{count_noun(unpriced, 'run')} {'has' if unpriced == 1 else 'have'} no price"
        if unpriced
        else "every run that tells its tokens has a price"
    )
    return part._replace(note=f"{format_dollars(whole)} in all, at list prices; {silent}")


def _tokens_of(row: UsageRow) -> int:
    known = (row.prompt_tokens or 0) + (row.completion_tokens or 0)
    return known if row.total_tokens is None else row.total_tokens


def _model_of(group: Mapping[str, object]) -> str | None:
    model = group["model"]
    return model if isinstance(model, str) else None


def _make_headlines(
    needs: Any, counts: Any, opened: Any, usage: Any, costs: Any, timing: Any
) -> list[Headline]:
    numbers = []
    if counts.value is not None:
        found: _Counts = counts.value
        failed = found.by_status["failed"]
        numbers += [
            Headline("Runs", format_count(found.all), f"{found.ended:,} ended"),
            Headline("Failed", format_percent(failed, found.ended), count_noun(failed, "run")),
        ]
    if opened.value is not None:
        note = ""
        if needs.value is not None:
            note = f"{needs.value.waiting:,} waiting, {needs.value.stuck:,} stuck"
        numbers.append(Headline("Open now", format_count(opened.value.number), note))
    if timing.value is not None and "total" in timing.value.whole:
        total = timing.value.whole["total"]
        note = f"95 of 100: {format_duration(total[95])}"
        numbers.append(Headline("Half take at most", format_duration(total[50]), note))
    if usage.value is not None:
        tokens = sum(map(_tokens_of, usage.value))
        runs = sum(it.runs - it.runs_without_usage for it in usage.value)
        note = f"{round(tokens / runs):,} a run" if runs else "no run tells any"
        numbers.append(Headline("Tokens", format_large(tokens), note, format_count(tokens)))
    if costs.value is not None:
        money = sum((it.total_dollars or Decimal() for it in costs.value), Decimal())
        runs = sum(it.runs - it.runs_without_usage - it.unpriced_runs for it in costs.value)
        note = f"{format_dollars(money / runs)} a run" if runs else "no run has a price"
        numbers.append(Headline("Dollars", format_dollars(money), note, f"${money:,.6f}"))
    return numbers


class _OpenRuns(NamedTuple):
    """The oldest open runs, and the number of all."""

    lines: list[OpenLine]
    number: int


def _read_open(page: Page) -> _OpenRuns:
    with page.answers.connect() as connection:
        number = page_queries.count_open(connection)
    found = page.answers.open_runs(now=page.now, limit=MOST_OPEN)
    lines = [OpenLine(it, draw_phase_bar(phase_seconds(it.phases, page.now))) for it in found]
    return _OpenRuns(lines, number)


def make_lines(page: Page, found: Sequence[RunRow], *, is_one_scale: bool = False) -> list[RunLine]:
    """Returns runs with their phase bars; with `is_one_scale`, the longest fills its bar."""
    with page.answers.connect() as connection:
        phases = page_queries.find_phases_of(connection, [it.run_key for it in found])
    longest = max((it.total_seconds or 0 for it in found), default=0) or 1
    return [
        RunLine(
            it,
            draw_phase_bar(
                phase_seconds(phases[it.run_key], page.now),
                (it.total_seconds or 0) / longest if is_one_scale else 1.0,
            ),
        )
        for it in found
    ]


class _Ranking(NamedTuple):
    """Runs by an order, and what was looked at."""

    lines: list[RunLine]
    note: str


def _read_slowest(page: Page, chosen: TimeRange) -> _Ranking:
    found = page.answers.runs(
        order="slowest", since=chosen.since, until=chosen.limit, limit=MOST_RANKED
    )
    note = "On one scale, so that bars compare"
    return _Ranking(make_lines(page, found, is_one_scale=True), _add_note(note, found.note))


def _read_dearest(page: Page, chosen: TimeRange) -> _Ranking:
    found = page.answers.runs(
        order="dearest", since=chosen.since, until=chosen.limit, limit=MOST_RANKED
    )
    note = "Each bar shows how the run spent its time"
    return _Ranking(make_lines(page, found), _add_note(note, found.note))


def _add_note(text: str, note: str | None) -> str:
    return f"{text}; {note}" if note else text


def _read_failures(page: Page, chosen: TimeRange) -> Rows[FailureRow]:
    return page.answers.failures(since=chosen.since, until=chosen.limit, limit=MOST_CODES)
