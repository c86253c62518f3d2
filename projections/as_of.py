"""Answers as of an earlier moment or position, from a replay of the events until then."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection, Engine, Table, func, select

from projections.answers import Answers
from projections.database.engine import translate_errors
from projections.database.schema import runs
from projections.projectors.costs import CostsProjection
from projections.projectors.prices import require_prices
from projections.projectors.projection import Projection
from projections.runner.own_tables import own_tables
from projections.runner.replay import StoreAtMoment, StoreAtPosition, replay
from tracker.errors import SettingsError
from tracker.event_store.store import EventStore


class PastAnswers(Answers):
    """All answers as of a position in the event store, or as of a moment.

    As of a moment, each run has the state that had been observed by then, even if it was recorded
    later by an import. Costs are at the current price list; they raise PricesDiffer where the
    database is priced with other settings than those of this process. Runs that have been pruned
    since are left out if they had ended by then. The first question replays the events into a
    temporary file, which takes as long as a rebuild; later ones are as fast as on the tables. The
    file is deleted on `close`, or when the object is garbage collected.
    """

    def __init__(
        self,
        at: int | datetime,
        store: Callable[[], AbstractContextManager[EventStore]],
        projections: Sequence[Projection],
        pruned_before: Callable[[], datetime | None],
        check_prices: Callable[[], None],
        database_files: Callable[[], Sequence[Path]],
    ) -> None:
        if isinstance(at, datetime) and at.utcoffset() is None:
            raise SettingsError(f"a moment needs a time zone: {at.isoformat()} has none")
        if isinstance(at, int) and at < 0:
            raise SettingsError(f"a position must be 0 or more, not {at}")
        self._at = at
        self._open_store, self._projections = store, projections
        self._read_pruned_before, self._check_prices = pruned_before, check_prices
        self._find_database_files = database_files
        self._lock = Lock()
        self._engine: Engine | None = None
        self._remove: Callable[[], object] | None = None

    def close(self) -> None:
        """Deletes the replayed tables; the next question replays the events again."""
        with self._lock:
            if self._remove is not None:
                self._remove()
            self._engine = self._remove = None

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        with self._lock:
            engine = self._engine or self._replay()
        with translate_errors(engine), engine.connect() as connection:
            yield connection

    def _own_tables(self) -> Sequence[Table]:
        return own_tables(self._projections)

    def _database_files(self) -> Sequence[Path]:
        return self._find_database_files()

    def _require_costs(self) -> None:
        require_prices(any(it.name == CostsProjection.name for it in self._projections))
        self._check_prices()

    def _now(self) -> datetime:
        if isinstance(self._at, datetime):
            return self._at
        with self._connect() as connection:
            last = connection.execute(select(func.max(runs.c.last_changed_at))).scalar()
        return last or datetime.now(UTC)

    def _replay(self) -> Engine:
        folder = tempfile.mkdtemp(prefix="runfold-")
        try:
            with self._open_store() as store:
                until: EventStore
                if isinstance(self._at, datetime):
                    until = StoreAtMoment(store, self._at)
                else:
                    until = StoreAtPosition(store, min(self._at, store.last_position()))
                engine = replay(
                    Path(folder), until, self._projections, None, self._read_pruned_before()
                )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._engine = engine
        self._remove = weakref.finalize(self, _remove, engine, folder)
        return engine


def _remove(engine: Engine, folder: str) -> None:
    engine.dispose()
    shutil.rmtree(folder, ignore_errors=True)
