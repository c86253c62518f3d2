"""How far the handlers of each name are, and who brings them their events, beside the events."""

from __future__ import annotations

from typing import Protocol
from weakref import WeakKeyDictionary

from tracker.errors import SettingsError
from tracker.event_store import EventStore
from tracker.event_store.recorder_store import RecorderEventStore

TABLE = "runfold_deliveries"


class Checkpoints(Protocol):
    """A position for each name. Synchronous and safe for threads."""

    def begin(self, name: str, position: int) -> int:
        """The position of a name; one that is new begins at `position`."""
        ...

    def read(self, name: str) -> int | None:
        """The position of a name, None where it has none."""
        ...

    def advance(self, name: str, expected: int, position: int) -> bool:
        """Moves a name on where it still is at `expected`; False where somebody else moved it."""
        ...

    def hold(self, name: str, holder: str, seconds: float) -> bool:
        """Makes a name `holder`'s for so long; False while it is another's."""
        ...

    def release(self, name: str, holder: str) -> None:
        """Gives a name up, if it is `holder`'s."""
        ...


class MemoryCheckpoints:
    """Checkpoints of a store that is gone when the process is."""

    def __init__(self) -> None:
        self._positions: dict[str, int] = {}
        self._holders: dict[str, str] = {}

    def begin(self, name: str, position: int) -> int:
        return self._positions.setdefault(name, position)

    def read(self, name: str) -> int | None:
        return self._positions.get(name)

    def advance(self, name: str, expected: int, position: int) -> bool:
        if self._positions.get(name) != expected:
            return False
        self._positions[name] = position
        return True

    def hold(self, name: str, holder: str, seconds: float) -> bool:
        # Whoever is in this process gives it up by itself: none dies alone.
        return self._holders.setdefault(name, holder) == holder

    def release(self, name: str, holder: str) -> None:
        if self._holders.get(name) == holder:
            del self._holders[name]


class TableCheckpoints:
    """Checkpoints in the table `runfold_deliveries` of the events' own database."""

    def __init__(self, store: RecorderEventStore) -> None:
        self._store = store
        with store.transaction(commit=True) as cursor:
            if store.placeholder == "%s":
                # Several processes that create one table at once fail in PostgreSQL's catalogue.
                cursor.execute(f"SELECT pg_advisory_xact_lock(hashtext('{TABLE}'))")
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {TABLE} "
                "(name text PRIMARY KEY, position bigint NOT NULL, "
                "holder text, held_until double precision)"
            )
        # The time of the database, which is one for all that use it.
        self._now = (
            "extract(epoch FROM clock_timestamp())"
            if store.placeholder == "%s"
            else "((julianday('now') - 2440587.5) * 86400.0)"
        )

    def begin(self, name: str, position: int) -> int:
        found = self._one(
            f"INSERT INTO {TABLE} (name, position) VALUES (?, ?) "
            f"ON CONFLICT (name) DO UPDATE SET position = {TABLE}.position RETURNING position",
            (name, position),
        )
        assert found is not None
        return found

    def read(self, name: str) -> int | None:
        return self._one(f"SELECT position FROM {TABLE} WHERE name = ?", (name,))

    def advance(self, name: str, expected: int, position: int) -> bool:
        moved = self._one(
            f"UPDATE {TABLE} SET position = ? WHERE name = ? AND position = ? RETURNING position",
            (position, name, expected),
        )
        return moved is not None

    def hold(self, name: str, holder: str, seconds: float) -> bool:
        held = self._one(
            f"UPDATE {TABLE} SET holder = ?, held_until = {self._now} + ? WHERE name = ? "
            f"AND (holder IS NULL OR holder = ? OR held_until < {self._now}) RETURNING position",
            (holder, seconds, name, holder),
        )
        return held is not None

    def release(self, name: str, holder: str) -> None:
        self._one(
            f"UPDATE {TABLE} SET holder = NULL WHERE name = ? AND holder = ? RETURNING position",
            (name, holder),
        )

    def _one(self, statement: str, parameters: tuple[object, ...]) -> int | None:
        with self._store.transaction(commit=not statement.startswith("SELECT")) as cursor:
            cursor.execute(statement.replace("?", self._store.placeholder), parameters)
            row = cursor.fetchone()
            return None if row is None else int(row["position"])


# Trackers of one store in memory are at one place, as those of one database are.
_IN_MEMORY: WeakKeyDictionary[RecorderEventStore, MemoryCheckpoints] = WeakKeyDictionary()


def open_checkpoints(store: EventStore) -> Checkpoints:
    """The checkpoints of an event store, their table made where it is missing.

    Raises SettingsError for a store of somebody else's, which has no place for them, and
    StoreUnavailable where the database fails.
    """
    if not isinstance(store, RecorderEventStore):
        raise SettingsError(
            "handlers keep their checkpoint beside the events, and this event store has no place "
            "for it: give the tracker a URL, or what open_event_store() returns"
        )
    if not store.placeholder:
        return _IN_MEMORY.setdefault(store, MemoryCheckpoints())
    return TableCheckpoints(store)
