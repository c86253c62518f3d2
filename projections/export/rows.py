"""Answers as lists of typed rows, convertible to records, Arrow and Polars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from types import GenericAlias, UnionType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from projections.export.arrow_columns import (
    DIGITS,
    SCALE,
    arrow_schema,
    convert_values,
    import_library,
)
from projections.export.notebook_table import format_table
from projections.queries.grouping import DAY, HOUR
from projections.row_types import (
    GROUP,
    PERCENTILES,
    RANGES,
    Row,
    field_names,
    percentile_name,
    range_names,
)

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

T = TypeVar("T", bound=Row)

_TIMES = {DAY: date, HOUR: datetime}


class Rows(list[T], Generic[T]):
    """A list of rows that converts to flat records, or to a table of pandas, Polars or Arrow.

    The columns are the fields of the rows. A `group` becomes one column per name, `percentiles`
    become one per percentage, like `p95_seconds`. A notebook shows it as a table.
    """

    def __init__(
        self,
        row_type: type[T],
        rows: Iterable[T],
        *,
        groups: Sequence[str] = (),
        percentiles: Sequence[float] = (),
        next_cursor: str | None = None,
        note: str | None = None,
    ) -> None:
        super().__init__(rows)
        # The cursor of the runs that follow; None if there are no more.
        self.next_cursor = next_cursor
        # A limit of the answer that is to be said with it; None if it is complete.
        self.note = note
        self._row_type, self._groups, self._percentiles = row_type, groups, percentiles

    def records(self) -> list[dict[str, Any]]:
        """Returns one flat dict per row, with the values of the row."""
        return [row.record() for row in self]

    def to_arrow(self) -> pyarrow.Table:
        """Returns an Arrow table, whose columns have their types even without rows.

        Times are `timestamp[us, tz=UTC]`, dollars `decimal128(38, 9)`, metadata JSON text. Raises
        SettingsError where pyarrow is not installed.
        """
        columns = self._columns()
        schema = arrow_schema(columns)
        pa: Any = import_library("pyarrow", "arrow")
        return pa.table(self._values(columns), schema=schema)

    def to_pandas(self) -> pandas.DataFrame:
        """Returns a frame of pandas with the columns of `to_arrow`.

        Counts are `Int64` and texts `string`, which have missing values; durations are `float64`,
        times `datetime64[us, UTC]`, days and dollars objects. Raises SettingsError where pandas is
        not installed.
        """
        pd: Any = import_library("pandas", "pandas")
        types = {
            str: "string",
            int: "Int64",
            float: "float64",
            datetime: "datetime64[us, UTC]",
            dict: "string",
        }
        columns = self._columns()
        series = {
            name: pd.Series(values, dtype=types.get(columns[name], "object"))
            for name, values in self._values(columns).items()
        }
        frame: pandas.DataFrame = pd.DataFrame(series, columns=list(columns))
        return frame

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

    def _repr_html_(self) -> str:
        """Returns the table that a notebook shows."""
        return format_table(list(self._columns()), self.records())

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Describes the rows to FastAPI and Pydantic as a list of objects."""
        [row_type] = get_args(source) or (Any,)
        return handler.generate_schema(GenericAlias(list, (row_type,)))

    def _columns(self) -> dict[str, type]:
        """Returns each column with the type of its values, from the class of the rows."""
        hints = get_type_hints(self._row_type)
        columns: dict[str, type] = {}
        for name in field_names(self._row_type):
            if name == GROUP:
                columns |= {group: _TIMES.get(group, str) for group in self._groups}
            elif name == PERCENTILES:
                columns |= {percentile_name(percent): float for percent in self._percentiles}
            elif name == RANGES:
                for percent in self._percentiles:
                    columns |= dict.fromkeys(range_names(percent), float)
            else:
                columns[name] = _value_type(hints[name])
        return columns

    def _values(self, columns: dict[str, type]) -> dict[str, list[Any]]:
        records = self.records()
        return {
            name: convert_values(type_, [record[name] for record in records])
            for name, type_ in columns.items()
        }


def _value_type(hint: Any) -> type:
    """Returns the type of the values that are not None, and list for tuples."""
    if isinstance(hint, UnionType):
        [hint] = [it for it in get_args(hint) if it is not type(None)]
    type_: type = get_origin(hint) or hint
    if type_ is tuple and issubclass(get_args(hint)[0], Row):
        # Rows within a row are JSON text.
        return dict
    return list if type_ is tuple else type_
