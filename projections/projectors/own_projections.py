"""The check of the projections that an application passes to its views."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable

from sqlalchemy import Integer, Table

from projections.database.schema import SHADOW_SUFFIX, metadata
from projections.folding.rates import PriceList
from projections.projectors.row_projection import RowProjection
from projections.projectors.sum_projection import SumProjection
from projections.projectors.table_values import RUN_KEY
from tracker.errors import SettingsError

OwnProjection = RowProjection | SumProjection

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}")


def prepare_own(
    given: Iterable[OwnProjection], built_in: Iterable[str], prices: PriceList | None
) -> list[OwnProjection]:
    """Returns copies of the projections of an application, with the prices of the views.

    Raises SettingsError, which says how to go on, for one that cannot be kept.
    """
    names, tables = set(built_in), set(metadata.tables)
    prepared = []
    for projection in given:
        if not isinstance(projection, RowProjection | SumProjection):
            raise SettingsError(
                f"{projection!r} is no projection: subclass RowProjection or SumProjection, "
                "and pass an instance"
            )
        _check(projection, names, tables)
        names.add(projection.name)
        tables.add(projection.table.name)
        own = copy.copy(projection)
        own.prices = prices
        prepared.append(own)
    return prepared


def _check(projection: OwnProjection, names: set[str], tables: set[str]) -> None:
    name = getattr(projection, "name", None)
    if not isinstance(name, str) or not name or name.endswith(SHADOW_SUFFIX):
        raise SettingsError(f"{type(projection).__name__} needs a `name`, not {name!r}")
    if name in names:
        raise SettingsError(f"two projections are named {name!r}: give yours another `name`")
    version = projection.version
    if type(version) is not int or not 0 < version < 2**31:
        raise SettingsError(f"the `version` of {name!r} is a number from 1, not {version!r}")
    table = getattr(projection, "table", None)
    if not isinstance(table, Table):
        raise SettingsError(f"the `table` of {name!r} has to be a SQLAlchemy Table, not {table!r}")
    if table.name in tables:
        raise SettingsError(
            f"the table {table.name} belongs to another projection: give {name!r} one of its own"
        )
    _check_table(projection, table)


def _check_table(projection: OwnProjection, table: Table) -> None:
    name = projection.name
    wrong = [it for it in (table.name, *table.columns.keys()) if not _NAME.fullmatch(it)]
    if wrong or table.schema is not None:
        raise SettingsError(
            f"the table of {name!r} needs names of up to 48 letters, digits and underscores, and "
            f"no schema but that of the URL: {', '.join(wrong) or table.schema} cannot be used"
        )
    if table.foreign_keys:
        raise SettingsError(
            f"the table of {name!r} has foreign keys, which a rebuild would break: leave them out"
        )
    columns, keys = list(table.columns), list(table.primary_key)
    if not keys or columns[: len(keys)] != keys:
        raise SettingsError(f"the table of {name!r} needs a primary key, whose columns come first")
    if isinstance(projection, RowProjection):
        if RUN_KEY not in table.primary_key.columns:
            raise SettingsError(
                f"the primary key of the table of {name!r} has to have the column {RUN_KEY!r}"
            )
        return
    if RUN_KEY in table.columns:
        raise SettingsError(
            f"the table of {name!r} has sums over runs, and {RUN_KEY!r} is of one: "
            "use a RowProjection"
        )
    sums = columns[len(keys) :]
    wrong = [it.name for it in sums if not isinstance(it.type, Integer)]
    if wrong or not sums:
        raise SettingsError(
            f"the columns of the table of {name!r} beside its key are the sums, and have to be "
            f"integers, best BigInteger: {', '.join(wrong) or 'there are none'}"
        )
