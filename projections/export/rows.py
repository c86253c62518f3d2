"""Answers as lists of typed rows, and as tables of the libraries that people analyse data with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from types import UnionType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from projections.export.arrow_columns import DIGITS, SCALE, arrow_schema, library, plain
from projections.queries.grouping import DAY, HOUR

if TYPE_CHECKING:
    import polars
    import pyarrow

T = TypeVar("T", bound=tuple[Any, ...])

_GROUP, _PERCENTILES = "group", "percentiles"
_TIMES = {DAY: date, HOUR: datetime}


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
        columns = self._columns()
        schema = arrow_schema(columns)
        pa: Any = library("pyarrow", "arrow")
        return pa.table(self._values(columns), schema=schema)

    def to_polars(self) -> polars.DataFrame:
        """A Polars frame of the same columns as `to_arrow`, times as `Datetime('us', 'UTC')`.

        Raises SettingsError where polars is not installed.
        """
        pl: Any = library("polars", "polars")
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
        return {
            name: plain(kind, [record[name] for record in records])
            for name, kind in columns.items()
        }

    def _fields(self) -> tuple[str, ...]:
        fields: tuple[str, ...] = self._kind._fields  # type: ignore[attr-defined]
        return fields


def _percentile(percent: float) -> str:
    return f"p{percent:g}_seconds"


def _kind_of(hint: Any) -> type:
    """What a value is where it is not None; a tuple is a list to the libraries."""
    if isinstance(hint, UnionType):
        [hint] = [it for it in get_args(hint) if it is not type(None)]
    kind: type = get_origin(hint) or hint
    return list if kind is tuple else kind
