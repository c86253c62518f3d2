"""The base of the projections of an application, each of which keeps one table."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence

from sqlalchemy import Table

from projections.folding.batch_fold import BatchFold
from projections.folding.rates import PriceList
from projections.projectors.projection import Batch


class OwnTableProjection(ABC):
    """A table of an application, with all that does not depend on the kind of its rows."""

    name: str
    version: int = 1
    table: Table
    is_priced: bool = False
    is_own: bool = True
    # Those of the views that the projection was passed to.
    prices: PriceList | None = None

    @property
    def settings(self) -> str | None:
        """Returns the prices that the rows depend on, as JSON; None for none."""
        if not self.is_priced or self.prices is None:
            return None
        return json.dumps({"version": self.prices.version, "settings": self.prices.settings})

    @property
    def tables(self) -> Sequence[Table]:
        """Returns the table."""
        return (self.table,)

    @abstractmethod
    def start_batch(self, fold: BatchFold) -> Batch:
        """Returns an empty batch."""
