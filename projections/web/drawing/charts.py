"""Charts by pygal, without the scripts and styles that it writes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree

from markupsafe import Markup

from projections.web.drawing.svg import make_element
from projections.web.words import escape_unsafe, pick_steps

_NUMBER = re.compile(r"-?\d+\.\d+")
_DROPPED_TAGS = frozenset(("defs", "script", "style", "title", "desc"))
_DROPPED_CLASSES = ("overlay", "tooltip", "background", "titles", "legends")
_KEPT = frozenset(("class", "transform", "d", "x", "y", "width", "height", "cx", "cy", "r"))


class Series(NamedTuple):
    """One series of a chart."""

    name: str
    # The name in the style sheet.
    css: str
    # One for each bar; None is a gap.
    values: Sequence[float | None]


class ChartSize(NamedTuple):
    """The size of a chart in the units of its own picture."""

    width: int
    height: int


TWO_COLUMNS, THREE_COLUMNS = ChartSize(520, 190), ChartSize(340, 150)


def draw_stack(
    label: str,
    labels: Sequence[str],
    titles: Sequence[str],
    series: Sequence[Series],
    format_value: Callable[[float], str],
) -> Markup:
    """Draws stacked bars, the first series at the bottom."""
    sums = [sum(it.values[at] or 0 for it in series) for at in range(len(labels))]
    steps = pick_steps(max(sums, default=0))
    chart = _configure("StackedBar", TWO_COLUMNS, labels, format_value)
    chart.y_labels, chart.range = steps, (0, steps[-1] * 1.0001)
    return _draw(chart, TWO_COLUMNS, label, titles, series, format_value)


def draw_lines(
    label: str,
    labels: Sequence[str],
    titles: Sequence[str],
    series: Sequence[Series],
    marks: Sequence[float],
    format_value: Callable[[float], str],
) -> Markup:
    """Draws lines on a logarithmic scale with these marks."""
    chart = _configure("Line", THREE_COLUMNS, labels, format_value)
    chart.config.logarithmic = True
    chart.config.dots_size = 2
    chart.y_labels, chart.range = list(marks), (marks[0] * 0.999, marks[-1] * 1.001)
    return _draw(chart, THREE_COLUMNS, label, titles, series, format_value)


def _import_pygal() -> tuple[Any, Any]:
    """Imports pygal, without the importer of its plugins, of which Python warns at each import."""
    import pygal
    from pygal import style

    sys.meta_path[:] = [it for it in sys.meta_path if type(it).__module__ != pygal.__name__]
    return pygal, style


def _configure(
    kind: str, size: ChartSize, labels: Sequence[str], format_value: Callable[[float], str]
) -> Any:
    pygal, style = _import_pygal()
    chart = getattr(pygal, kind)(
        width=size.width,
        height=size.height,
        show_legend=False,
        margin=2,
        margin_top=8,
        spacing=3,
        js=[],
        css=[],
        style=style.Style(label_font_size=11, major_label_font_size=11),
        value_formatter=format_value,
        show_minor_x_labels=False,
    )
    most = 8 if size is TWO_COLUMNS else 4
    every = -(-len(labels) // most) or 1
    # Numbered, since pygal takes two equal labels for one.
    chart.x_labels = [str(at) for at in range(len(labels))]
    chart.x_labels_major = [str(at) for at in range(0, len(labels), every)]
    chart.config.truncate_label = -1
    chart.shown_labels = list(labels)
    return chart


def _draw(
    chart: Any,
    size: ChartSize,
    label: str,
    titles: Sequence[str],
    series: Sequence[Series],
    format_value: Callable[[float], str],
) -> Markup:
    if not any(value for it in series for value in it.values):
        return make_element(
            "svg",
            viewBox=f"0 0 {size.width} {size.height}",
            class_="chart",
            role="img",
            aria_label=f"{label}: nothing to show",
        )
    for it in series:
        chart.add(it.css, list(it.values))
    tree: ElementTree.Element = chart.render_tree()
    for element in tree.iter():
        element.tag = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else "desc"
    plot = next(it for it in tree.iter("g") if it.get("class") == "plot")
    for group in _children_of_class(plot, "axis x"):
        for text in group.iter("text"):
            shown = text.text or ""
            text.text = chart.shown_labels[int(shown)] if shown.isdigit() else ""
    groups = [it for it in plot.iter("g") if (it.get("class") or "").startswith("series")]
    # The dots of lines lie in another part of the picture.
    overlay = [
        it
        for part in tree.iter("g")
        if part.get("class") == "plot overlay"
        for it in _children_of_class(part, "series")
    ]
    for it, group, over in zip(series, groups, overlay, strict=True):
        group.set("class", f"series k-{it.css}")
        group.extend(over.iter("circle"))
        _title_values(group, it, titles, format_value)
    _clean(plot)
    body = ElementTree.tostring(plot, encoding="unicode", short_empty_elements=True)
    return make_element(
        "svg",
        # Its texts are ours, or were escaped as they were set.
        Markup(body),
        viewBox=f"0 0 {size.width} {size.height}",
        class_="chart" if size is TWO_COLUMNS else "chart small3",
        role="img",
        aria_label=label,
    )


def _children_of_class(parent: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [it for it in parent.iter("g") if (it.get("class") or "").startswith(name)]


def _title_values(
    group: ElementTree.Element,
    series: Series,
    titles: Sequence[str],
    format_value: Callable[[float], str],
) -> None:
    """Puts one title into each bar or dot, of its own value and label."""
    marked = [
        it
        for it in group.iter()
        if it.tag == "rect" or (it.tag == "circle" and "dot" in (it.get("class") or ""))
    ]
    # A bar is drawn for a gap too, a dot is not.
    places = list(range(len(series.values)))
    if len(marked) < len(places):
        places = [at for at in places if series.values[at] is not None]
    for at, element in zip(places, marked, strict=False):
        value = series.values[at]
        title = ElementTree.SubElement(element, "bartitle")
        title.text = escape_unsafe(f"{titles[at]}: {series.name} {format_value(value or 0)}")


def _clean(element: ElementTree.Element) -> None:
    for child in list(element):
        name = child.get("class") or ""
        if child.tag in _DROPPED_TAGS or any(it in name.split() for it in _DROPPED_CLASSES):
            element.remove(child)
            continue
        if child.tag == "rect" and child.get("height") in ("0", "0.0"):
            element.remove(child)
            continue
        _clean(child)
        if child.tag == "g" and not len(child):
            element.remove(child)
    if element.tag == "bartitle":
        element.tag = "title"
    if element.tag == "circle":
        element.set("class", "dot")
    if element.tag == "rect":
        element.attrib.pop("class", None)
    if element.tag in ("text", "g") and element.get("class") == "":
        del element.attrib["class"]
    for name, value in list(element.attrib.items()):
        if name not in _KEPT:
            del element.attrib[name]
        elif name != "class":
            element.set(name, _NUMBER.sub(lambda it: f"{round(float(it[0]), 1):g}", value))
