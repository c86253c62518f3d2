"""Two projections of an application, each under 30 lines, with a newer version of each."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import BigInteger, Column, Float, Integer, MetaData, Table, Text, select

from projections import RowProjection, RunHistory, SumProjection
from projections.database.engine import open_engine
from tracker.core.events import Event
from tracker.event_store import EventStore

tables = MetaData()
tool_times = Table(
    "tool_times",
    tables,
    Column("run_key", Text, primary_key=True),
    Column("tool", Text, primary_key=True),
    Column("calls", Integer, nullable=False),
    Column("seconds", Float),
)
tenant_tokens = Table(
    "tenant_tokens",
    tables,
    Column("tenant", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("runs", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
)


class ToolTimes(RowProjection):
    """The seconds that each run waited for each of its tools."""

    name, version, table = "tool_times", 1, tool_times

    def rows(self, run: RunHistory) -> Iterator[Mapping[str, object]]:
        waited: dict[str, list[float | None]] = {}
        for call in run.actions:
            waited.setdefault(call.name or "", []).append(call.waited_seconds)
        for tool, times in waited.items():
            known = [it for it in times if it is not None]
            yield {"tool": tool, "calls": len(times), "seconds": sum(known) if known else None}


class TenantTokens(SumProjection):
    """The tokens of each tenant by model."""

    name, version, table = "tenant_tokens", 1, tenant_tokens

    def amounts(self, run: RunHistory) -> Iterable[tuple[Mapping[str, object], Mapping[str, int]]]:
        if run.outcome is None:
            return []
        key = {"tenant": str(run.metadata.get("tenant", "")), "model": run.run.model or ""}
        tokens = (run.usage and run.usage.total_tokens) or 0
        return [(key, {"runs": 1, "tokens": tokens})]


# Version 2 of the first one has another column.
tool_times_2 = Table(
    "tool_times",
    MetaData(),
    Column("run_key", Text, primary_key=True),
    Column("tool", Text, primary_key=True),
    Column("calls", Integer, nullable=False),
    Column("longest_seconds", Float),
)


class ToolTimes2(RowProjection):
    """The longest wait instead of the sum."""

    name, version, table = "tool_times", 2, tool_times_2

    def rows(self, run: RunHistory) -> Iterator[Mapping[str, object]]:
        waited: dict[str, list[float | None]] = {}
        for call in run.actions:
            waited.setdefault(call.name or "", []).append(call.waited_seconds)
        for tool, times in waited.items():
            longest = max((it for it in times if it is not None), default=None)
            yield {"tool": tool, "calls": len(times), "longest_seconds": longest}


class TenantTokens2(TenantTokens):
    """Thousandths of tokens."""

    version = 2

    def amounts(self, run: RunHistory) -> Iterable[tuple[Mapping[str, object], Mapping[str, int]]]:
        return [
            (key, {**added, "tokens": 1000 * added["tokens"]})
            for key, added in super().amounts(run)
        ]


def read_table(url: str, table: Table) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Returns the rows of a table by their keys."""
    engine = open_engine(url)
    with engine.connect() as connection:
        rows = [dict(it) for it in connection.execute(select(table)).mappings()]
    engine.dispose()
    keys = [it.name for it in table.primary_key]
    return {tuple(row[it] for it in keys): row for row in rows}


def histories_of(store: EventStore) -> dict[str, list[Event]]:
    """Returns the events of all runs by their keys."""
    found: dict[str, list[Event]] = {}
    for recorded in store.read_all(limit=10_000):
        found.setdefault(recorded.stream, []).append(recorded.event)
    return found
