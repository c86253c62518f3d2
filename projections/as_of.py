"""The answers that the tables would have given earlier, from a replay of the events until then."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection, Engine, func, select

from projections.answers import Answers
from projections.database.engine import translated
from projections.database.schema import runs
from projections.projectors.costs import CostsProjection
from projections.projectors.projection import Projection
from projections.runner.replay import ObservedUntil, Until, replay
from tracker.errors import SettingsError
from tracker.event_store.store import EventStore


class PastAnswers(Answers):
    """All answers as they were at a place: a position in the event store, or a moment.

    At a moment, each run is as it had been observed by then, also where that was recorded
    later, by an import; costs are at the prices that are at hand now. What was
    pruned since is left out where it had ended by then. The first question
    replays the events into a file of its own, which takes as long as a rebuild; the others are
    as fast as ever. The file is gone when this is closed, or forgotten.
    """

    def __init__(
        self,
        place: int | datetime,
        store: Callable[[], AbstractContextManager[EventStore]],
        projections: Sequence[Projection],
        pruned_before: Callable[[], datetime | None],
    ) -> None:
        if isinstance(place, datetime) and place.utcoffset() is None:
            raise SettingsError(f"a moment needs a time zone: {place.isoformat()} has none")
        if isinstance(place, int) and place < 0:
            raise SettingsError(f"a position is 0 or more, not {place}")
        self._place = place
        self._open_store, self._projections = store, projections
        self._pruned_before = pruned_before
        self._lock = Lock()
        self._engine: Engine | None = None
        self._remove: Callable[[], object] | None = None

    def close(self) -> None:
        """Removes what was replayed; another question replays it again."""
        with self._lock:
            if self._remove is not None:
                self._remove()
            self._engine = self._remove = None

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._lock:
            engine = self._engine or self._replay()
        with translated(engine), engine.connect() as connection:
            yield connection

    def _has_costs(self) -> bool:
        return any(it.name == CostsProjection.name for it in self._projections)

    def _now(self) -> datetime:
        if isinstance(self._place, datetime):
            return self._place
        with self._reading() as connection:
            last = connection.execute(select(func.max(runs.c.last_changed_at))).scalar()
        return last or datetime.now(UTC)

    def _replay(self) -> Engine:
        folder = tempfile.mkdtemp(prefix="runfold-")
        try:
            with self._open_store() as store:
                until: EventStore
                if isinstance(self._place, datetime):
                    until = ObservedUntil(store, self._place)
                else:
                    until = Until(store, min(self._place, store.last_position()))
                engine = replay(Path(folder), until, self._projections, None, self._pruned_before())
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._engine = engine
        self._remove = weakref.finalize(self, _remove, engine, folder)
        return engine


def _remove(engine: Engine, folder: str) -> None:
    engine.dispose()
    shutil.rmtree(folder, ignore_errors=True)
