"""Columns of a table for a width: none is cut, and those that do not fit are left out and named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len, chop_cells, set_cell_size

GAP = 2
# Cells of text up to this width are not folded.
_UNFOLDED = 24
# The width that longer ones may be folded to.
_NARROWEST = 12


class Column(NamedTuple):
    """One column: its name, its heading, and its cells as text."""

    name: str
    heading: str
    cells: Sequence[str]
    is_number: bool = False

    @property
    def natural(self) -> int:
        """Returns the width in which nothing is folded."""
        return max(map(cell_len, (self.heading, *self.cells)))

    @property
    def narrowest(self) -> int:
        """Returns the width that it needs at least. Numbers and ids are not folded."""
        heading = max(cell_len(word) for word in self.heading.split() or [""])
        longest = max(map(cell_len, self.cells), default=0)
        if not self.is_number and longest > _UNFOLDED:
            words = max(cell_len(word) for cell in self.cells for word in cell.split() or [""])
            is_id = words == longest
            longest = min(longest, 2 * _UNFOLDED) if is_id else _NARROWEST
        return max(heading, longest)


class Placed(NamedTuple):
    """A column that is shown: its place from the left, and its width."""

    column: Column
    start: int
    width: int


class Layout(NamedTuple):
    """The lines of a table, and what it has room for."""

    lines: list[str]
    placed: list[Placed]
    left_out: list[Column]

    @property
    def width(self) -> int:
        """Returns the width of the widest line."""
        return self.placed[-1].start + self.placed[-1].width


def lay_out(columns: Sequence[Column], width: int | None, least: Sequence[str] = ()) -> Layout:
    """Lays out columns, which have equally many cells, in a width; None is unlimited.

    The columns named in `least` are left out first, in its order, then the last ones; the first one
    never is.
    """
    shown = list(columns)
    if width is not None:
        while len(shown) > 1 and _sum_widths([it.narrowest for it in shown]) > width:
            optional = [it for name in least for it in shown[1:] if it.name == name]
            shown.remove(optional[0] if optional else shown[-1])
    placed, start = list[Placed](), 0
    for column, wide in zip(shown, _choose_widths(shown, width), strict=True):
        placed.append(Placed(column, start, wide))
        start += wide + GAP
    lines = _make_lines(placed, [it.column.heading for it in placed], is_heading=True)
    lines.append("─" * (start - GAP))
    for row in zip(*(it.column.cells for it in placed), strict=True):
        lines += _make_lines(placed, row)
    return Layout(lines, placed, [it for it in columns if it not in shown])


def _sum_widths(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _choose_widths(columns: Sequence[Column], width: int | None) -> list[int]:
    natural = [it.natural for it in columns]
    if width is None or _sum_widths(natural) <= width:
        return natural
    widths = [it.narrowest for it in columns]
    left = width - _sum_widths(widths)
    if left < 0:
        # Only the first column is left: it is folded, however narrow.
        return [max(1, width)]
    # The widest folds cost most lines, so what is left goes evenly to all that are folded.
    while left and (narrow := [at for at, it in enumerate(natural) if widths[at] < it]):
        for at in narrow[:left]:
            widths[at] += 1
        left -= min(left, len(narrow))
    return widths


def _make_lines(
    placed: Sequence[Placed], texts: Sequence[str], *, is_heading: bool = False
) -> list[str]:
    folded = [fold_text(text, it.width) for text, it in zip(texts, placed, strict=True)]
    height = max(map(len, folded))
    lines = []
    for number in range(height):
        line = ""
        for it, parts in zip(placed, folded, strict=True):
            # Headings stand on their rule.
            at = number - (height - len(parts)) if is_heading else number
            part = parts[at] if 0 <= at < len(parts) else ""
            if it.column.is_number:
                part = " " * (it.width - cell_len(part)) + part
            line = set_cell_size(line, it.start) + part
        lines.append(line.rstrip())
    return lines


def fold_text(text: str, width: int) -> list[str]:
    """Returns a text as lines of at most `width` cells: between words, else within them."""
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(joined) <= width:
            lines[-1] = joined
            continue
        parts = chop_cells(word, width) if cell_len(word) > width else [word]
        lines[-1:] = [lines[-1], *parts] if lines[-1] else parts
    return lines
