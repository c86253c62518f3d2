"""Columns of typed values for Arrow and Polars."""

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

# Of a dollar as a decimal: costs are in billionths.
DIGITS, SCALE = 38, 9


def arrow_schema(columns: Mapping[str, type]) -> pyarrow.Schema:
    """Returns the Arrow schema of columns from the types of their values, all nullable.

    Times are `timestamp[us, tz=UTC]`, dollars `decimal128(38, 9)`, dicts JSON text. Raises
    SettingsError where pyarrow is not installed.
    """
    pa: Any = import_library("pyarrow", "arrow")
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
    return pa.schema([(name, types[type_]) for name, type_ in columns.items()])


def convert_values(type_: type, values: Iterable[Any]) -> list[Any]:
    """Converts the values of a column: times to UTC, dicts to JSON text, tuples to lists."""
    convert = _CONVERTERS.get(type_)
    if convert is None:
        return list(values)
    return [None if value is None else convert(value) for value in values]


def import_library(name: str, extra: str) -> Any:
    """Imports an optional library. Raises SettingsError with its extra if it is missing."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        package = name.partition(".")[0]
        raise SettingsError(f'this needs {package}: pip install "runfold[{extra}]"') from None


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


_CONVERTERS: dict[type, Callable[[Any], object]] = {datetime: _in_utc, dict: json_text, list: list}
