"""Checkpoints and leases of handlers by name, stored beside the events."""

from __future__ import annotations

from typing import Protocol
from weakref import WeakKeyDictionary

from tracker.errors import SettingsError
from tracker.event_store import EventStore
from tracker.event_store.recorder_store import RecorderEventStore

_TABLE = "runfold_deliveries"


class Checkpoints(Protocol):
    """A position and a lease for each name. Synchronous and safe for threads."""

    def get_or_create(self, name: str, position: int) -> int:
        """Returns the position of a name; a new one begins at `position`."""
        ...

    def read(self, name: str) -> int | None:
        """Returns the position of a name, None if it has none."""
        ...

    def advance(self, name: str, expected: int, position: int) -> bool:
        """Moves a name from `expected` to `position`; False if another process moved it."""
        ...

    def hold(self, name: str, holder: str, seconds: float) -> bool:
        """Acquires or renews the lease of a name; False while another holder has it."""
        ...

    def release(self, name: str, holder: str) -> None:
        """Releases the lease of a name, if `holder` has it."""
        ...


class MemoryCheckpoints:
    """Checkpoints of a store in memory."""

    def __init__(self) -> None:
        self._positions: dict[str, int] = {}
        self._holders: dict[str, str] = {}

    def get_or_create(self, name: str, position: int) -> int:
        return self._positions.setdefault(name, position)

    def read(self, name: str) -> int | None:
        return self._positions.get(name)

    def advance(self, name: str, expected: int, position: int) -> bool:
        if self._positions.get(name) != expected:
            return False
        self._positions[name] = position
        return True

    def hold(self, name: str, holder: str, seconds: float) -> bool:
        # It never expires: all holders are in this process, so none dies without releasing it.
        return self._holders.setdefault(name, holder) == holder

    def release(self, name: str, holder: str) -> None:
        if self._holders.get(name) == holder:
            del self._holders[name]


class TableCheckpoints:
    """Checkpoints in the table `runfold_deliveries` of the events' own database."""

    def __init__(self, store: RecorderEventStore) -> None:
        self._store = store
        store.create_table(
            _TABLE,
            f"CREATE TABLE IF NOT EXISTS {_TABLE} "
            "(name text PRIMARY KEY, position bigint NOT NULL, "
            "holder text, held_until double precision)",
        )
        # The clock of the database, which all its processes share.
        self._now = (
            "extract(epoch FROM clock_timestamp())"
            if store.placeholder == "%s"
            else "((julianday('now') - 2440587.5) * 86400.0)"
        )

    def get_or_create(self, name: str, position: int) -> int:
        found = self._execute(
            f"INSERT INTO {_TABLE} (name, position) VALUES (?, ?) "
            f"ON CONFLICT (name) DO UPDATE SET position = {_TABLE}.position RETURNING position",
            (name, position),
        )
        assert found is not None
        return found

    def read(self, name: str) -> int | None:
        return self._execute(f"SELECT position FROM {_TABLE} WHERE name = ?", (name,))

    def advance(self, name: str, expected: int, position: int) -> bool:
        moved = self._execute(
            f"UPDATE {_TABLE} SET position = ? WHERE name = ? AND position = ? RETURNING position",
            (position, name, expected),
        )
        return moved is not None

    def hold(self, name: str, holder: str, seconds: float) -> bool:
        # A lease that ends later than any can is from before the clock was set back.
        held = self._execute(
            f"UPDATE {_TABLE} SET holder = ?, held_until = {self._now} + ? WHERE name = ? "
            "AND (holder IS NULL OR holder = ? "
            f"OR held_until NOT BETWEEN {self._now} AND {self._now} + ?) RETURNING position",
            (holder, seconds, name, holder, seconds),
        )
        return held is not None

    def release(self, name: str, holder: str) -> None:
        self._execute(
            f"UPDATE {_TABLE} SET holder = NULL WHERE name = ? AND holder = ? RETURNING position",
            (name, holder),
        )

    def _execute(self, statement: str, parameters: tuple[object, ...]) -> int | None:
        with self._store.transaction(commit=not statement.startswith("SELECT")) as cursor:
            cursor.execute(statement.replace("?", self._store.placeholder), parameters)
            row = cursor.fetchone()
            return None if row is None else int(row["position"])


# Trackers of one store in memory share their checkpoints, as those of one database do.
_IN_MEMORY: WeakKeyDictionary[RecorderEventStore, MemoryCheckpoints] = WeakKeyDictionary()


def open_checkpoints(store: EventStore) -> Checkpoints:
    """Opens the checkpoints of an event store, and creates their table if it is missing.

    Raises SettingsError for an event store of the application's own, which has no place for them,
    and StoreUnavailable if the database fails.
    """
    if not isinstance(store, RecorderEventStore):
        raise SettingsError(
            "handlers keep their checkpoint beside the events, and this event store has no place "
            "for it: give the tracker a URL, or the result of open_event_store()"
        )
    if not store.placeholder:
        return _IN_MEMORY.setdefault(store, MemoryCheckpoints())
    return TableCheckpoints(store)
