"""The read side of runfold: the recorded events as tables that can be queried with SQL.

Importing this package loads nothing else: each public name is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from projections.database.schema import UtcDateTime as UtcDateTime
    from projections.database.schema import metadata as metadata
    from projections.export.rows import Rows as Rows
    from projections.maintenance.diagnosis import Diagnosis as Diagnosis
    from projections.maintenance.pruning import Pruned as Pruned
    from projections.maintenance.verify import Difference as Difference
    from projections.projectors.prices import Prices as Prices
    from projections.projectors.row_projection import RowProjection as RowProjection
    from projections.projectors.run_history import HistoryDiff as HistoryDiff
    from projections.projectors.run_history import RunHistory as RunHistory
    from projections.projectors.run_history import fold as fold
    from projections.projectors.sum_projection import SumProjection as SumProjection
    from projections.queries.filters import RunFilters as RunFilters
    from projections.row_types import ActionRow as ActionRow
    from projections.row_types import CostRow as CostRow
    from projections.row_types import FailureRow as FailureRow
    from projections.row_types import OpenRunRow as OpenRunRow
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
    "HistoryDiff": "projections.projectors.run_history",
    "OpenRunRow": "projections.row_types",
    "PhaseRow": "projections.row_types",
    "Prices": "projections.projectors.prices",
    "Pruned": "projections.maintenance.pruning",
    "RowProjection": "projections.projectors.row_projection",
    "Rows": "projections.export.rows",
    "RunFilters": "projections.queries.filters",
    "RunHistory": "projections.projectors.run_history",
    "RunRow": "projections.row_types",
    "SessionUsageRow": "projections.row_types",
    "StatusCount": "projections.row_types",
    "StepRow": "projections.row_types",
    "StuckRow": "projections.row_types",
    "SumProjection": "projections.projectors.sum_projection",
    "TimingRow": "projections.row_types",
    "UnpricedRow": "projections.row_types",
    "UsageRow": "projections.row_types",
    "UtcDateTime": "projections.database.schema",
    "Views": "projections.views",
    "dashboard": "projections.web.app",
    "fold": "projections.projectors.run_history",
    "metadata": "projections.database.schema",
}

__all__ = [
    "ActionRow",
    "CostRow",
    "Diagnosis",
    "Difference",
    "FailureRow",
    "HistoryDiff",
    "OpenRunRow",
    "PhaseRow",
    "Prices",
    "Pruned",
    "RowProjection",
    "Rows",
    "RunFilters",
    "RunHistory",
    "RunRow",
    "SessionUsageRow",
    "StatusCount",
    "StepRow",
    "StuckRow",
    "SumProjection",
    "TimingRow",
    "UnpricedRow",
    "UsageRow",
    "UtcDateTime",
    "Views",
    "dashboard",
    "fold",
    "metadata",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'projections' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
