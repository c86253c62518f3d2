"""Answers as lists of typed rows, convertible to records, Arrow and Polars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from types import UnionType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from projections.export.arrow_columns import (
    DIGITS,
    SCALE,
    arrow_schema,
    convert_values,
    import_library,
)
from projections.queries.grouping import DAY, HOUR

if TYPE_CHECKING:
    import polars
    import pyarrow

T = TypeVar("T", bound=tuple[Any, ...])

_GROUP, _PERCENTILES, _RANGES = "group", "percentiles", "ranges"
_TIMES = {DAY: date, HOUR: datetime}


class Rows(list[T], Generic[T]):
    """A list of rows that converts to flat records, or to a table of Arrow or Polars.

    The columns are the fields of the rows. A `group` becomes one column per name, `percentiles`
    become one per percentage, like `p95_seconds`. For pandas: `pandas.DataFrame(rows.records())`.
    """

    def __init__(
        self,
        row_type: type[T],
        rows: Iterable[T],
        *,
        groups: Sequence[str] = (),
        percentiles: Sequence[float] = (),
    ) -> None:
        super().__init__(rows)
        self._row_type, self._groups, self._percentiles = row_type, groups, percentiles

    def records(self) -> list[dict[str, Any]]:
        """Returns one flat dict per row, with the values of the row."""
        return [self._record(row) for row in self]

    def to_arrow(self) -> pyarrow.Table:
        """Returns an Arrow table, whose columns have their types even without rows.

        Times are `timestamp[us, tz=UTC]`, dollars `decimal128(38, 9)`, metadata JSON text. Raises
        SettingsError where pyarrow is not installed.
        """
        columns = self._columns()
        schema = arrow_schema(columns)
        pa: Any = import_library("pyarrow", "arrow")
        return pa.table(self._values(columns), schema=schema)

    def to_polars(self) -> polars.DataFrame:
        """Returns a Polars frame with the columns of `to_arrow`, times as `Datetime('us', 'UTC')`.

        Raises SettingsError where polars is not installed.
        """
        pl: Any = import_library("polars", "polars")
        types = {
            str: pl.String,
            int: pl.Int64,
            float: pl.Float64,
            date: pl.Date,
            datetime: pl.Datetime("us", "UTC"),
            Decimal: pl.Decimal(DIGITS, SCALE),
            list: pl.List(pl.String),
            dict: pl.String,
        }
        columns = self._columns()
        schema = {name: types[type_] for name, type_ in columns.items()}
        frame: polars.DataFrame = pl.DataFrame(self._values(columns), schema=schema)
        return frame

    def _record(self, row: T) -> dict[str, Any]:
        record: dict[str, Any] = {}
        for name, value in zip(self._field_names(), row, strict=True):
            if name == _GROUP:
                record |= value
            elif name == _PERCENTILES:
                record |= {_percentile_name(percent): found for percent, found in value.items()}
            elif name == _RANGES:
                for percent, bounds in value.items():
                    record |= dict(zip(_range_names(percent), bounds, strict=True))
            else:
                record[name] = value
        return record

    def _columns(self) -> dict[str, type]:
        """Returns each column with the type of its values, from the class of the rows."""
        hints = get_type_hints(self._row_type)
        columns: dict[str, type] = {}
        for name in self._field_names():
            if name == _GROUP:
                columns |= {group: _TIMES.get(group, str) for group in self._groups}
            elif name == _PERCENTILES:
                columns |= {_percentile_name(percent): float for percent in self._percentiles}
            elif name == _RANGES:
                for percent in self._percentiles:
                    columns |= dict.fromkeys(_range_names(percent), float)
            else:
                columns[name] = _value_type(hints[name])
        return columns

    def _values(self, columns: dict[str, type]) -> dict[str, list[Any]]:
        records = self.records()
        return {
            name: convert_values(type_, [record[name] for record in records])
            for name, type_ in columns.items()
        }

    def _field_names(self) -> tuple[str, ...]:
        fields: tuple[str, ...] = self._row_type._fields  # type: ignore[attr-defined]
        return fields


def _percentile_name(percent: float) -> str:
    return f"p{percent:g}_seconds"


def _range_names(percent: float) -> tuple[str, str]:
    return f"p{percent:g}_at_least_seconds", f"p{percent:g}_at_most_seconds"


def _value_type(hint: Any) -> type:
    """Returns the type of the values that are not None, and list for tuples."""
    if isinstance(hint, UnionType):
        [hint] = [it for it in get_args(hint) if it is not type(None)]
    type_: type = get_origin(hint) or hint
    return list if type_ is tuple else type_
