"""The table `runfold_paces` beside the events: one row for each source that was ever polled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tracker.event_store import EventStore
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.event_store.side_tables import PACES
from tracker.polling.policy.pace import Pace


class PaceTable:
    """The paces in the database of the events: the last that any tracker wrote.

    Synchronous and safe for threads. Each call raises StoreUnavailable if the database fails.
    """

    def __init__(self, store: RecorderEventStore) -> None:
        self._store = store
        self._sign = store.placeholder

    def write(self, paces: Mapping[str, Pace]) -> None:
        """Replaces the paces of these sources."""
        signs = ", ".join([self._sign] * 4)
        with self._store.transaction(commit=True) as cursor:
            for source, pace in sorted(paces.items()):
                hazards = json.dumps(pace.hazards, separators=(",", ":"))
                cursor.execute(
                    f"INSERT INTO {PACES} (source, rate, refused_rate, hazards) VALUES ({signs}) "
                    "ON CONFLICT (source) DO UPDATE SET rate = excluded.rate, "
                    "refused_rate = excluded.refused_rate, hazards = excluded.hazards",
                    (source, pace.rate, pace.refused_rate, hazards.replace("\\u0000", "?")),
                )

    def read(self) -> dict[str, Pace]:
        """Returns the paces by source."""
        with self._store.transaction(commit=False) as cursor:
            cursor.execute(f"SELECT * FROM {PACES}")
            return {row["source"]: _read(row) for row in cursor.fetchall()}


def paces_in(store: EventStore) -> dict[str, Pace]:
    """Returns the paces beside the events of a store, by source. Raises StoreUnavailable."""
    if isinstance(store, RecorderEventStore) and store.placeholder:
        return PaceTable(store).read()
    return {}


def _read(row: Any) -> Pace:
    return Pace(row["rate"], row["refused_rate"], json.loads(row["hazards"]))
