"""The read side of runfold: the recorded events as tables that can be queried with SQL.

Importing this package loads nothing else: each public name is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from projections.database.schema import metadata as metadata
    from projections.export.rows import Rows as Rows
    from projections.maintenance.diagnosis import Diagnosis as Diagnosis
    from projections.maintenance.pruning import Pruned as Pruned
    from projections.maintenance.verify import Difference as Difference
    from projections.projectors.prices import Prices as Prices
    from projections.queries.filters import RunFilters as RunFilters
    from projections.row_types import ActionRow as ActionRow
    from projections.row_types import CostRow as CostRow
    from projections.row_types import FailureRow as FailureRow
    from projections.row_types import OpenRunRow as OpenRunRow
    from projections.row_types import OpenUsage as OpenUsage
    from projections.row_types import PhaseRow as PhaseRow
    from projections.row_types import RunRow as RunRow
    from projections.row_types import SessionUsageRow as SessionUsageRow
    from projections.row_types import StatusCount as StatusCount
    from projections.row_types import StepRow as StepRow
    from projections.row_types import StuckRow as StuckRow
    from projections.row_types import TimingRow as TimingRow
    from projections.row_types import UnpricedRow as UnpricedRow
    from projections.row_types import UsageRow as UsageRow
    from projections.views import Views as Views
    from projections.web.app import dashboard as dashboard

_HOMES = {
    "ActionRow": "projections.row_types",
    "CostRow": "projections.row_types",
    "Diagnosis": "projections.maintenance.diagnosis",
    "Difference": "projections.maintenance.verify",
    "FailureRow": "projections.row_types",
    "OpenRunRow": "projections.row_types",
    "PhaseRow": "projections.row_types",
    "Prices": "projections.projectors.prices",
    "Pruned": "projections.maintenance.pruning",
    "Rows": "projections.export.rows",
    "RunFilters": "projections.queries.filters",
    "RunRow": "projections.row_types",
    "SessionUsageRow": "projections.row_types",
    "StatusCount": "projections.row_types",
    "StepRow": "projections.row_types",
    "StuckRow": "projections.row_types",
    "TimingRow": "projections.row_types",
    "UnpricedRow": "projections.row_types",
    "UsageRow": "projections.row_types",
    "Views": "projections.views",
    "dashboard": "projections.web.app",
    "metadata": "projections.database.schema",
}

__all__ = [
    "ActionRow",
    "CostRow",
    "Diagnosis",
    "Difference",
    "FailureRow",
    "OpenRunRow",
    "PhaseRow",
    "Prices",
    "Pruned",
    "Rows",
    "RunFilters",
    "RunRow",
    "SessionUsageRow",
    "StatusCount",
    "StepRow",
    "StuckRow",
    "TimingRow",
    "UnpricedRow",
    "UsageRow",
    "Views",
    "dashboard",
    "metadata",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'projections' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
