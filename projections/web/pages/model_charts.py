"""The tokens and the dollars of a range, by bar and by model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from projections.row_types import CostRow, UsageRow
from projections.web.drawing.charts import Series
from projections.web.page import Page
from projections.web.pages.chart_part import (
    UNIT_HEADS,
    ChartPart,
    Legend,
    draw_bars,
    write_number,
)
from projections.web.time_range import TimeRange
from projections.web.words import count_noun, format_dollars, format_large
from tracker.errors import PricesDiffer, SettingsError

MOST_MODELS = 5


def read_costs(page: Page, question: Mapping[str, Any]) -> list[CostRow] | None:
    """Returns costs; None where there is no price list, or another one than the database has."""
    try:
        return list(page.answers.cost(**question))
    except (SettingsError, PricesDiffer):
        return None


def draw_tokens(page: Page, chosen: TimeRange, found: Sequence[UsageRow]) -> ChartPart:
    """Draws tokens by model."""
    values: dict[tuple[date, str | None], int] = defaultdict(int)
    without = whole = 0
    for row in found:
        tokens = count_tokens(row)
        without, whole = without + row.runs_without_usage, whole + tokens
        values[chosen.bar_of(row.group, page.time), _model_of(row.group)] += tokens
    part = _draw_models(
        "Tokens by model, stacked", page, chosen, values, write_number, format_large
    )
    silent = f"; {count_noun(without, 'run')} {'does' if without == 1 else 'do'} not say"
    note = f"{format_large(whole)} in all{silent if without else ''}"
    return part._replace(note=note)


def draw_dollars(page: Page, chosen: TimeRange, found: Sequence[CostRow]) -> ChartPart:
    """Draws dollars by model."""
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


def count_tokens(row: UsageRow) -> int:
    """Returns the tokens of a group, as far as its runs tell them."""
    known = (row.prompt_tokens or 0) + (row.completion_tokens or 0)
    return known if row.total_tokens is None else row.total_tokens


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
    picture = draw_bars(label, bars, series, write)
    return ChartPart(picture, legend, [UNIT_HEADS[chosen.unit], *(it.name for it in series)], rows)


def _write_dollars(value: float) -> str:
    return f"${value:,.0f}" if value == round(value) else format_dollars(value)


def _model_of(group: Mapping[str, object]) -> str | None:
    model = group["model"]
    return model if isinstance(model, str) else None
