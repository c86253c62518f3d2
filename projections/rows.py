"""Answers as lists of typed rows, and as tables of the libraries that people analyse data with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import import_module
from types import UnionType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from projections.grouping import DAY, HOUR
from projections.json_text import json_text
from tracker.errors import SettingsError

if TYPE_CHECKING:
    import polars
    import pyarrow

T = TypeVar("T", bound=tuple[Any, ...])

_GROUP, _PERCENTILES = "group", "percentiles"
_TIMES = {DAY: date, HOUR: datetime}
# Digits of a dollar: money is kept in billionths.
_DIGITS, _SCALE = 38, 9


class Rows(list[T], Generic[T]):
    """A list of rows that can be made flat records, or a table of Arrow or Polars.

    Their columns are those of the rows: a `group` is one for each of its names, `percentiles`
    one for each percentage, like `p95_seconds`. With pandas: `pandas.DataFrame(rows.records())`.
    """

    def __init__(
        self,
        kind: type[T],
        rows: Iterable[T],
        *,
        groups: Sequence[str] = (),
        percentiles: Sequence[float] = (),
    ) -> None:
        super().__init__(rows)
        self._kind, self._groups, self._percentiles = kind, groups, percentiles

    def records(self) -> list[dict[str, Any]]:
        """One flat dict for each row, its values as the row has them."""
        return [self._record(row) for row in self]

    def to_arrow(self) -> pyarrow.Table:
        """An Arrow table whose columns have the types of the rows, also where there are none.

        Times are `timestamp[us, tz=UTC]`, dollars `decimal128(38, 9)`, metadata JSON text. Raises
        SettingsError where pyarrow is not installed.
        """
        pa: Any = _library("pyarrow", "arrow")
        types = {
            str: pa.string(),
            int: pa.int64(),
            float: pa.float64(),
            date: pa.date32(),
            datetime: pa.timestamp("us", tz="UTC"),
            Decimal: pa.decimal128(_DIGITS, _SCALE),
            list: pa.list_(pa.string()),
            dict: pa.string(),
        }
        columns = self._columns()
        schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
        return pa.table(self._values(columns), schema=schema)

    def to_polars(self) -> polars.DataFrame:
        """A Polars frame of the same columns as `to_arrow`, times as `Datetime('us', 'UTC')`.

        Raises SettingsError where polars is not installed.
        """
        pl: Any = _library("polars", "polars")
        types = {
            str: pl.String,
            int: pl.Int64,
            float: pl.Float64,
            date: pl.Date,
            datetime: pl.Datetime("us", "UTC"),
            Decimal: pl.Decimal(_DIGITS, _SCALE),
            list: pl.List(pl.String),
            dict: pl.String,
        }
        columns = self._columns()
        schema = {name: types[kind] for name, kind in columns.items()}
        frame: polars.DataFrame = pl.DataFrame(self._values(columns), schema=schema)
        return frame

    def _record(self, row: T) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for name, value in zip(self._fields(), row, strict=True):
            if name == _GROUP:
                record |= value
            elif name == _PERCENTILES:
                record |= {_percentile(percent): found for percent, found in value.items()}
            else:
                record[name] = value
        return record

    def _columns(self) -> dict[str, type]:
        """Each column and what its values are, from the class of the rows."""
        hints = get_type_hints(self._kind)
        columns: dict[str, type] = {}
        for name in self._fields():
            if name == _GROUP:
                columns |= {group: _TIMES.get(group, str) for group in self._groups}
            elif name == _PERCENTILES:
                columns |= {_percentile(percent): float for percent in self._percentiles}
            else:
                columns[name] = _kind_of(hints[name])
        return columns

    def _values(self, columns: dict[str, type]) -> dict[str, list[Any]]:
        records = self.records()
        values = {}
        for name, kind in columns.items():
            plain = _PLAIN.get(kind)
            found = [record[name] for record in records]
            values[name] = (
                found if plain is None else [None if it is None else plain(it) for it in found]
            )
        return values

    def _fields(self) -> tuple[str, ...]:
        fields: tuple[str, ...] = self._kind._fields  # type: ignore[attr-defined]
        return fields


def _percentile(percent: float) -> str:
    return f"p{percent:g}_seconds"


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


_PLAIN: dict[type, Callable[[Any], object]] = {datetime: _in_utc, dict: json_text, list: list}


def _kind_of(hint: Any) -> type:
    """What a value is where it is not None; a tuple is a list to the libraries."""
    if isinstance(hint, UnionType):
        [hint] = [it for it in get_args(hint) if it is not type(None)]
    kind: type = get_origin(hint) or hint
    return list if kind is tuple else kind


def _library(name: str, extra: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise SettingsError(f'this needs {name}: pip install "runfold[{extra}]"') from None
