"""runfold's read side: the recorded events as tables that anyone can query with SQL.

Importing this package starts nothing and loads nothing: each public name is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from projections.database.schema import metadata as metadata
    from projections.projectors.prices import Prices as Prices
    from projections.views import Views as Views

_HOMES = {
    "Prices": "projections.projectors.prices",
    "Views": "projections.views",
    "metadata": "projections.database.schema",
}

__all__ = ["Prices", "Views", "metadata"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'projections' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
