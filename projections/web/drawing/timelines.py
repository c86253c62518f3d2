"""Timelines: lanes of phases, calls and steps, with the bounds of their edges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from projections.web.drawing.svg import make_element, percent, write_text
from projections.web.drawing.time_axis import TimeAxis
from projections.web.words import (
    count_noun,
    describe_status,
    format_duration,
    status_class,
)

MOST_LANES, MOST_BARS = 40, 500
# Bounds that are narrower, in per cent of the width, are a sharp edge.
_SHARP = 0.25
# A phase is labelled inside if this many per cent are free for each letter, and a few at the ends.
_LETTER, _PADDING = 0.92, 1.6
_PHASE_HEIGHT, _LANE_HEIGHT = 24, 20
# Between two folds whose lengths are written, in per cent.
_FOLD_ROOM, _NARROW_FOLD_ROOM = 7.0, 20.0


class Span(NamedTuple):
    """Something that lasted, in seconds from any zero."""

    # The name in the style sheet, and the title.
    css: str
    title: str
    start: float
    end: float
    # The bounds of both edges; a pair of equal values is exact.
    start_bounds: tuple[float, float]
    end_bounds: tuple[float, float]
    # Written inside if there is room.
    label: str = ""


class Lane(NamedTuple):
    """One lane of a timeline, as HTML shows it."""

    label: str
    title: str
    picture: Markup
    length: str
    css: str = ""
    url: str | None = None
    status: str | None = None


class GradientIds:
    """Ids of gradients, each used once on a page."""

    def __init__(self) -> None:
        self._last = 0

    def make(self) -> str:
        """Returns an id that this page has not used."""
        self._last += 1
        return f"g{self._last}"


def draw_axis(axis: TimeAxis) -> Markup:
    """Draws the ticks of an axis with their times since its start, and what was folded."""
    parts: list[Markup] = []
    places: list[float] = []
    for fold in axis.folds:
        place = (axis.place(fold.start) + axis.place(fold.end)) / 2
        places.append(place)
        text = f"{format_duration(fold.end - fold.start)} folded"
        anchor = _anchor(place, 8)
        parts.append(make_element("text", Markup(text), x=percent(place), y=11, text_anchor=anchor))
    for tick in axis.ticks():
        place = axis.place(axis.start + tick)
        if any(abs(place - it) < 12 for it in places):
            continue
        parts += [
            make_element("line", x1=percent(place), x2=percent(place), y1=14, y2=19, class_="tick"),
            make_element(
                "text",
                Markup("{}").format(_tick_label(tick)),
                x=percent(place),
                y=11,
                text_anchor=_anchor(place, 2),
            ),
        ]
    return make_element("svg", *parts, class_="lane", width="100%", height=19, aria_hidden="true")


def draw_fold_axis(axis: TimeAxis) -> Markup:
    """Draws how long each fold is, where there is room for it; on a narrow screen fewer."""
    last, last_narrow, parts = -100.0, -100.0, []
    for fold in axis.folds:
        place = (axis.place(fold.start) + axis.place(fold.end)) / 2
        if place - last < _FOLD_ROOM:
            continue
        last = place
        is_narrow = place - last_narrow >= _NARROW_FOLD_ROOM
        last_narrow = place if is_narrow else last_narrow
        parts.append(
            make_element(
                "text",
                Markup("{}").format(format_duration(fold.end - fold.start)),
                x=percent(place),
                y=11,
                text_anchor="middle",
                class_=None if is_narrow else "opt",
            )
        )
    return make_element("svg", *parts, class_="lane", width="100%", height=19, aria_hidden="true")


def draw_thread_run(axis: TimeAxis, spans: Sequence[Span]) -> Markup:
    """Draws the phases of one run of a thread, whose axis has folds and no ticks."""
    parts = [
        make_element(
            "rect",
            title=it.title,
            x=percent(axis.place(it.start)),
            y=3,
            width=percent(max(axis.place(it.end) - axis.place(it.start), _SHARP)),
            height=_LANE_HEIGHT - 6,
            class_=f"f-{it.css}",
        )
        for it in spans
    ]
    return _lane(axis, _LANE_HEIGHT, [], parts, _describe(spans, len(spans)))


def draw_phases(axis: TimeAxis, spans: Sequence[Span], ids: GradientIds) -> Markup:
    """Draws phases one after another; between the bounds of a change one runs into the next."""
    shown = spans[:MOST_BARS]
    label = _describe(shown, len(spans))
    parts = [*_guides(axis, _PHASE_HEIGHT)]
    defs: list[Markup] = []
    texts: list[Markup] = []
    for at, span in enumerate(shown):
        following = shown[at + 1] if at + 1 < len(shown) else None
        start = axis.place(span.start_bounds[1] if at else span.start)
        low, high = span.end_bounds
        is_soft = following is not None and axis.place(high) - axis.place(low) >= _SHARP
        end = axis.place(low) if is_soft else axis.place(span.end)
        if end > start:
            # A little over the next one, so that no gap shows between them.
            width = min(end - start + 0.1, 100 - start)
            parts.append(
                make_element(
                    "rect",
                    title=span.title,
                    x=percent(start),
                    y=0,
                    width=percent(width),
                    height=_PHASE_HEIGHT,
                    class_=f"f-{span.css}",
                )
            )
            room = (end - start) - 2 * _PADDING
            if room >= _LETTER * len(span.label) and not _is_folded(axis, start, end):
                texts.append(
                    make_element(
                        "text",
                        write_text(span.label),
                        x=percent(start),
                        dx=7,
                        y=16,
                        class_=f"on-{span.css}",
                    )
                )
        if is_soft and following is not None:
            name = ids.make()
            defs.append(_gradient(name, f"s-{span.css}", f"s-{following.css}"))
            left = max(start, axis.place(low))
            parts.append(
                make_element(
                    "rect",
                    title=(
                        f"{span.label} until some moment in here: "
                        f"known to {format_duration(high - low, is_fine=True)}"
                    ),
                    x=percent(left),
                    y=0,
                    width=percent(max(0.0, axis.place(high) - left)),
                    height=_PHASE_HEIGHT,
                    fill=f"url(#{name})",
                )
            )
    return _lane(axis, _PHASE_HEIGHT, defs, [*parts, *texts], label)


def draw_spans(axis: TimeAxis, spans: Sequence[Span], ids: GradientIds) -> Markup:
    """Draws calls or steps, whose ends fade out between their bounds."""
    parts = [*_guides(axis, _LANE_HEIGHT)]
    defs: list[Markup] = []
    for span in spans[:MOST_BARS]:
        start, end = axis.place(span.start), axis.place(span.end)
        for edge, bounds in (("start", span.start_bounds), ("end", span.end_bounds)):
            low, high = axis.place(bounds[0]), axis.place(bounds[1])
            if high - low < _SHARP:
                continue
            name, colour, clear = ids.make(), f"s-{span.css}", f"s-{span.css} clear"
            if edge == "start":
                defs.append(_gradient(name, clear, colour))
                start = max(start, high) if high <= end else start
                high = min(high, start)
            else:
                defs.append(_gradient(name, colour, clear))
                end = min(end, low) if low >= start else end
                low = max(low, end)
            parts.append(
                make_element(
                    "rect",
                    x=percent(low),
                    y=3,
                    width=percent(max(0.0, high - low)),
                    height=_LANE_HEIGHT - 6,
                    fill=f"url(#{name})",
                )
            )
        parts.append(
            make_element(
                "rect",
                title=span.title,
                x=percent(start),
                y=3,
                width=percent(max(end - start, _SHARP)),
                height=_LANE_HEIGHT - 6,
                class_=f"f-{span.css}",
            )
        )
    return _lane(axis, _LANE_HEIGHT, defs, parts, "; ".join(it.title for it in spans[:5]))


def draw_phase_bar(phases: Iterable[tuple[str, float]], share: float = 1.0) -> Markup:
    """Draws how a run spent its time: statuses with their seconds, over a share of the width."""
    found = _join_equal(phases)
    whole = sum(seconds for _, seconds in found)
    parts, at = [], 0.0
    for status, seconds in found:
        width = 100 * share * (seconds / whole if whole else 1 / len(found))
        title = f"{describe_status(status)} {format_duration(seconds)}"
        parts.append(
            make_element(
                "rect",
                title=title,
                x=percent(at),
                y=0,
                width=percent(width),
                height=9,
                class_=f"f-{status_class(status)}",
            )
        )
        at += width
    words = [f"{describe_status(it)} {format_duration(seconds)}" for it, seconds in found[:8]]
    more = f" and {len(found) - 8} more" if len(found) > 8 else ""
    return make_element(
        "svg",
        *parts,
        class_="lane mini",
        width="100%",
        height=9,
        role="img",
        aria_label=f"{', '.join(words)}{more}" if words else "no phases are known",
    )


def _join_equal(phases: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """Returns phases with neighbours of one status joined, and few enough to draw."""
    found: list[tuple[str, float]] = []
    for status, seconds in phases:
        if found and found[-1][0] == status:
            found[-1] = (status, found[-1][1] + max(0.0, seconds))
        else:
            found.append((status, max(0.0, seconds)))
    if len(found) > MOST_BARS // 10:
        sums: dict[str, float] = {}
        for status, seconds in found:
            sums[status] = sums.get(status, 0.0) + seconds
        return list(sums.items())
    return found


def draw_shares(parts: Sequence[tuple[str, int]], describe: Callable[[str, int], str]) -> Markup:
    """Draws counts as shares of one bar."""
    whole = sum(number for _, number in parts)
    at, rects = 0.0, []
    for name, number in parts:
        if not number:
            continue
        width = 100 * number / whole
        rects.append(
            make_element(
                "rect",
                title=describe(name, number),
                x=percent(at),
                y=0,
                width=percent(width),
                height=10,
                class_=f"f-{status_class(name)}",
            )
        )
        at += width
    label = ", ".join(f"{describe_status(name)} {number:,}" for name, number in parts if number)
    return make_element(
        "svg",
        *rects,
        class_="lane",
        width="100%",
        height=10,
        role="img",
        aria_label=label or "no runs ended",
    )


def _lane(
    axis: TimeAxis, height: int, defs: Sequence[Markup], parts: Sequence[Markup], label: str
) -> Markup:
    body = [make_element("defs", *defs)] if defs else []
    body += [
        make_element(
            "rect",
            x=percent(axis.place(it.start)),
            y=-2,
            width=percent(axis.fold_width),
            height=height + 4,
            class_="foldbg",
        )
        for it in axis.folds
    ]
    body += parts
    body += [
        make_element(
            "rect",
            x=percent(axis.place(it.start)),
            y=0,
            width=percent(axis.fold_width),
            height=height,
            fill="url(#hatch)",
        )
        for it in axis.folds
    ]
    return make_element(
        "svg", *body, class_="lane", width="100%", height=height, role="img", aria_label=label
    )


def _guides(axis: TimeAxis, height: int) -> list[Markup]:
    places = [percent(axis.place(axis.start + tick)) for tick in axis.ticks()]
    return [
        make_element("line", x1=it, x2=it, y1=-2, y2=height + 2, class_="tick") for it in places
    ]


def _gradient(name: str, left: str, right: str) -> Markup:
    return make_element(
        "linearGradient",
        make_element("stop", offset=0, class_=left),
        make_element("stop", offset=1, class_=right),
        id=name,
    )


def _describe(spans: Sequence[Span], number: int) -> str:
    words = ", ".join(it.title for it in spans[:12])
    more = number - min(len(spans), 12)
    return words + (f" and {count_noun(more, 'more phase')}" if more > 0 else "")


def _is_folded(axis: TimeAxis, start: float, end: float) -> bool:
    """True if the beginning of a stretch, where its label would be, is in a fold."""
    return any(axis.place(it.start) < start + 8 and axis.place(it.end) > start for it in axis.folds)


def _anchor(place: float, margin: float) -> str:
    return "start" if place < margin else "end" if place > 100 - margin else "middle"


def _tick_label(seconds: float) -> str:
    if seconds == 0:
        return "0"
    if seconds < 1:
        return f"{seconds:g} s"
    return format_duration(seconds)


def open_span(status: str, start: float, end: float, title: str) -> Span:
    """Returns a phase whose edges are exact."""
    edge = (start, start), (end, end)
    return Span(status_class(status), title, start, end, *edge, describe_status(status))
