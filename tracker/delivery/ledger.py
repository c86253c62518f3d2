"""The ledger of handlers by name, beside the events: checkpoints, and runs that are not done."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from threading import Lock
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from tracker.delivery.backlog import Save, UndeliveredRun
from tracker.errors import SettingsError
from tracker.event_store import EventStore
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.event_store.side_tables import CHECKPOINTS, UNDELIVERED

_COLUMNS = UndeliveredRun._fields
_LONGEST_ERROR = 1000
# Rows of a statement: the driver's pipeline was seen to hang with many.
_ROWS = 250
_MOST_LISTED = 1000


class Standing(NamedTuple):
    """The progress of a name in all processes."""

    # All events up to here are done, except those of parked runs.
    position: int
    # The oldest 1,000 runs that failed or were passed, parked ones first.
    runs: list[UndeliveredRun]


class Ledger(Protocol):
    """The checkpoints and the rows of undelivered runs, by name. Synchronous, safe for threads.

    A name has a checkpoint for each of its shards. A shard has one holder, who alone changes it:
    another one that claims it shuts the first one out.
    """

    def create(self, name: str, shards: int, position: int) -> int:
        """Creates the missing checkpoints of a name at `position`; returns the lowest one."""
        ...

    def claim(
        self, name: str, shards: Collection[int], holder: str
    ) -> tuple[dict[int, int], list[UndeliveredRun]]:
        """Makes `holder` the holder of shards; returns their checkpoints and rows."""
        ...

    def save(self, name: str, holder: str, save: Save) -> set[int]:
        """Writes a change in one transaction. Returns the shards of it that others hold now.

        Nothing of these is written.
        """
        ...

    def read(self, name: str) -> Standing | None:
        """Returns the progress of a name, None if it has none."""
        ...

    def read_all(self) -> dict[str, Standing]:
        """Returns the progress of all names."""
        ...

    def retry(self, name: str | None = None, streams: Collection[str] | None = None) -> int:
        """Makes parked runs due again, of a name and of streams or all; returns their number."""
        ...

    def hold(self, name: str, holder: str, seconds: float) -> bool:
        """Acquires or renews the lease of a whole name; False while another holder has it."""
        ...

    def release(self, name: str, holder: str) -> None:
        """Releases the lease of a name, if `holder` has it."""
        ...


class MemoryLedger:
    """The ledger of a store in memory."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._checkpoints: dict[str, dict[int, int]] = {}
        self._shard_holders: dict[tuple[str, int], str] = {}
        self._runs: dict[tuple[str, str], UndeliveredRun] = {}
        self._holders: dict[str, str] = {}

    def create(self, name: str, shards: int, position: int) -> int:
        with self._lock:
            known = self._checkpoints.setdefault(name, {})
            for shard in range(shards):
                known.setdefault(shard, position)
            return min(known.values())

    def claim(
        self, name: str, shards: Collection[int], holder: str
    ) -> tuple[dict[int, int], list[UndeliveredRun]]:
        with self._lock:
            for shard in shards:
                self._shard_holders[name, shard] = holder
            positions = {shard: self._checkpoints[name][shard] for shard in shards}
            return positions, [it for it in self._of(name) if it.shard in shards]

    def save(self, name: str, holder: str, save: Save) -> set[int]:
        with self._lock:
            known = self._checkpoints[name]
            lost = {it for it in save.positions if self._shard_holders.get((name, it)) != holder}
            for shard in save.positions.keys() - lost:
                known[shard] = max(known[shard], save.positions[shard])
            for row in save.written:
                if row.shard not in lost:
                    self._runs[name, row.stream] = row
            for stream in save.deleted:
                found = self._runs.get((name, stream))
                if found is not None and found.shard not in lost:
                    del self._runs[name, stream]
            return lost

    def read(self, name: str) -> Standing | None:
        with self._lock:
            if name not in self._checkpoints:
                return None
            rows = sorted(self._of(name), key=lambda it: (not it.is_parked, it.position))
            active = [it.position - 1 for it in rows if not it.is_parked]
            position = min([*self._checkpoints[name].values(), *active])
            return Standing(position, rows[:_MOST_LISTED])

    def read_all(self) -> dict[str, Standing]:
        found = {it: self.read(it) for it in sorted(self._checkpoints)}
        return {name: it for name, it in found.items() if it is not None}

    def retry(self, name: str | None = None, streams: Collection[str] | None = None) -> int:
        with self._lock:
            found = [
                key
                for key, row in self._runs.items()
                if row.is_parked
                and name in (None, key[0])
                and (streams is None or row.stream in streams)
            ]
            for key in found:
                self._runs[key] = self._runs[key]._replace(
                    is_parked=False, attempts=0, failing_since=None
                )
            return len(found)

    def hold(self, name: str, holder: str, seconds: float) -> bool:
        # It never expires: all holders are in this process, so none dies without releasing it.
        with self._lock:
            return self._holders.setdefault(name, holder) == holder

    def release(self, name: str, holder: str) -> None:
        with self._lock:
            if self._holders.get(name) == holder:
                del self._holders[name]

    def _of(self, name: str) -> list[UndeliveredRun]:
        return [row for (of, _), row in self._runs.items() if of == name]


class TableLedger:
    """The ledger in two tables of the events' own database."""

    def __init__(self, store: RecorderEventStore) -> None:
        self._store = store
        is_postgres = store.placeholder == "%s"
        # The clock of the database, which all its processes share.
        self._now = (
            "extract(epoch FROM clock_timestamp())"
            if is_postgres
            else "((julianday('now') - 2440587.5) * 86400.0)"
        )

    def create(self, name: str, shards: int, position: int) -> int:
        values = ", ".join(f"(?, {shard}, {int(position)})" for shard in range(shards))
        with self._store.transaction(commit=True) as cursor:
            self._execute(
                cursor,
                f"INSERT INTO {CHECKPOINTS} (name, shard, position) VALUES {values} "
                "ON CONFLICT (name, shard) DO NOTHING",
                (name,) * shards,
            )
            self._execute(
                cursor, f"SELECT min(position) AS lowest FROM {CHECKPOINTS} WHERE name = ?", (name,)
            )
            return int(cursor.fetchone()["lowest"])

    def claim(
        self, name: str, shards: Collection[int], holder: str
    ) -> tuple[dict[int, int], list[UndeliveredRun]]:
        chosen = _list(shards)
        with self._store.transaction(commit=True) as cursor:
            # Waits for the last change of an earlier holder.
            self._execute(
                cursor,
                f"UPDATE {CHECKPOINTS} SET holder = ? WHERE name = ? AND shard IN ({chosen}) "
                "RETURNING shard, position",
                (holder, name),
            )
            positions = {row["shard"]: row["position"] for row in cursor.fetchall()}
            self._execute(
                cursor,
                f"SELECT {', '.join(_COLUMNS)} FROM {UNDELIVERED} "
                f"WHERE name = ? AND shard IN ({chosen})",
                (name,),
            )
            return positions, [_read_row(row) for row in cursor.fetchall()]

    def save(self, name: str, holder: str, save: Save) -> set[int]:
        values = ", ".join(f"({it}, {position})" for it, position in save.positions.items())
        with self._store.transaction(commit=True) as cursor:
            self._execute(
                cursor,
                f"UPDATE {CHECKPOINTS} SET position = "
                "CASE WHEN position < given.column2 THEN given.column2 ELSE position END "
                f"FROM (VALUES {values}) AS given "
                "WHERE name = ? AND holder = ? AND shard = given.column1 RETURNING shard",
                (name, holder),
            )
            held = {row["shard"] for row in cursor.fetchall()}
            rows = [(name, *_make_values(row)) for row in save.written if row.shard in held]
            changes = ", ".join(f"{it} = excluded.{it}" for it in _COLUMNS[1:])
            signs = ", ".join("?" * (len(_COLUMNS) + 1))
            self._execute_many(
                cursor,
                f"INSERT INTO {UNDELIVERED} (name, {', '.join(_COLUMNS)}) VALUES ({signs}) "
                f"ON CONFLICT (name, stream) DO UPDATE SET {changes}",
                rows,
            )
            if held:
                self._execute_many(
                    cursor,
                    f"DELETE FROM {UNDELIVERED} WHERE name = ? AND stream = ? "
                    f"AND shard IN ({_list(held)})",
                    [(name, stream) for stream in save.deleted],
                )
            return save.positions.keys() - held

    def read(self, name: str) -> Standing | None:
        with self._store.transaction(commit=False) as cursor:
            self._execute(
                cursor,
                f"SELECT (SELECT min(position) FROM {CHECKPOINTS} WHERE name = ?) AS lowest, "
                f"(SELECT min(position) - 1 FROM {UNDELIVERED} WHERE name = ? AND is_parked = 0) "
                "AS under_way",
                (name, name),
            )
            found = cursor.fetchone()
            if found is None or found["lowest"] is None:
                return None
            positions = [it for it in (found["lowest"], found["under_way"]) if it is not None]
            self._execute(
                cursor,
                f"SELECT {', '.join(_COLUMNS)} FROM {UNDELIVERED} WHERE name = ? "
                f"ORDER BY is_parked DESC, position LIMIT {_MOST_LISTED}",
                (name,),
            )
            return Standing(min(positions), [_read_row(row) for row in cursor.fetchall()])

    def read_all(self) -> dict[str, Standing]:
        with self._store.transaction(commit=False) as cursor:
            self._execute(cursor, f"SELECT DISTINCT name FROM {CHECKPOINTS} ORDER BY name")
            names = [row["name"] for row in cursor.fetchall()]
        found = {name: self.read(name) for name in names}
        return {name: it for name, it in found.items() if it is not None}

    def list_parked(self) -> list[str]:
        """Returns the streams of all parked runs, of any name."""
        with self._store.transaction(commit=False) as cursor:
            self._execute(cursor, f"SELECT DISTINCT stream FROM {UNDELIVERED} WHERE is_parked = 1")
            return [row["stream"] for row in cursor.fetchall()]

    def retry(self, name: str | None = None, streams: Collection[str] | None = None) -> int:
        changed = 0
        for stream in [None] if streams is None else streams:
            conditions = {"name": name, "stream": stream}
            given = {it: value for it, value in conditions.items() if value is not None}
            with self._store.transaction(commit=True) as cursor:
                self._execute(
                    cursor,
                    f"UPDATE {UNDELIVERED} SET is_parked = 0, attempts = 0, failing_since = NULL "
                    f"WHERE is_parked = 1 {''.join(f'AND {it} = ? ' for it in given)}"
                    "RETURNING stream",
                    tuple(given.values()),
                )
                changed += len(cursor.fetchall())
        return changed

    def hold(self, name: str, holder: str, seconds: float) -> bool:
        # A lease that ends later than any can is from before the clock was set back.
        with self._store.transaction(commit=True) as cursor:
            self._execute(
                cursor,
                f"UPDATE {CHECKPOINTS} SET holder = ?, held_until = {self._now} + ? "
                "WHERE name = ? AND (holder IS NULL OR holder = ? OR held_until IS NULL "
                f"OR held_until NOT BETWEEN {self._now} AND {self._now} + ?) RETURNING shard",
                (holder, seconds, name, holder, seconds),
            )
            return cursor.fetchone() is not None

    def release(self, name: str, holder: str) -> None:
        with self._store.transaction(commit=True) as cursor:
            self._execute(
                cursor,
                f"UPDATE {CHECKPOINTS} SET holder = NULL, held_until = NULL "
                "WHERE name = ? AND holder = ?",
                (name, holder),
            )

    def _execute(self, cursor: Any, statement: str, parameters: Sequence[object] = ()) -> None:
        cursor.execute(statement.replace("?", self._store.placeholder), tuple(parameters))

    def _execute_many(
        self, cursor: Any, statement: str, rows: Sequence[tuple[object, ...]]
    ) -> None:
        for first in range(0, len(rows), _ROWS):
            part = rows[first : first + _ROWS]
            cursor.executemany(statement.replace("?", self._store.placeholder), part)


# Trackers of one store in memory share their ledger, as those of one database do.
_IN_MEMORY: WeakKeyDictionary[RecorderEventStore, MemoryLedger] = WeakKeyDictionary()


def open_ledger(store: EventStore) -> Ledger:
    """Opens the ledger of an event store.

    Raises SettingsError for an event store of the application's own, which has no place for it.
    """
    if not isinstance(store, RecorderEventStore):
        raise SettingsError(
            "handlers keep their checkpoint beside the events, and this event store has no place "
            "for it: give the tracker a URL, or the result of open_event_store()"
        )
    if not store.placeholder:
        return _IN_MEMORY.setdefault(store, MemoryLedger())
    return TableLedger(store)


def find_ledger(store: EventStore) -> TableLedger | None:
    """Returns the ledger of a database; None for a store without one."""
    if not isinstance(store, RecorderEventStore) or not store.placeholder:
        return None
    return TableLedger(store)


def _list(shards: Iterable[int]) -> str:
    return ", ".join(str(int(shard)) for shard in sorted(shards))


def _make_values(row: UndeliveredRun) -> tuple[object, ...]:
    error = row.error
    if error is not None:
        # A character that no database accepts must not keep the row from being written.
        plain = error[:_LONGEST_ERROR].encode("utf-8", "replace").decode()
        error = plain.replace("\0", "?")
    return (*row._replace(error=error)[:-1], int(row.is_parked))


def _read_row(row: Any) -> UndeliveredRun:
    return UndeliveredRun(
        **{it: row[it] for it in _COLUMNS} | {"is_parked": bool(row["is_parked"])}
    )
