"""Tables at any width: no cell loses a letter or a digit, and columns left out are named."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tracker.cli.layout.columns import GAP, Column, Layout, fold_text, lay_out

USAGE = [
    Column("model", "model", ["gpt-4o-mini-2024-07-18", "o4-mini", "–"]),
    Column("runs", "runs", ["1,222", "601", "5"], is_number=True),
    Column("runs_without_usage", "no usage", ["6", "2", "0"], is_number=True),
    Column("prompt_tokens", "prompt", ["1,929,157", "13,436,074", "63,976"], is_number=True),
    Column("total_tokens", "total", ["2,170,917", "14,402,718", "–"], is_number=True),
    Column("cached_tokens", "cached", ["0", "3,968", "10,624"], is_number=True),
]
ACTIONS = [
    Column("run_key", "run", ["week:run_YbdJX9Vs5kUUnAnGs9qJ", "a:run_2", "漢字:run_3"]),
    Column("name", "name", ["ask_human", "issue_refund", "f"]),
    Column("required_at", "required at (UTC)", ["29 Nov 17:11"] * 3),
    Column(
        "arguments",
        "arguments",
        ['{"question": "Is the 2024 filing in scope?"}', "x" * 90, "東京の天気は？ " * 6],
    ),
]
TABLES = {"usage": USAGE, "actions": ACTIONS}
WIDTHS = range(40, 201)


def read_cell(lines: list[str], start: int, width: int) -> str:
    """Returns the text of a cell that may be folded, without its spaces."""
    return "".join(cut_cells(line, start, width) for line in lines).replace(" ", "")


def cut_cells(line: str, start: int, width: int) -> str:
    """Returns the letters that begin in these cells of the terminal."""
    at, found = 0, ""
    for letter in line:
        if start <= at < start + width:
            found += letter
        at += cell_len(letter)
    return found


def check(layout: Layout, columns: list[Column], width: int) -> None:
    assert all(cell_len(line) <= width for line in layout.lines)
    names = [it.column.name for it in layout.placed]
    assert sorted([*names, *(it.name for it in layout.left_out)]) == sorted(
        it.name for it in columns
    )
    rule = next(at for at, line in enumerate(layout.lines) if re.fullmatch("─+", line))
    for it in layout.placed:
        heading = read_cell(layout.lines[:rule], it.start, it.width)
        assert heading == it.column.heading.replace(" ", "")
        # Each cell in its place, in order.
        shown = read_cell(layout.lines[rule + 1 :], it.start, it.width)
        assert shown == "".join(it.column.cells).replace(" ", "")
        if it.column.is_number and len(layout.placed) > 1:
            assert all(cell_len(cell) <= it.width for cell in it.column.cells)


@pytest.mark.parametrize("name", TABLES)
def test_every_cell_is_whole_at_each_width(name: str) -> None:
    columns, shown = TABLES[name], 0
    for width in WIDTHS:
        layout = lay_out(columns, width)
        check(layout, columns, width)
        # A wider terminal shows no fewer columns.
        assert len(layout.placed) >= shown
        shown = len(layout.placed)
    assert shown == len(columns)
    assert lay_out(columns, 200).lines == lay_out(columns, None).lines


@given(st.data())
def test_no_table_loses_a_cell(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 4))
    letters = st.text("ab 漢1,.", min_size=1, max_size=40)
    text = letters.map(lambda it: " ".join(it.split()) or "–")
    number = st.integers(0, 10**12).map("{:,}".format)

    def draw(position: int) -> Column:
        is_number = position > 0 and data.draw(st.booleans())
        cells = data.draw(st.lists(number if is_number else text, min_size=rows, max_size=rows))
        return Column(f"c{position}", data.draw(text), cells, is_number)

    columns = [draw(position) for position in range(data.draw(st.integers(1, 6)))]
    width = data.draw(st.integers(40, 200))
    check(lay_out(columns, width, ["c2", "c1"]), columns, width)


def test_the_least_go_first() -> None:
    layout = lay_out(USAGE, 60, ["prompt_tokens"])
    assert [it.name for it in layout.left_out] == ["prompt_tokens"]
    layout = lay_out(USAGE, 50, ["prompt_tokens", "runs"])
    assert [it.name for it in layout.left_out] == ["runs", "prompt_tokens"]
    assert layout.placed[1].start == layout.placed[0].width + GAP


def test_a_heading_stands_on_its_rule() -> None:
    lines = lay_out([Column("a", "one two", ["1"], True), Column("b", "b", ["2"], True)], 7).lines
    assert lines == [" one", "two  b", "──────", "  1  2"] or lines[1].endswith("b")


@given(st.text(max_size=60), st.integers(2, 20))
def test_folded_text_is_all_there(text: str, width: int) -> None:
    lines = fold_text(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
