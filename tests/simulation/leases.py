"""The leases of PostgreSQL on virtual time: the statements of the project, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import psycopg

from tests.simulation.process import CURRENT
from tests.simulation.thread_call import Killed
from tracker.leases import postgres
from tracker.leases.postgres import PostgresLeases
from tracker.leases.shards import SHARDS

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

# The holder of a shard and the end of its lease, by its number.
Held = dict[int, tuple[str | None, float]]


class LeaseTables:
    """The tables of leases and of live workers, which all processes share."""

    def __init__(self, simulation: Simulation) -> None:
        self.leases: dict[str, Held] = {}
        self.workers: dict[tuple[str, str], float] = {}
        self.simulation, self.random = simulation, simulation.random("leases")

    def open(
        self, sources: Sequence[str], worker: str, *, keeps_excess: bool = False
    ) -> PostgresLeases:
        """Opens the leases of a worker."""
        return SimulatedLeases(self, sources, worker, keeps_excess=keeps_excess)

    def strike(self) -> None:
        """Fails a statement, or kills its process, by chance."""
        simulation, process = self.simulation, CURRENT.get()
        if simulation.hits(self.random, "kills_in_statements") and process is not None:
            simulation.journal.fault("kill in a statement")
            simulation.kill(process)
            raise Killed
        if simulation.hits(self.random, "fails_before_commit"):
            simulation.journal.fault("statement failed")
            raise psycopg.OperationalError("injected")


class _Connection:
    """A connection that is there, and is not used."""

    closed = False

    def close(self) -> None:
        """Does nothing."""


_CONNECTION: Any = _Connection()


class SimulatedLeases(PostgresLeases):
    """The leases of one worker: its statements change the shared tables."""

    def __init__(
        self, tables: LeaseTables, sources: Sequence[str], worker: str, *, keeps_excess: bool
    ) -> None:
        super().__init__({}, sources, worker, keeps_excess=keeps_excess)
        self._tables = tables

    def _execute(self, statement: str, source: str, **values: Any) -> list[tuple[Any, ...]]:
        tables, worker = self._tables, self._worker
        # What is told that the database failed knows of no connection any more.
        self._connection = _CONNECTION
        tables.strike()
        now, seconds = tables.simulation.loop.time(), postgres.SHARD_LEASE_SECONDS
        held: Held = tables.leases.setdefault(source, dict.fromkeys(range(SHARDS), (None, 0.0)))
        ours = [shard for shard, (holder, _) in held.items() if holder == worker]
        free = [shard for shard, (holder, end) in held.items() if holder is None or end <= now]
        match statement:
            case postgres._REPORT_ALIVE:
                tables.workers[source, worker] = now + postgres._LIVE_SECONDS
            case postgres._DELETE_DEAD:
                dead = [key for key, end in tables.workers.items() if end < now - 60]
                for key in dead:
                    del tables.workers[key]
            case postgres._COUNT_LIVE:
                live = [
                    key for key, end in tables.workers.items() if key[0] == source and end > now
                ]
                return [(len(live),)]
            case postgres._RENEW:
                held.update(dict.fromkeys(ours, (worker, now + seconds)))
                return [(shard,) for shard in ours]
            case postgres._CLAIM:
                claimed = free[: values["number"]]
                held.update(dict.fromkeys(claimed, (worker, now + seconds)))
                return [(shard,) for shard in claimed]
            case postgres._RELEASE:
                given = [shard for shard in ours if shard in values["shards"]]
                held.update(dict.fromkeys(given, (None, 0.0)))
            case postgres._LEAVE:
                tables.workers.pop((source, worker), None)
            case postgres._OTHERS:
                ends = [
                    end - now for it, end in held.values() if it not in (None, worker) and end > now
                ]
                return [(min(ends, default=None), len(free))]
            case _:
                raise AssertionError(statement)
        return []
