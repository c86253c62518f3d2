"""Rows of the rollups by their keys, for the projections that add to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, and_

from projections.folding.micros import moment_of
from projections.folding.rollups import Key


def join_keys(changes: Mapping[tuple[Key, Key], Any]) -> dict[Key, Any]:
    """Returns changes by the whole key of a row of an hourly table."""
    return {(*time, *dimensions): change for (time, dimensions), change in changes.items()}


def is_row(table: Table, key: Sequence[Any]) -> ColumnElement[bool]:
    """Returns the condition for the row of a key, whose hour is in microseconds."""
    columns = list(table.primary_key.columns)
    values = list(key)
    if columns[0].name == "hour":
        values[0] = moment_of(values[0])
    return and_(*(column == value for column, value in zip(columns, values, strict=True)))
