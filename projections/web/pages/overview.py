"""The first page: what needs somebody now, and how the runs of a range went."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from markupsafe import Markup

from projections.export.rows import Rows
from projections.row_types import FailureRow, OpenRunRow
from projections.web import page_queries
from projections.web.drawing.timelines import draw_phase_bar
from projections.web.page import Page, phase_seconds
from projections.web.pages.chart_part import group_by_time
from projections.web.pages.duration_charts import read_durations
from projections.web.pages.model_charts import count_tokens, draw_dollars, draw_tokens, read_costs
from projections.web.pages.needs import read_needs
from projections.web.pages.outcome_charts import OutcomeCounts
from projections.web.pages.ranked_runs import read_dearest, read_slowest
from projections.web.time_range import DEFAULT_RANGE, RANGES, TimeRange, choose_range
from projections.web.words import (
    count_noun,
    format_count,
    format_dollars,
    format_duration,
    format_large,
    format_percent,
)

MOST_OPEN, MOST_CODES = 50, 10


class Headline(NamedTuple):
    """One of the six numbers."""

    name: str
    value: str
    note: str
    title: str = ""


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
    counts = page.try_panel(lambda: OutcomeCounts(page, chosen))
    usage = page.try_panel(lambda: page.answers.usage(**group_by_time(chosen, page, "model")))
    costs = page.try_panel(lambda: read_costs(page, group_by_time(chosen, page, "model")))
    timing = page.try_panel(lambda: read_durations(page, chosen))
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
        "outcomes": _map(counts, lambda it: it.draw_outcomes()),
        "failed_when": _map(counts, lambda it: it.draw_hours(page)),
        "timing": timing,
        "tokens": _map(usage, lambda it: draw_tokens(page, chosen, it)),
        "dollars": _map(costs, lambda it: draw_dollars(page, chosen, it)),
        "has_prices": costs.problem is not None or costs.value is not None,
        "slowest": page.try_panel(lambda: read_slowest(page, chosen)),
        "dearest": page.try_panel(lambda: read_dearest(page, chosen))
        if costs.value is not None
        else None,
        "failures": page.try_panel(lambda: _read_failures(page, chosen)),
    }


def _map(panel: Any, change: Callable[[Any], Any]) -> Any:
    return panel if panel.value is None else type(panel)(change(panel.value))


def _find_newest(page: Page, counts: OutcomeCounts | None) -> datetime | None:
    if counts is None or counts.all:
        return None
    with page.answers.connect() as connection:
        return page_queries.find_newest(connection)


def _make_headlines(
    needs: Any, counts: Any, opened: Any, usage: Any, costs: Any, timing: Any
) -> list[Headline]:
    numbers = []
    if counts.value is not None:
        found: OutcomeCounts = counts.value
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
        tokens = sum(map(count_tokens, usage.value))
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


def _read_failures(page: Page, chosen: TimeRange) -> Rows[FailureRow]:
    return page.answers.failures(since=chosen.since, until=chosen.limit, limit=MOST_CODES)
