"""Tables of `.github/COMPATIBILITY.md`, made from the code.

`python -m tests.support.compatibility_page` brings those of the page up to date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from tests.support import public_surface as surface
from tests.support.paths import ROOT

Rows = list[list[str]]

PAGE = ROOT / ".github" / "COMPATIBILITY.md"


def read_rows(page: str, header: str) -> Rows:
    """Returns the cells of a table of a page, without those of its header."""
    lines = _find_table(page, header)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def rewrite(page: str) -> str:
    """Returns a page with the tables that the code makes."""
    for header, rows in TABLES.items():
        found = _find_table(page, header)
        lines = [header, "|" + " --- |" * (header.count("|") - 1)]
        lines += [f"| {' | '.join(cells)} |" for cells in rows()]
        page = page[: found.start()] + "\n".join(lines) + "\n" + page[found.end() :]
    return page


def _find_table(page: str, header: str) -> re.Match[str]:
    found = re.search(rf"^{re.escape(header)}\n(\|.*\n)*", page, re.MULTILINE)
    assert found is not None, f"no table {header}"
    return found


def _list_modules() -> Rows:
    return [[_quote([name]), _quote(surface.list_names(name))] for name in surface.MODULES]


def _list_classes() -> Rows:
    return [[_quote([name]), _quote(found)] for name, found in surface.list_classes().items()]


def _list_events() -> Rows:
    return [
        [_quote([name]), _quote([topic] if topic else []), _quote(required), _quote(optional)]
        for name, (topic, required, optional) in surface.list_events().items()
    ]


def _list_tables() -> Rows:
    return [
        [_quote([name]), _quote(key), _quote(columns)]
        for name, (key, columns) in surface.list_tables().items()
    ]


def _list_commands() -> Rows:
    return [
        [_quote([name]), _quote(arguments), _quote(options)]
        for name, (arguments, options) in surface.list_commands().items()
    ]


def _list_metrics() -> Rows:
    return [
        [_quote([name]), kind, _quote(labels)]
        for name, (kind, labels) in surface.list_metrics().items()
    ]


def _list_spans() -> Rows:
    return [
        [_quote([name]) if name.isidentifier() else name, kind, _quote(names)]
        for name, (kind, names) in surface.list_spans().items()
    ]


def _list_values() -> Rows:
    return [[what, _quote(names)] for what, names in surface.list_values().items()]


def _quote(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# What makes the rows of each table, by the header of the table.
TABLES: dict[str, Callable[[], Rows]] = {
    "| module | names |": _list_modules,
    "| class | methods and fields |": _list_classes,
    "| event | topic | required fields | optional fields |": _list_events,
    "| table or view | key | columns |": _list_tables,
    "| command | arguments | options |": _list_commands,
    "| metric | type | labels |": _list_metrics,
    "| span | kind | attributes |": _list_spans,
    "| kind of name | names |": _list_values,
}


if __name__ == "__main__":
    PAGE.write_text(rewrite(PAGE.read_text("utf-8")), "utf-8")
