"""Rows as a table of HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from html import escape
from typing import Any

from projections.folding.json_text import json_text

_MOST_ROWS = 60
_MOST_CHARACTERS = 200


def format_table(columns: Sequence[str], records: Sequence[Mapping[str, Any]]) -> str:
    """Returns a table of the first records as HTML, with a line that says what is not in it.

    Columns without any value are left out, since most rows report few of the counts.
    """
    shown = records[:_MOST_ROWS]
    used = [it for it in columns if any(record[it] is not None for record in shown)] or columns
    head = "".join(f"<th>{escape(name)}</th>" for name in used)
    lines = [f"<tr>{''.join(_format_cell(record[name]) for name in used)}</tr>" for record in shown]
    notes = [f"{len(records):,} row{'' if len(records) == 1 else 's'}"]
    if len(shown) < len(records):
        notes.append(f"the first {_MOST_ROWS} are shown")
    empty = [it for it in columns if it not in used]
    if empty:
        notes.append(f"without a value: {', '.join(empty)}")
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f"<table>{body}</table><p>{escape('; '.join(notes))}</p>"


def _format_cell(value: object) -> str:
    if value is None:
        return "<td>–</td>"
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        text = f"{value:,.3f}" if isinstance(value, float) else f"{value:,}"
        return f'<td style="text-align: right">{text}</td>'
    if isinstance(value, datetime):
        text = f"{value:%Y-%m-%d %H:%M:%S %Z}"
    elif isinstance(value, dict):
        text = json_text(value)
    elif isinstance(value, list | tuple):
        text = ", ".join(map(str, value))
    else:
        text = str(value)
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[:_MOST_CHARACTERS]} … {len(text) - _MOST_CHARACTERS:,} more"
    return f'<td style="text-align: left">{escape(text)}</td>'
