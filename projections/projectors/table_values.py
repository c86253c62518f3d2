"""Values of an application for its own tables, in the form in which they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, Column, Dialect, Enum, Numeric, String, Table

from projections.database.schema import UtcDateTime
from projections.folding.json_text import json_text, key_text, plain_text
from projections.folding.micros import micros
from projections.folding.rollups import Key

RUN_KEY = "run_key"
# The sum of a thousand times this still fits in 63 bits.
MAX_AMOUNT = 10**15

Convert = Callable[[Any], Any]


class ValueConverter:
    """Rows and sums of one table, checked and converted for one database."""

    def __init__(self, table: Table, dialect: Dialect) -> None:
        self._table = table
        self._converters = _converters(table, dialect)
        self._keys = [it.name for it in table.primary_key]
        self._sums = [it.name for it in table.columns if not it.primary_key]

    def rows(self, run_key: str, rows: Iterable[Mapping[str, object]]) -> list[list[Any]]:
        """Returns the rows of a run as lists in the order of the columns.

        Raises ValueError for a column that is unknown, or two rows with one key, and TypeError for
        a value that is not of the type of its column.
        """
        found: dict[Key, list[Any]] = {}
        for row in rows:
            values = {RUN_KEY: run_key, **row}
            self._check_names(values, self._converters)
            if values[RUN_KEY] != run_key:
                raise ValueError(f"a row of {values[RUN_KEY]!r} was made of the run {run_key!r}")
            made = [convert(values.get(name)) for name, convert in self._converters.items()]
            key = tuple(
                it
                for it, column in zip(made, self._table.columns, strict=True)
                if column.primary_key
            )
            if key in found:
                raise ValueError(f"{self._table.name} has two rows with the key {key!r}")
            found[key] = made
        return list(found.values())

    def sums(
        self, amounts: Iterable[tuple[Mapping[str, object], Mapping[str, int]]]
    ) -> Iterator[tuple[Key, list[int]]]:
        """Yields keys in the order of the columns, with all amounts in the same order.

        Raises ValueError for a key without all of its columns, a column that is unknown, or an
        amount beyond 10**15, and TypeError for a value that is not of the type of its column.
        """
        for key, added in amounts:
            self._check_names(key, self._keys)
            self._check_names(added, self._sums)
            if missing := [it for it in self._keys if key.get(it) is None]:
                raise ValueError(f"the key has no {', '.join(missing)}")
            for name, amount in added.items():
                if type(amount) is not int:
                    raise TypeError(f"the amount {name!r} has to be an int, not {amount!r}")
                if abs(amount) > MAX_AMOUNT:
                    raise ValueError(f"the amount {name!r} is beyond {MAX_AMOUNT:,}: {amount}")
            names = [it for it in self._converters if it in key]
            yield (
                tuple(self._converters[name](key[name]) for name in names),
                [added.get(name, 0) for name in self._sums],
            )

    def _check_names(self, given: Iterable[str], known: Iterable[str]) -> None:
        if unknown := set(given) - set(known):
            raise ValueError(
                f"{self._table.name} has no such columns here: {', '.join(sorted(unknown))}; "
                f"it has {', '.join(known)}"
            )


@lru_cache
def _converters(table: Table, dialect: Dialect) -> dict[str, Convert]:
    return {it.name: _converter(it, dialect) for it in table.columns}


def _converter(column: Column[Any], dialect: Dialect) -> Convert:
    """Returns the function for the values of a column; it raises TypeError for other ones."""
    type_ = column.type
    if isinstance(type_, JSON):
        return lambda value: None if value is None else json_text(value)
    allowed = _allowed_types(type_)
    convert: Convert | None
    if isinstance(type_, UtcDateTime):
        convert = micros
    elif isinstance(type_, String) and not isinstance(type_, Enum):
        convert = key_text if column.primary_key else plain_text
    else:
        convert = type_.dialect_impl(dialect).bind_processor(dialect)

    def check(value: Any) -> Any:
        if value is None:
            if column.primary_key:
                raise TypeError(f"the column {column.name!r} is part of the key, and has no value")
            return None
        if allowed and type(value) not in allowed and not _is_subclass(value, allowed):
            expected = " or ".join(it.__name__ for it in allowed)
            raise TypeError(f"the column {column.name!r} takes {expected}, not {value!r}")
        if value != value:
            raise TypeError(f"the column {column.name!r} cannot store {value!r}")
        if convert is micros and value.utcoffset() is None:
            raise TypeError(f"the column {column.name!r} needs a time zone, not {value!r}")
        return value if convert is None else convert(value)

    return check


def _allowed_types(type_: Any) -> tuple[type, ...]:
    if isinstance(type_, Numeric):
        return (int, float, Decimal)
    try:
        return (type_.python_type,)
    except NotImplementedError:
        return ()


def _is_subclass(value: object, allowed: tuple[type, ...]) -> bool:
    return isinstance(value, allowed) and not isinstance(value, bool)
