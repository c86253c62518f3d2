"""The timeline of a run: lanes of its phases, calls and steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from markupsafe import Markup

from projections.row_types import ActionRow, PhaseRow, RunRow, StepRow
from projections.web.drawing.time_axis import TimeAxis, fold_axis
from projections.web.drawing.timelines import (
    MOST_BARS,
    MOST_LANES,
    Lane,
    Span,
    draw_axis,
    draw_phases,
    draw_spans,
)
from projections.web.page import Page, find_duration
from projections.web.pages.run_events import find_change_bounds
from projections.web.words import (
    UNKNOWN,
    count_noun,
    describe_status,
    format_bounded,
    format_duration,
    is_whole,
    status_class,
)
from tracker.core import events as e
from tracker.core.status import REQUIRES_ACTION
from tracker.event_store import RecordedEvent

_SECOND = timedelta(seconds=1)


class Timeline(NamedTuple):
    """The picture of a run."""

    axis: Markup
    lanes: list[Lane]
    statuses: list[str]
    has_steps: bool
    has_soft_edges: bool
    is_folded: bool
    # Another way to show it, in words, and its URL.
    other: tuple[str, str | None] | None
    # The lanes that are not shown, and the URL of the next of them.
    left_out: int
    more_url: str | None


def draw_timeline(
    page: Page,
    run: RunRow,
    phases: Sequence[PhaseRow],
    actions: Sequence[ActionRow],
    steps: Sequence[StepRow],
    recorded: Sequence[RecordedEvent],
) -> Timeline:
    """Draws the phases of a run, with a lane for each call and each step."""
    zero = min([run.created_at, *(it.entered_at for it in phases[:1])])

    def at(moment: datetime) -> float:
        return (moment - zero).total_seconds()

    now = page.now if run.ended_at is None else run.ended_at
    spans = _make_phases(run, phases, recorded, zero, now)
    calls = _make_calls(actions, recorded, zero, now)
    made = [_make_step(it, zero) for it in steps if it.created_at is not None]
    rows = [(it, "call") for it in calls] + [(it, "step") for it in made]
    first = _read_first(page, len(rows))
    shown = rows[first : first + MOST_LANES - 1]
    every = [*spans, *(it for it, _ in rows)]
    end = max([at(now), *(max(it.end, it.end_bounds[1]) for it in every)])
    edges = [edge for it in every for edge in (*it.start_bounds, *it.end_bounds, it.start, it.end)]
    is_scaled = page.params.get("scale") == "true"
    axis = fold_axis(0.0, end, edges, scaled=is_scaled)
    lanes = [
        Lane(
            "Phases",
            "",
            draw_phases(axis, spans, page.gradients),
            _write_total(run, page),
            css="ph",
        )
    ]
    before = "phases"
    for span, kind in shown:
        lanes.append(_make_lane(axis, page, span, "sep" if kind != before else ""))
        before = kind
    left = len(rows) - first - len(shown)
    other = None
    if axis.folds:
        other = ("Show it true to scale", page.here(scale="true"))
    elif is_scaled and fold_axis(0.0, end, edges, scaled=False).folds:
        other = ("Fold what is long", page.here(scale=None))
    return Timeline(
        draw_axis(axis),
        lanes,
        list(dict.fromkeys([*(it.status for it in phases), *(REQUIRES_ACTION for _ in calls[:1])])),
        bool(made),
        any(_is_soft(axis, it) for it in [*spans, *(it for it, _ in shown)]),
        bool(axis.folds),
        other,
        left,
        page.here(lane=first + MOST_LANES - 1) if left > 0 else None,
    )


def _read_first(page: Page, rows: int) -> int:
    given = page.params.get("lane") or ""
    number = int(given[:9]) if given.isascii() and given.isdigit() else 0
    return number if number < rows else 0


def _make_lane(axis: TimeAxis, page: Page, span: Span, css: str) -> Lane:
    picture = draw_spans(axis, [span], page.gradients)
    return Lane(span.label, span.title, picture, _last_part(span), css)


def _last_part(span: Span) -> str:
    return span.title.rpartition(": ")[2].partition(", ")[0]


def _is_soft(axis: TimeAxis, span: Span) -> bool:
    return any(
        axis.place(high) - axis.place(low) >= 0.25
        for low, high in (span.start_bounds, span.end_bounds)
    )


def _write_total(run: RunRow, page: Page) -> str:
    if run.total_seconds is None:
        seconds = (page.now - run.created_at).total_seconds()
        return f"{format_duration(seconds)} so far"
    return format_bounded(*find_duration(run, "total"))


def _make_phases(
    run: RunRow,
    phases: Sequence[PhaseRow],
    recorded: Sequence[RecordedEvent],
    zero: datetime,
    now: datetime,
) -> list[Span]:
    def at(moment: datetime) -> float:
        return (moment - zero).total_seconds()

    bounds = _find_edges(run, phases, recorded)
    spans: list[Span] = []
    for place, phase in enumerate(phases[:MOST_BARS]):
        start, end = at(phase.entered_at), at(phase.left_at or now)
        low, high = bounds.get(place, (phase.left_at or now, phase.left_at or now))
        before = spans[-1].end_bounds if spans else (start, start)
        words = describe_status(phase.status)
        if phase.left_at is None:
            length = f"{format_duration(end - start)} so far"
        else:
            length = format_bounded(phase.seconds, phase.at_least_seconds, phase.at_most_seconds)
        spans.append(
            Span(
                status_class(phase.status),
                f"{words} {length}",
                start,
                max(start, end),
                before,
                (max(start, min(at(low), end)), max(at(high), start)),
                words,
            )
        )
    # The end of the run is a sharp edge: nothing follows that it could run into.
    if spans:
        spans[-1] = spans[-1]._replace(end_bounds=(spans[-1].end, spans[-1].end))
    return spans


def _find_edges(
    run: RunRow, phases: Sequence[PhaseRow], recorded: Sequence[RecordedEvent]
) -> Mapping[int, tuple[datetime, datetime]]:
    """Returns the bounds of the end of each phase, of the event that tells of it.

    The table counts: an event whose bounds do not have its time is not that of a phase.
    """
    changes = [
        (_status_after(it.event), find_change_bounds(it.event))
        for it in recorded
        if isinstance(it.event, e.Change)
    ]
    found: dict[int, tuple[datetime, datetime]] = {}
    next_change = 0
    for place, phase in enumerate(phases):
        moment = phase.left_at
        if moment is None:
            continue
        following = phases[place + 1].status if place + 1 < len(phases) else run.outcome
        for index in range(next_change, len(changes)):
            status, (low, high) = changes[index]
            if status == following and low <= moment <= high:
                found[place] = (low, high)
                next_change = index + 1
                break
    return found


def _status_after(event: e.Event) -> str | None:
    if isinstance(event, e.RunActionRequired):
        return REQUIRES_ACTION
    return getattr(event, "status", None)


def _make_calls(
    actions: Sequence[ActionRow], recorded: Sequence[RecordedEvent], zero: datetime, now: datetime
) -> list[Span]:
    asked: dict[str, datetime] = {}
    for it in recorded:
        if isinstance(it.event, e.RunActionRequired):
            low, _ = find_change_bounds(it.event)
            for call in it.event.tool_calls:
                asked.setdefault(call.id, low)
    spans = []
    for action in actions:
        start = (action.required_at - zero).total_seconds()
        end = ((action.resolved_at or now) - zero).total_seconds()
        low = asked.get(action.tool_call_id, action.required_at)
        if action.resolved_at is None:
            length = f"{format_duration(end - start)} so far"
        else:
            length = format_bounded(
                action.waited_seconds, action.at_least_seconds, action.at_most_seconds
            )
        name = action.name or action.type or "a call that nobody saw"
        spans.append(
            Span(
                REQUIRES_ACTION,
                f"{name}: {length}",
                start,
                max(start, end),
                (min(start, (low - zero).total_seconds()), start),
                (end, end),
                name,
            )
        )
    return spans


def _make_step(step: StepRow, zero: datetime) -> Span:
    assert step.created_at is not None
    start = (step.created_at - zero).total_seconds()
    ended = step.ended_at or step.created_at
    end = max(start, (ended - zero).total_seconds())
    # A stamp in whole seconds stands for the second that begins with it.
    width = 0.0 if step.created_at.microsecond else 1.0
    end_width = 0.0 if ended.microsecond or step.ended_at is None else 1.0
    seconds = step.seconds
    length = UNKNOWN
    if seconds is not None:
        length = format_bounded(seconds, max(0.0, seconds - width), seconds + end_width)
    tokens = f", {count_noun(step.total_tokens, 'token')}" if step.total_tokens else ""
    name = ", ".join(step.tools) or step.type
    if name == "message_creation":
        name = "message"
    if seconds is not None and not is_whole(seconds):
        length = format_duration(seconds, is_fine=True)
    return Span(
        "step",
        f"{name}: {length}{tokens}",
        start,
        end,
        (start, start + width),
        (end, end + end_width),
        name,
    )
