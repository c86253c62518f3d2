"""The page that compares assistants, models, sources, or values of the metadata."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import log10
from typing import Any, NamedTuple

from markupsafe import Markup

from projections.queries.grouping import METADATA
from projections.web import page_queries
from projections.web.drawing.svg import make_element, percent
from projections.web.drawing.timelines import draw_shares
from projections.web.page import Page
from projections.web.pages.chart_part import Legend
from projections.web.pages.model_charts import count_tokens, read_costs
from projections.web.time_range import DEFAULT_RANGE, RANGES, TimeRange, choose_range
from projections.web.words import (
    OUTCOMES,
    UNKNOWN,
    describe_status,
    format_count,
    format_dollars,
    format_duration,
    format_large,
    format_percent,
)
from tracker.errors import SettingsError

ROWS = 20
CHOICES = {"assistant_id": "Assistants", "model": "Models", "source": "Sources"}
SINGULAR = {"assistant_id": "Assistant", "model": "Model", "source": "Source"}
_PARAMETERS = {"assistant_id": "assistant", "model": "model", "source": "source"}
_PERCENTILES = (50.0, 95.0, 99.0)
_PICTURES = (
    (
        "total",
        "Time in all",
        "From creation to the end. The bar runs from p50 to p95, the thin line on to p99; "
        "one logarithmic scale for all four pictures.",
    ),
    ("queued", "Queued", "The service's share: nothing runs yet."),
    ("running", "Running", "The model and the service's own tools."),
    ("action", "Waiting for us", "Tool calls that our side had to answer."),
)
_MARKS = (1, 10, 60, 600, 3_600, 21_600, 86_400, 604_800)

# A phase, and its seconds by percentage.
_Times = Mapping[str, Mapping[float, float]]


class Compared(NamedTuple):
    """One row: everything that is compared of a group."""

    name: str | None
    label: str
    url: str | None
    runs: int
    ended: int
    counts: Mapping[str, int]
    tokens: int
    runs_with_tokens: int
    dollars: Decimal | None
    priced_runs: int
    times: _Times

    @property
    def failed(self) -> str:
        """Returns the share of runs that failed."""
        return format_percent(self.counts.get("failed", 0), self.ended)

    @property
    def bar(self) -> Markup:
        """Returns the outcomes as a bar."""
        parts = [(it, self.counts.get(it, 0)) for it in OUTCOMES]

        def describe(name: str, number: int) -> str:
            return f"{describe_status(name)}: {number:,} ({format_percent(number, self.ended)})"

        return draw_shares(parts, describe)

    @property
    def cells(self) -> list[tuple[str, str]]:
        """Returns tokens and dollars, in all and a run, each with its exact value."""
        tokens = self.tokens if self.runs_with_tokens else None
        each = None if tokens is None else round(tokens / self.runs_with_tokens)
        price = None
        if self.dollars is not None and self.priced_runs:
            price = self.dollars / self.priced_runs
        return [
            (format_large(tokens), format_count(tokens)),
            (format_count(each), ""),
            (format_dollars(self.dollars), "" if self.dollars is None else f"${self.dollars:,.6f}"),
            (format_dollars(price), ""),
        ]


class Picture(NamedTuple):
    """The percentiles of one phase, a lane for each row."""

    title: str
    note: str
    axis: Markup
    lanes: list[tuple[str, Markup, str]]


def gather(page: Page) -> dict[str, Any]:
    """Returns the values of the page."""
    by = page.params.get("by") or "assistant_id"
    with page.answers.connect() as connection:
        oldest = page_queries.find_oldest(connection)
    name = page.params.get("since") or DEFAULT_RANGE
    chosen = choose_range(name, page.params.get("until"), page.time, oldest)
    if by in CHOICES:
        singular = SINGULAR[by]
    elif by.startswith(METADATA) and by != METADATA:
        singular = by.removeprefix(METADATA)
    else:
        known = ", ".join((*CHOICES, f"{METADATA}KEY"))
        raise SettingsError(f"{by!r} is nothing to compare by: {known}")
    panel = page.try_panel(lambda: _read_rows(page, chosen, by))
    rows = panel.value or []
    sums: Counter[str] = Counter()
    for row in rows:
        sums.update(row.counts)
    return {
        "by": by,
        "choices": CHOICES,
        "metadata_key": by.removeprefix(METADATA) if by.startswith(METADATA) else "",
        "title": CHOICES.get(by, singular),
        "singular": singular,
        "range": chosen,
        "ranges": RANGES,
        "rows": rows,
        "problem": panel.problem,
        "has_dollars": any(it.dollars is not None for it in rows),
        "legend": [
            Legend(it, describe_status(it), format_count(sums[it])) for it in OUTCOMES if sums[it]
        ],
        "pictures": _draw_pictures(rows),
        "most_read": page_queries.MOST_READ if by not in CHOICES else None,
    }


def _read_rows(page: Page, chosen: TimeRange, by: str) -> list[Compared]:
    limits: dict[str, Any] = {"since": chosen.since, "until": chosen.limit, "tz": page.time.name}
    if by not in CHOICES:
        # No rollup has the metadata: the newest runs are read one by one.
        limits["newest"] = page_queries.MOST_READ
    counts: dict[Any, Counter[str]] = defaultdict(Counter)
    for it in page.answers.status_counts(by=by, **limits):
        counts[it.group[by]][it.status] += it.runs
    ordered = sorted(counts, key=lambda it: (-sum(counts[it].values()), it or ""))
    shown, rest = ordered[:ROWS], set(ordered[ROWS:])
    merged: dict[Any, Any] = {it: it for it in shown} | dict.fromkeys(rest, _OTHERS)

    usage = {it.group[by]: it for it in page.answers.usage(by=by, **limits)}
    costs = {it.group[by]: it for it in read_costs(page, {"by": by, **limits}) or ()}
    times: dict[Any, dict[str, Mapping[float, float]]] = defaultdict(dict)
    for row in page.answers.timing(by=by, percentiles=_PERCENTILES, **limits):
        # Percentiles of groups do not sum up: the rest has none.
        if row.group[by] not in rest and row.runs:
            times[row.group[by]][row.phase] = row.known_percentiles
    rows = []
    for key in [*shown, *([_OTHERS] if rest else [])]:
        members = [it for it in counts if merged[it] is key]
        status: Counter[str] = Counter()
        for it in members:
            status.update(counts[it])
        used = [usage[it] for it in members if it in usage]
        priced = [costs[it] for it in members if it in costs]
        money = [it.total_dollars for it in priced if it.total_dollars is not None]
        label = f"{len(rest)} others" if key is _OTHERS else page.name_of(key) or "unknown"
        since = page.params.get("since") or DEFAULT_RANGE
        rows.append(
            Compared(
                None if key is _OTHERS else key,
                label,
                None
                if key is _OTHERS or key is None
                else page.url("runs", since=since, **_list_filters(by, key)),
                sum(status.values()),
                sum(status[it] for it in OUTCOMES),
                status,
                sum(map(count_tokens, used)),
                sum(it.runs - it.runs_without_usage for it in used),
                sum(money, Decimal()) if money else None,
                sum(it.runs - it.runs_without_usage - it.unpriced_runs for it in priced),
                times.get(key, {}),
            )
        )
    return rows


_OTHERS = object()


def _list_filters(by: str, value: str) -> dict[str, str]:
    """Returns the parameters of the list of the runs of a row."""
    if by in _PARAMETERS:
        return {_PARAMETERS[by]: value}
    return {"metadata": f"{by.removeprefix(METADATA)}={value}"}


def _draw_pictures(rows: Sequence[Compared]) -> list[Picture]:
    numbers = [
        max(1.0, seconds)
        for row in rows
        for percentiles in row.times.values()
        for seconds in percentiles.values()
    ]
    if not numbers:
        return []
    scale = _Scale(max(numbers))
    pictures = []
    for phase, title, note in _PICTURES:
        lanes = [
            (row.label, _draw_lane(scale, phase, row.times[phase]), _say(row.times[phase]))
            for row in rows
            if phase in row.times
        ]
        if lanes:
            pictures.append(Picture(title, note, scale.draw_axis(), lanes))
    return pictures


class _Scale:
    """A logarithmic scale of seconds, from below one on."""

    def __init__(self, highest: float) -> None:
        self._highest = max(60.0, highest * 1.15)
        self.marks = [it for it in _MARKS if it <= self._highest]

    def place(self, seconds: float) -> float:
        share = log10(max(1.0, seconds)) / log10(self._highest)
        return 7.0 + 92.0 * share if seconds >= 1 else 1.0

    def draw_axis(self) -> Markup:
        texts = [(1.0, "<1 s"), *((self.place(it), format_duration(it)) for it in self.marks)]
        parts = [
            make_element(
                "text",
                Markup("{}").format(text),
                x=percent(place),
                y=11,
                text_anchor="start" if place < 3 else "middle",
            )
            for place, text in texts
        ]
        return make_element(
            "svg", *parts, class_="lane", width="100%", height=19, aria_hidden="true"
        )


def _draw_lane(scale: _Scale, phase: str, times: Mapping[float, float]) -> Markup:
    p50, p95, p99 = (scale.place(times[it]) for it in _PERCENTILES)
    places = [1.0, *map(scale.place, scale.marks)]
    lines = [
        make_element("line", x1=percent(it), x2=percent(it), y1=0, y2=24, class_="tick")
        for it in places
    ]
    titles = [f"p{it:g} {_write_time(times[it])}" for it in _PERCENTILES]
    css = f"f-{phase}"
    return make_element(
        "svg",
        *lines,
        make_element(
            "rect",
            title=titles[2],
            x=percent(p95),
            y=11,
            width=percent(max(0.0, p99 - p95)),
            height=2,
            class_=f"{css} thin",
        ),
        make_element(
            "rect",
            title=", ".join(titles[:2]),
            x=percent(p50),
            y=6,
            width=percent(max(0.3, p95 - p50)),
            height=12,
            rx=2,
            class_=css,
        ),
        class_="lane",
        width="100%",
        height=24,
        role="img",
        aria_label=", ".join(titles),
    )


def _write_time(seconds: float) -> str:
    return format_duration(seconds) if seconds is not None else UNKNOWN


def _say(times: Mapping[float, float]) -> str:
    return f"{_write_time(times[50.0])} · {_write_time(times[95.0])}"
