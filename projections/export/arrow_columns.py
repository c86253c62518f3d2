"""Columns of typed values as the libraries take them that people analyse data with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

from projections.folding.json_text import json_text
from tracker.errors import SettingsError

if TYPE_CHECKING:
    import pyarrow

# Digits of a dollar: money is kept in billionths.
DIGITS, SCALE = 38, 9


def arrow_schema(columns: Mapping[str, type]) -> pyarrow.Schema:
    """The Arrow schema of columns by the types of their values; any of them may be null.

    Times are `timestamp[us, tz=UTC]`, dollars `decimal128(38, 9)`, documents JSON text. Raises
    SettingsError where pyarrow is not installed.
    """
    pa: Any = library("pyarrow", "arrow")
    types = {
        str: pa.string(),
        int: pa.int64(),
        float: pa.float64(),
        date: pa.date32(),
        datetime: pa.timestamp("us", tz="UTC"),
        Decimal: pa.decimal128(DIGITS, SCALE),
        list: pa.list_(pa.string()),
        dict: pa.string(),
    }
    return pa.schema([(name, types[kind]) for name, kind in columns.items()])


def plain(kind: type, values: Iterable[Any]) -> list[Any]:
    """The values of a column as these libraries take them: moments in UTC, documents as text."""
    made = _PLAIN.get(kind)
    if made is None:
        return list(values)
    return [None if value is None else made(value) for value in values]


def library(name: str, extra: str) -> Any:
    """A library that may be missing. Raises SettingsError, which names the extra that has it."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        package = name.partition(".")[0]
        raise SettingsError(f'this needs {package}: pip install "runfold[{extra}]"') from None


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


_PLAIN: dict[type, Callable[[Any], object]] = {datetime: _in_utc, dict: json_text, list: list}
