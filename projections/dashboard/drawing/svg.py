"""Elements of SVG as text, in which each value is escaped."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from projections.dashboard.words import cut_text, escape_unsafe


def make_element(tag: str, *children: Markup, title: str | None = None, **values: object) -> Markup:
    """Returns an element with its children; `title` is shown where the mouse rests.

    An underscore at the end of the name of an attribute is left out, others become hyphens;
    numbers are rounded to thousandths, and None is no attribute.
    """
    attributes = Markup("").join(
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _write(value))
        for name, value in values.items()
        if value is not None
    )
    if title is not None:
        children = (Markup("<title>{}</title>").format(write_text(title)), *children)
    if not children:
        return Markup("<{}{}/>").format(Markup(tag), attributes)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), attributes, join_elements(children))


def join_elements(elements: Iterable[Markup]) -> Markup:
    """Returns elements one after another."""
    return Markup("").join(elements)


def write_text(text: str) -> Markup:
    """Returns a text as it may stand in an element: escaped, cut, without controls."""
    return escape(cut_text(escape_unsafe(text)))


def percent(value: float) -> str:
    """Returns a place on a lane, in per cent of its width."""
    return f"{round(value, 3):g}%"


def _write(value: object) -> Markup:
    if isinstance(value, float):
        value = f"{round(value, 3):g}"
    return write_text(value) if isinstance(value, str) else escape(value)
