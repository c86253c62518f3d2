"""The read side wired: one database, its tables, and the questions that they answer."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event

from sqlalchemy import Connection, Engine

from projections.answers import Answers
from projections.as_of import PastAnswers
from projections.database import migrations
from projections.database.engine import open_engine, translated
from projections.folding.rates import PriceList
from projections.maintenance.diagnosis import Diagnosis, diagnose
from projections.maintenance.pruning import Pruned, count_prunable, prune, remove_thread
from projections.maintenance.verify import Difference, verify
from projections.projectors.actions import ActionsProjection
from projections.projectors.costs import CostsProjection
from projections.projectors.phases import PhasesProjection
from projections.projectors.prices import Prices, installed, require_prices
from projections.projectors.projection import Projection
from projections.projectors.runs import RunsProjection
from projections.projectors.steps import StepsProjection
from projections.projectors.timing import TimingProjection
from projections.projectors.usage import UsageProjection
from projections.runner.catch_up import Progress, catch_up
from projections.runner.checkpoint import pruned_before
from projections.runner.follow import follow
from projections.runner.rebuild import find_outdated, rebuild
from tracker.errors import SettingsError
from tracker.event_store import EventStore, open_event_store

PROJECTIONS: tuple[Projection, ...] = (
    RunsProjection(),
    PhasesProjection(),
    ActionsProjection(),
    StepsProjection(),
    UsageProjection(),
    TimingProjection(),
)


class Views(Answers):
    """Tables of runs, kept in step with the events, and typed answers from them.

    `url` is `sqlite:///file.db` or `postgresql://…`, the same as the tracker's. Without `store`,
    the events are read from there too. Synchronous, safe for threads, connects on first use;
    close it, or use it in a `with` block. What it answers is described at `Answers`.

    With the extra `cost`, ended runs are priced as well, with `prices`, which knows the names of
    deployments too: see `Prices`. What a run was priced with stays until `rebuild("costs")`.
    """

    def __init__(
        self, url: str, *, store: EventStore | None = None, prices: PriceList | None = None
    ) -> None:
        self._url = url
        self._engine = open_engine(url)
        self._store = store
        if prices is None and installed():
            prices = Prices()
        self._projections: tuple[Projection, ...] = PROJECTIONS
        if prices is not None:
            self._projections = (*PROJECTIONS, CostsProjection(prices))
        self._is_checked = False

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
            return self._apply(store, progress)

    def follow(self, stop: Event, *, every: float = 0.5, progress: Progress | None = None) -> None:
        """Catches up again and again until `stop` is set, which another thread does.

        It is woken by each event, whoever appends it, and looks at `stop` every so many seconds.
        Several may follow at once: each event is applied by one of them. A projection that
        fails, or a database that cannot be reached for a while, is logged and tried again.
        """
        with self._replaying() as store:
            follow(store, lambda failed: self._apply(store, progress, failed), stop, every)

    def rebuild(self, *names: str, progress: Progress | None = None) -> int:
        """Makes the tables of these projections again from the events; of all without names.

        Readers see the old rows until all of the new ones are there. Returns the position that
        they then stand at. Raises ProjectionFailed where the events cannot be applied; then,
        as after a kill, nothing has changed.
        """
        known = {it.name: it for it in self._projections}
        if CostsProjection.name in names:
            require_prices(self._has_costs())
        for name in names:
            if name not in known:
                raise SettingsError(f"no projection is named {name!r}: {', '.join(known)}")
        chosen = [known[name] for name in names] or self._projections
        with self._replaying() as store:
            return rebuild(self._engine, store, chosen, progress)

    def verify(self, progress: Progress | None = None) -> list[Difference]:
        """Replays the events and compares row by row; empty where the tables are what they say.

        Gives at most 100 differences. Raises ViewsError where the projections do not stand at
        one position: catch up first.
        """
        with self._replaying() as store:
            return verify(self._engine, store, self._projections, progress)

    def prune(self, older_than: timedelta | datetime, *, dry_run: bool = False) -> Pruned:
        """Takes runs that ended so long ago, or before a moment, out of the tables of runs.

        Their events stay, and so do the rollups, which answer as before; questions that need
        the rows (by thread or metadata, limits within a quarter of an hour) miss them. A rebuild
        and a late event do not bring them back, and `verify` and `as_of` leave them out too. To
        have them again: `UPDATE checkpoints SET pruned_before = NULL`, then rebuild.

        It goes in transactions of about 1,000 runs. With `dry_run`, it only counts. Raises
        SettingsError for a moment that is to come or has no time zone, and ViewsError where a
        rebuild has begun.
        """
        now = datetime.now(UTC)
        before = now - older_than if isinstance(older_than, timedelta) else older_than
        if before.utcoffset() is None:
            raise SettingsError(f"a moment needs a time zone: {before.isoformat()} has none")
        if before > now:
            raise SettingsError(f"{before.isoformat()} is to come: runs would vanish as they end")
        with translated(self._engine):
            self._check()
            act = count_prunable if dry_run else prune
            return act(self._engine, self._projections, before)

    def remove_thread(self, thread_id: str, source: str | None = None) -> Pruned:
        """Deletes the rows of a thread's runs, after their events: see `forget_thread`.

        Of one source's runs only, where it is named. The rollups name no thread and keep its
        numbers, until they are rebuilt, which counts only what has events; `verify` reports that
        difference until then. Raises ViewsError where a rebuild has begun.
        """
        with translated(self._engine):
            self._check()
            return remove_thread(self._engine, thread_id, source)

    def doctor(self) -> Diagnosis:
        """How the tables are, and what helps; also where they are of another release, or none.

        Raises StoreUnavailable where the database cannot be reached.
        """
        with translated(self._engine):
            return diagnose(self._engine, self._opened_store, self._projections)

    def as_of(self, place: datetime | int) -> PastAnswers:
        """All answers as they were at a moment, or at a position of the event store.

        See `PastAnswers` for what that means and costs. Raises SettingsError for a moment
        without a time zone.
        """
        return PastAnswers(place, self._replaying, self._projections, self._pruned_before)

    def _apply(
        self, store: EventStore, progress: Progress | None, without: Collection[str] = ()
    ) -> int:
        chosen = [it for it in self._projections if it.name not in without]
        outdated = find_outdated(self._engine, chosen)
        if outdated:
            rebuild(self._engine, store, outdated, progress)
        return catch_up(self._engine, store, chosen, progress=progress)

    @contextmanager
    def _replaying(self) -> Iterator[EventStore]:
        with translated(self._engine):
            self._check()
            with self._opened_store() as store:
                yield store

    @contextmanager
    def _opened_store(self) -> Iterator[EventStore]:
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

    def _has_costs(self) -> bool:
        return self._projections != PROJECTIONS

    def _pruned_before(self) -> datetime | None:
        with self._reading() as connection:
            return pruned_before(connection)

    def _check(self) -> None:
        if not self._is_checked:
            migrations.check(self._engine)
            self._is_checked = True
