"""The eventsourcing library as shipped: its Application, Aggregates and JSON transcoder.

Its events carry what ours carry of these runs, and no field that would be empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from sqlalchemy.engine import make_url

from tests.benchmarks.databases import sqlite_file
from tests.benchmarks.workload import Arrival
from tracker.core.events import RunCompleted, RunCreated, RunStatusChanged


class StockRun(Aggregate):
    """A run as the library's own guide would write it."""

    @event("Created")
    def __init__(
        self,
        source: str,
        run_id: str,
        thread_id: str,
        assistant_id: str,
        model: str,
        status: str,
        metadata: dict[str, str],
        configuration_digest: str,
        observed_at: datetime,
        occurred_at: datetime,
        expires_at: datetime,
    ) -> None:
        self.run_id = run_id
        self.status = status

    @event("StatusChanged")
    def change_status(
        self,
        previous: str,
        status: str,
        observed_at: datetime,
        occurred_at: datetime | None,
        not_before: datetime,
    ) -> None:
        self.status = status

    @event("Completed")
    def complete(
        self,
        previous: str,
        usage: dict[str, int],
        observed_at: datetime,
        occurred_at: datetime,
        not_before: datetime,
    ) -> None:
        self.status = "completed"


class StockApplication:
    """One stock Application on a database, and its aggregates in memory."""

    def __init__(self, url: str) -> None:
        self.application: Application[UUID] = Application(env=_environment(url))
        self._runs: dict[str, StockRun] = {}

    def trigger(self, batch: Sequence[Arrival]) -> list[StockRun]:
        """Has the events of a batch happen to aggregates, which are then to be saved."""
        changed: dict[str, StockRun] = {}
        for arrival in batch:
            happened = arrival.event
            stated = {name: getattr(happened, name) for name in _STATED[type(happened)]}
            if isinstance(happened, RunCreated):
                self._runs[arrival.stream] = StockRun(**stated)
            elif isinstance(happened, RunCompleted):
                assert happened.usage is not None
                stated["usage"] = happened.usage.model_dump(exclude_none=True)
                self._runs[arrival.stream].complete(**stated)
            else:
                self._runs[arrival.stream].change_status(**stated)
            changed[arrival.stream] = self._runs[arrival.stream]
        return list(changed.values())

    def count(self) -> int:
        """How many events it holds."""
        return self.application.recorder.max_notification_id() or 0

    def close(self) -> None:
        self.application.close()


_CHANGED = ("observed_at", "occurred_at", "not_before", "previous")
_STATED = {
    RunCreated: (
        *("source", "run_id", "thread_id", "assistant_id", "model", "status", "metadata"),
        *("configuration_digest", "observed_at", "occurred_at", "expires_at"),
    ),
    RunStatusChanged: (*_CHANGED, "status"),
    RunCompleted: (*_CHANGED, "usage"),
}


def _environment(url: str) -> dict[str, str]:
    if url.startswith("sqlite"):
        return {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": sqlite_file(url),
        }
    parsed = make_url(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(parsed.database),
        "POSTGRES_HOST": str(parsed.host),
        "POSTGRES_PORT": str(parsed.port),
        "POSTGRES_USER": str(parsed.username),
        "POSTGRES_PASSWORD": str(parsed.password),
    }
