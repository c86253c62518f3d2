"""Elements of SVG as text, in which each value is escaped."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from projections.web.words import cut_text, escape_unsafe


def make_element(tag: str, *children: Markup, title: str | None = None, **values: object) -> Markup:
    """Returns an element with its children; `title` is shown where the mouse rests.

    An underscore at the end of the name of an attribute is left out, others become hyphens;
    numbers are rounded to thousandths, and None is no attribute.
    """
    attributes = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_write(value)}"'
        for name, value in values.items()
        if value is not None
    )
    inner = "".join(children)
    if title is not None:
        inner = f"<title>{write_text(title)}</title>{inner}"
    # Each part of it is escaped, or an element itself.
    return Markup(f"<{tag}{attributes}>{inner}</{tag}>" if inner else f"<{tag}{attributes}/>")


def join_elements(elements: Iterable[Markup]) -> Markup:
    """Returns elements one after another."""
    return Markup("").join(elements)


def write_text(text: str) -> Markup:
    """Returns a text as it may stand in an element: escaped, cut, without controls."""
    return escape(cut_text(escape_unsafe(text)))


def percent(value: float) -> str:
    """Returns a place on a lane, in per cent of its width."""
    return f"{round(value, 3):g}%"


def _write(value: object) -> str:
    if isinstance(value, float):
        return f"{round(value, 3):g}"
    return write_text(value) if isinstance(value, str) else str(escape(value))
