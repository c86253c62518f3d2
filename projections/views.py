"""The read side wired: one database, its tables, and the questions that they answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Event
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine

from projections import migrations
from projections.actions_projection import ActionsProjection
from projections.engine import open_engine, translated
from projections.grouping import By
from projections.phases_projection import PhasesProjection
from projections.queries import (
    ActionRow,
    PhaseRow,
    RunRow,
    StatusCount,
    StepRow,
    TimingRow,
    UsageRow,
)
from projections.rebuild import Difference, rebuild, verify
from projections.run_queries import (
    Choice,
    count_statuses,
    find_actions,
    find_phases,
    find_run,
    find_runs,
    find_steps,
)
from projections.runs_projection import RunsProjection
from projections.steps_projection import StepsProjection
from projections.subscription import Progress, catch_up
from projections.timing_queries import measure
from projections.usage_queries import sum_usage
from tracker.errors import SettingsError
from tracker.event_store import EventStore, open_event_store

PROJECTIONS = (RunsProjection(), PhasesProjection(), ActionsProjection(), StepsProjection())


class Views:
    """Tables of runs, kept in step with the events, and typed answers from them.

    `url` is `sqlite:///file.db` or `postgresql://…`, the same as the tracker's. Without `store`,
    the events are read from there too. Synchronous, safe for threads, connects on first use;
    close it, or use it in a `with` block.

    `since` and `until` are aware datetimes and limit by creation: from `since` on, before
    `until`. All methods raise SettingsError for an argument that cannot be used, SchemaError
    where `upgrade()` is needed, StoreUnavailable where the database cannot be reached.
    """

    def __init__(self, url: str, *, store: EventStore | None = None) -> None:
        self._url = url
        self._engine = open_engine(url)
        self._store = store
        self._is_checked = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connections back; a store that was handed in stays open."""
        self._engine.dispose()

    def upgrade(self) -> None:
        """Makes the tables, or brings them to this release. Safe from several processes."""
        with self._migrating(create=True) as engine:
            migrations.upgrade(engine)

    def prepare(self, *, create: bool = False) -> None:
        """Makes the tables where there are none; those of another release it leaves alone.

        With `create`, an SQLite file that does not exist is made first.
        """
        with self._migrating(create=create) as engine:
            if migrations.current(engine) is None:
                migrations.upgrade(engine)

    def catch_up(self, progress: Progress | None = None) -> int:
        """Applies all events recorded since the last time; returns how many this call applied.

        `progress` is called after each commit with the position reached and the last one.
        Raises ProjectionFailed at an event that cannot be applied: nothing is ever skipped.
        """
        with self._replaying() as store:
            return catch_up(self._engine, store, PROJECTIONS, progress=progress)

    def follow(self, stop: Event, *, every: float = 0.5, progress: Progress | None = None) -> None:
        """Catches up again and again until `stop` is set, which another thread does.

        Looks for new events every so many seconds, which costs next to nothing where there are
        none. Several may follow at once: each event is applied by one of them. Raises as
        `catch_up` does.
        """
        with self._replaying() as store:
            reached = -1
            while not stop.is_set():
                if (last := store.last_position()) != reached:
                    catch_up(self._engine, store, PROJECTIONS, progress=progress)
                    reached = last
                stop.wait(every)

    def rebuild(self, *names: str, progress: Progress | None = None) -> int:
        """Makes the tables of these projections again from the events; of all without names.

        Readers see the old rows until all of the new ones are there. Returns the position that
        they then stand at. Raises ProjectionFailed where the events cannot be applied; then,
        as after a kill, nothing has changed.
        """
        known = {it.name: it for it in PROJECTIONS}
        for name in names:
            if name not in known:
                raise SettingsError(f"no projection is named {name!r}: {', '.join(known)}")
        chosen = [known[name] for name in names] or PROJECTIONS
        with self._replaying() as store:
            return rebuild(self._engine, store, PROJECTIONS, chosen, progress)

    def verify(self, progress: Progress | None = None) -> list[Difference]:
        """Replays the events and compares row by row; empty where the tables are what they say.

        Gives at most 100 differences. Raises ViewsError where the projections do not stand at
        one position: catch up first.
        """
        with self._replaying() as store:
            return verify(self._engine, store, PROJECTIONS, progress)

    def runs(
        self,
        *,
        status: Choice = None,
        outcome: Choice = None,
        source: Choice = None,
        thread_id: Choice = None,
        assistant_id: Choice = None,
        limit: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[RunRow]:
        """The runs with these values, or one of several for each; newest first."""
        choices = {
            "status": status,
            "outcome": outcome,
            "source": source,
            "thread_id": thread_id,
            "assistant_id": assistant_id,
        }
        with self._reading() as connection:
            return find_runs(connection, choices, since, until, limit)

    def run(self, run_id: str, source: str | None = None) -> RunRow:
        """One run. Raises UnknownRun; `source` is needed where several have a run of that id."""
        with self._reading() as connection:
            return find_run(connection, run_id, source)

    def phases(self, run_id: str, source: str | None = None) -> list[PhaseRow]:
        """The phases of one run, first to last. Raises as `run` does."""
        with self._reading() as connection:
            run = find_run(connection, run_id, source)
            return find_phases(connection, run.run_key)

    def actions(
        self,
        run_id: str | None = None,
        source: str | None = None,
        *,
        waiting: bool = False,
        limit: int | None = None,
    ) -> list[ActionRow]:
        """What runs waited for, call by call, oldest first; of one run where it is named.

        With `waiting`, only what still waits. Raises as `run` does.
        """
        with self._reading() as connection:
            run_key = None if run_id is None else find_run(connection, run_id, source).run_key
            return find_actions(connection, run_key, waiting, limit)

    def steps(self, run_id: str, source: str | None = None) -> list[StepRow]:
        """The steps of one run that were recorded, first to last. Raises as `run` does."""
        with self._reading() as connection:
            return find_steps(connection, find_run(connection, run_id, source).run_key)

    def timing(
        self,
        by: By = None,
        percentiles: Sequence[float] = (50, 95, 99),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[TimingRow]:
        """How long ended runs queued, ran, waited for action and took in total, for each group.

        A phase that a run never had is not counted as zero but not at all.
        """
        with self._reading() as connection:
            return measure(connection, by, percentiles, since, until)

    def usage(
        self,
        by: By = ("model",),
        since: datetime | None = None,
        until: datetime | None = None,
        tz: str = "UTC",
    ) -> list[UsageRow]:
        """The tokens of each group; `by` may name `day` and `hour`, of the run's creation in `tz`.

        A day is a date, an hour an aware datetime in `tz`, each as long as it is there.
        """
        with self._reading() as connection:
            return sum_usage(connection, by, since, until, tz)

    def status_counts(
        self, by: By = None, since: datetime | None = None, until: datetime | None = None
    ) -> list[StatusCount]:
        """How many runs are in each status, for each group."""
        with self._reading() as connection:
            return count_statuses(connection, by, since, until)

    @contextmanager
    def _replaying(self) -> Iterator[EventStore]:
        with translated(self._engine):
            self._check()
            store = self._store or open_event_store(self._url, create=False)
            try:
                yield store
            finally:
                if store is not self._store:
                    store.close()

    @contextmanager
    def _migrating(self, *, create: bool) -> Iterator[Engine]:
        engine = open_engine(self._url, create=create)
        try:
            with translated(engine):
                yield engine
        finally:
            engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with translated(self._engine):
            self._check()
            with self._engine.connect() as connection:
                yield connection

    def _check(self) -> None:
        if not self._is_checked:
            migrations.check(self._engine)
            self._is_checked = True
