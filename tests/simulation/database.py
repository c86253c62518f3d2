"""The simulated database: a real SQLite file whose clock is virtual and whose commits fail."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from eventsourcing.persistence import OperationalError
from eventsourcing.sqlite import SQLiteCursor, SQLiteDatastore

from tests.simulation.leases import LeaseTables
from tests.simulation.process import CURRENT, START
from tests.simulation.thread_call import Blocked, Killed, ThreadCall
from tracker.event_store.recorder import EVENTS_TABLE, NewRow
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.event_store.sqlite import SQLiteRecorder
from tracker.event_store.sqlite_pool import DurableConnectionPool

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

_JULIAN_1970 = 2_440_587.5
_ENDS = ("completed", "failed", "cancelled", "expired", "incomplete")
END_TOPICS = tuple(f"run.{end}/1" for end in _ENDS)


class Pool(DurableConnectionPool):
    """Connections to the file; they ask the simulation for the time, and never wait for a disk."""

    database: Database

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        self.database.prepare(connection)
        return connection


class Datastore(SQLiteDatastore):
    """Transactions that fail before or after their commit, or whose process is killed in them."""

    database: Database

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        database = self.database
        database.strike("fails_before_commit", 1.0 if commit else 0.1)
        with super().transaction(commit=commit) as cursor:
            yield cursor
            if commit:
                database.strike("disk_full")
                database.strike("kills_in_statements")
        if commit:
            database.note_commit()
            database.strike("fails_after_commit")


class Recorder(SQLiteRecorder):
    """The recorder of the project; the simulation remembers what it acknowledged."""

    database: Database

    def insert_rows(self, rows: Any) -> None:
        super().insert_rows(rows)
        self.database.acknowledge(rows)

    def wait(self, after: int, timeout: float) -> bool:
        return self.database.wait(after, timeout)


class Database:
    """One file for all processes, and what is known of its contents."""

    def __init__(self, simulation: Simulation, path: Path) -> None:
        self.path, self.position = path, 0
        # State bytes of each row that was acknowledged, by stream and version.
        self.acknowledged: dict[tuple[str, int], bytes] = {}
        self.committed = 0
        self.ended: set[str] = set()
        self.recorded: set[str] = set()
        self._simulation = simulation
        self._random: Random = simulation.random("database")
        self._leases = LeaseTables(simulation)
        self._waiting: list[ThreadCall] = []
        self._reader = sqlite3.connect(path, isolation_level=None)

    @property
    def url(self) -> str:
        """The URL of the file."""
        return f"sqlite:///{self.path}"

    def open_store(self) -> RecorderEventStore:
        """Opens the event store of a process."""
        datastore = Datastore(str(self.path), originator_id_type="text")
        datastore.pool.close()
        pool = datastore.pool = Pool(db_name=str(self.path))
        recorder = Recorder(datastore, pool)
        recorder.database = datastore.database = pool.database = self
        pool.remember_file()
        is_shared = self._simulation.swarm.trackers > 1
        return RecorderEventStore(recorder, self.path, self._leases.open if is_shared else None)

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Gives a connection the virtual time."""
        connection.execute("PRAGMA synchronous=OFF")
        connection.create_function("julianday", 1, self._julian_day)
        connection.create_function("strftime", 2, lambda form, _: self._now().strftime(form))

    def strike(self, fault: str, scale: float = 1.0) -> None:
        """Raises the error of a fault, by its chance, or kills the process."""
        simulation = self._simulation
        chance = getattr(simulation.swarm, fault) * scale
        if not chance or not simulation.is_chaos or self._random.random() >= chance:
            return
        process = CURRENT.get()
        simulation.journal.fault(fault)
        if fault != "kills_in_statements":
            raise OperationalError(f"injected: {fault}")
        if process is not None and not process.is_dead:
            simulation.kill(process)
            raise Killed

    def note_commit(self) -> None:
        """Notes the events that were committed, and wakes those that wait for them."""
        rows = self._reader.execute(
            f"SELECT position, originator_id, originator_version, topic, state FROM {EVENTS_TABLE} "
            "WHERE position > ? ORDER BY position",
            (self.position,),
        ).fetchall()
        for position, stream, version, topic, state in rows:
            self.position = position
            self.committed += 1
            self.recorded.add(stream)
            if topic in END_TOPICS:
                self.ended.add(stream)
            self._simulation.journal.note("event", stream, version, topic, bytes(state))
        if rows:
            waiting, self._waiting = self._waiting, []
            for call in waiting:
                call.wake(self._random.expovariate(30))

    def acknowledge(self, rows: list[NewRow]) -> None:
        """Remembers rows that were reported as durable."""
        for stream, version, _, state in rows:
            self.acknowledged[stream, version] = state

    def read_states(self) -> Iterator[tuple[tuple[str, int], bytes]]:
        """Yields the stream, the version and the bytes of each event."""
        for stream, version, state in self._reader.execute(
            f"SELECT originator_id, originator_version, state FROM {EVENTS_TABLE}"
        ):
            yield (stream, version), bytes(state)

    def forget(self, streams: list[str]) -> None:
        """Remembers that streams were forgotten on request."""
        self.acknowledged = {k: v for k, v in self.acknowledged.items() if k[0] not in streams}
        self.ended.difference_update(streams)
        self.recorded.difference_update(streams)

    def wait(self, after: int, timeout: float) -> bool:
        """Returns True once there is an event after a position; False after `timeout` seconds."""
        self.strike("fails_before_commit", 0.1)
        if self.position > after:
            return True
        call, now = ThreadCall.current, self._simulation.loop.time()
        if call is None:
            return False
        if call.deadline is None:
            call.deadline = now + timeout
        if now >= call.deadline - 1e-6:
            return False
        raise Blocked(self._waiting)

    def _now(self) -> datetime:
        return START + timedelta(seconds=self._simulation.loop.time())

    def _julian_day(self, moment: str) -> float:
        found = self._now() if moment == "now" else datetime.fromisoformat(moment)
        return found.timestamp() / 86_400 + _JULIAN_1970
