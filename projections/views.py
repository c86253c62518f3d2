"""Views: the tables of one database, their maintenance, and the questions they answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import TypeVar

from sqlalchemy import Connection, Engine, Table

from projections.answers import Answers
from projections.as_of import PastAnswers
from projections.database import migrations
from projections.database.engine import open_engine, translate_errors
from projections.folding.kept_histories import KeptHistories
from projections.folding.rates import PriceList
from projections.maintenance.diagnosis import Diagnosis, diagnose
from projections.maintenance.pruning import (
    Pruned,
    count_prunable,
    prune,
    remove_runs,
    remove_thread,
)
from projections.maintenance.retrying import Retried, retry
from projections.maintenance.verify import Difference, verify
from projections.projectors.actions import ActionsProjection
from projections.projectors.costs import CostsProjection
from projections.projectors.own_projections import OwnProjection, prepare_own
from projections.projectors.phases import PhasesProjection
from projections.projectors.prices import Prices, is_installed, require_prices
from projections.projectors.projection import Projection
from projections.projectors.run_history import RunHistory
from projections.projectors.runs import RunsProjection
from projections.projectors.steps import StepsProjection
from projections.projectors.timing import TimingProjection
from projections.projectors.usage import UsageProjection
from projections.runner.catch_up import Progress, catch_up
from projections.runner.checkpoint import read_pruned_before
from projections.runner.follow import follow
from projections.runner.histories import fold_events, read_history
from projections.runner.own_tables import check_own_tables, create_own_tables, own_tables
from projections.runner.rebuild import find_outdated_projections, rebuild, split_by_settings
from tracker.errors import SettingsError
from tracker.event_store import EventStore, RecordedEvent, open_event_store

T = TypeVar("T")

PROJECTIONS: tuple[Projection, ...] = (
    RunsProjection(),
    PhasesProjection(),
    ActionsProjection(),
    StepsProjection(),
    UsageProjection(),
    TimingProjection(),
)


class Views(Answers):
    """Tables of runs that are kept in step with the events, and typed answers from them.

    `url` is `sqlite:///file.db` or `postgresql://…`, the same as the tracker's. Without `store`,
    the events are read from there too. It is synchronous and thread-safe, and connects on first
    use; close it, or use it in a `with` block. The questions are described at `Answers`.

    With the extra `cost`, ended runs are priced as well, by `prices`, which can map the names of
    deployments: see `Prices`. A run keeps its price until `rebuild("costs")`. All processes that
    apply costs to one database need prices of the same settings, which are kept there.

    `projections` are tables of your own: instances of subclasses of `RowProjection` and
    `SumProjection`. They are kept in step by the views that they are passed to, and by no others.
    Raises SettingsError for one that cannot be kept.
    """

    def __init__(
        self,
        url: str,
        *,
        store: EventStore | None = None,
        prices: PriceList | None = None,
        projections: Sequence[OwnProjection] = (),
    ) -> None:
        self._url = url
        self._opened: Engine | None = open_engine(url)
        self._store = store
        if prices is None and is_installed():
            prices = Prices()
        self._projections: tuple[Projection, ...] = PROJECTIONS
        if prices is not None:
            self._projections = (*PROJECTIONS, CostsProjection(prices))
        self._prices = prices
        names = [*(it.name for it in PROJECTIONS), CostsProjection.name]
        self._projections += tuple(prepare_own(projections, names, prices))
        self._is_checked = False
        self._kept = KeptHistories()

    @property
    def url(self) -> str:
        """Returns the URL of the database, with its password if it has one."""
        return self._url

    @property
    def projections(self) -> tuple[Projection, ...]:
        """Returns the projections whose tables are kept, those of the application at the end."""
        return self._projections

    def close(self) -> None:
        """Closes the connections; a `store` that was passed in stays open.

        All calls raise SettingsError from then on.
        """
        engine, self._opened = self._opened, None
        if engine is not None:
            engine.dispose()

    def upgrade(self) -> None:
        """Creates the tables, or migrates them to this release. Safe from several processes.

        Also creates those of the events, so that a tracker needs no right to do so.
        """
        with self._open_engine(create=True) as engine:
            migrations.upgrade(engine)
            self._create_own_tables(engine)
            with self._open_store():
                pass

    def prepare(self, *, create: bool = False) -> None:
        """Creates the tables if there are none; does not migrate those of another release.

        With `create`, an SQLite file that does not exist is created first.
        """
        with self._open_engine(create=create) as engine:
            if migrations.current(engine) is None:
                migrations.upgrade(engine)
            self._create_own_tables(engine)

    def catch_up(self, progress: Progress | None = None) -> int:
        """Applies all events since the last call; returns how many this call applied.

        `progress` is called after each commit with the position reached and the last position.
        A run whose events cannot be read or applied, or whose rows the database refuses, is set
        aside: its rows stay as they are, it is named by `doctor`, and all other runs continue.
        Raises ProjectionFailed if the tables of a projection cannot be written at all, and
        PricesDiffer if costs are priced with other settings; all others are up to date then.
        """
        with self._open_checked_store() as store:
            return self._apply(store, progress)

    def follow(self, stop: Event, *, every: float = 0.5, progress: Progress | None = None) -> None:
        """Keeps catching up until another thread sets `stop`.

        It wakes up for each event from any process, and checks `stop` every `every` seconds.
        Several processes may follow at once; each event is applied by one of them. A projection
        that fails is logged and retried, and so is a database that cannot be reached.
        """
        with self._open_checked_store() as store:
            follow(store, lambda failed: self._apply(store, progress, failed), stop, every)

    def rebuild(self, *names: str, reprice: bool = False, progress: Progress | None = None) -> int:
        """Rebuilds the tables of these projections from the events; of all without names.

        Readers see the old rows until all new ones are written. Runs that are set aside are tried
        again. Returns the position that the tables have reached. Raises ProjectionFailed where the
        new tables cannot be written; then, as after a kill, the tables are unchanged.

        Where costs are priced with other settings, they stay as they are, and PricesDiffer is
        raised at the end. With `reprice`, they get the prices of this process, and from then on
        all others need the same.
        """
        known = {it.name: it for it in self._projections}
        if CostsProjection.name in names:
            self._require_costs()
        for name in names:
            if name not in known:
                raise SettingsError(f"no projection is named {name!r}: {', '.join(known)}")
        chosen: Sequence[Projection] = [known[name] for name in names] or self._projections
        with self._open_checked_store() as store:
            refusal = None
            if not reprice:
                chosen, refusal = split_by_settings(self._engine, chosen)
            position = rebuild(self._engine, store, chosen, progress)
            if refusal is not None:
                raise refusal
            return position

    def retry(self, run_id: str | None = None, source: str | None = None) -> Retried:
        """Tries the runs that are set aside again, from their whole histories; one with `run_id`.

        `run_id` is the id of a run, or its source, a colon and its id. Each run is one
        transaction. Raises UnknownRun if no run of that id is set aside, and PricesDiffer as
        `catch_up` does.
        """
        with self._open_checked_store() as store:
            chosen, refusal = split_by_settings(self._engine, self._projections)
            retried = retry(self._engine, store, chosen, run_id, source)
            if refusal is not None:
                raise refusal
            return retried

    def verify(self, progress: Progress | None = None) -> list[Difference]:
        """Returns the differences between the tables and a replay of the events, at most 100.

        Raises ViewsError if the projections are at different positions: catch up first.
        """
        with self._open_checked_store() as store:
            return verify(self._engine, store, self._projections, progress)

    def prune(self, older_than: timedelta | datetime, *, dry_run: bool = False) -> Pruned:
        """Deletes the rows of runs that ended longer ago than a duration, or before a moment.

        Their events stay, and so do the rollups, which give the same answers as before. Questions
        that need the rows (by thread or metadata, limits within a quarter of an hour) miss these
        runs. A rebuild or a late event does not restore them, and `verify` and `as_of` leave them
        out too. To restore them: `UPDATE runfold_checkpoints SET pruned_before = NULL`, then
        rebuild.

        Each transaction deletes about 1,000 runs. With `dry_run`, they are only counted. Raises
        SettingsError for a moment in the future or without a time zone, and ViewsError during a
        rebuild.
        """
        now = datetime.now(UTC)
        try:
            before = now - older_than if isinstance(older_than, timedelta) else older_than
        except OverflowError:
            raise SettingsError(
                f"{older_than} ago is before the year 1: prune fewer days"
            ) from None
        if before.utcoffset() is None:
            raise SettingsError(f"a moment needs a time zone: {before.isoformat()} has none")
        if before > now:
            raise SettingsError(
                f"{before.isoformat()} is in the future: runs would be deleted as they end"
            )
        with translate_errors(self._engine):
            self._check_revision()
            action = count_prunable if dry_run else prune
            return action(self._engine, self._projections, before)

    def remove_thread(self, thread_id: str, source: str | None = None) -> Pruned:
        """Deletes the rows of a thread's runs after their events; see `forget_thread`.

        With `source`, only the runs of that source. Rows of runs that have events stay. The
        rollups contain no thread ids and keep the numbers of these runs until they are rebuilt
        from the remaining events; `verify` reports that difference until then. Raises ViewsError
        during a rebuild.
        """
        with self._open_checked_store() as store:
            own = own_tables(self._projections)
            return remove_thread(self._engine, store, thread_id, source, own)

    def remove_runs(self, run_keys: Sequence[str]) -> Pruned:
        """Deletes the rows of runs after their events, by their keys; as `remove_thread` does."""
        with self._open_checked_store() as store:
            return remove_runs(self._engine, store, run_keys, own_tables(self._projections))

    def doctor(self) -> Diagnosis:
        """Returns the state of the tables with remedies, also for missing or other tables.

        Raises StoreUnavailable if the database cannot be reached.
        """
        with translate_errors(self._engine):
            return diagnose(self._engine, self._open_store, self._projections)

    def history(self, run_id: str, source: str | None = None) -> RunHistory:
        """Returns a run as its events tell it, and at each of them; by its id or its key.

        It is read from the events, also if the run was pruned or is newer than the tables. Raises
        UnknownRun if it has no events, and SettingsError, which names them, if several sources
        have a run with that id and `source` is not given.
        """
        with self._open_checked_store() as store, self._engine.connect() as connection:
            return read_history(connection, store, run_id, source, self._prices)

    def fold(
        self,
        step: Callable[[T, RecordedEvent], T],
        initial: T,
        since: datetime | int | None = None,
    ) -> T:
        """Returns a state of your own after all events: `step` is called for each, in order.

        The events are streamed, so memory stays flat. `since` is a position, after which it begins,
        or a moment: events that were observed earlier are left out. An event that this release
        cannot read comes as `Unreadable`. Raises SettingsError for a moment without a time zone.
        """
        with self._open_checked_store() as store:
            return fold_events(store, step, initial, since)

    def as_of(self, place: datetime | int) -> PastAnswers:
        """Returns all answers as of a moment, or as of a position of the event store.

        `PastAnswers` describes their meaning and their cost. Raises SettingsError for a moment
        without a time zone.
        """
        return PastAnswers(
            place,
            self._open_checked_store,
            self._projections,
            self._read_pruned_before,
            self._check_prices,
            self._database_files,
        )

    def _apply(
        self, store: EventStore, progress: Progress | None, without: Collection[str] = ()
    ) -> int:
        wanted = [it for it in self._projections if it.name not in without]
        chosen, refusal = split_by_settings(self._engine, wanted)
        outdated = find_outdated_projections(self._engine, chosen)
        own = [it for it in outdated if it.is_own]
        if len(own) < len(outdated):
            rebuild(self._engine, store, [it for it in outdated if it not in own], progress)
        ready = [it for it in chosen if it not in own]
        count = catch_up(self._engine, store, ready, progress=progress, kept=self._kept)
        for projection in own:
            self._rebuild_beside(store, projection, ready, progress)
        if own:
            count = max(count, catch_up(self._engine, store, chosen, progress=progress))
        if refusal is not None:
            raise refusal
        return count

    def _rebuild_beside(
        self,
        store: EventStore,
        projection: Projection,
        others: Sequence[Projection],
        progress: Progress | None,
    ) -> None:
        """Rebuilds a table of the application, and keeps the other tables in step meanwhile."""

        def continue_others(position: int, last: int) -> None:
            catch_up(self._engine, store, others, kept=self._kept)
            if progress is not None:
                progress(position, last)

        rebuild(self._engine, store, [projection], continue_others)

    def _create_own_tables(self, engine: Engine) -> None:
        if any(it.is_own for it in self._projections):
            with migrations.begin_exclusive(engine) as connection:
                create_own_tables(connection, self._projections)

    def open_store(self) -> AbstractContextManager[EventStore]:
        """Opens the event store of the views for a `with` block, after a check of the tables."""
        return self._open_checked_store()

    @contextmanager
    def _open_checked_store(self) -> Iterator[EventStore]:
        with translate_errors(self._engine):
            self._check_revision()
            with self._open_store() as store:
                yield store

    @contextmanager
    def _open_store(self) -> Iterator[EventStore]:
        store = self._store or open_event_store(self._url, create=False)
        try:
            yield store
        finally:
            if store is not self._store:
                store.close()

    @property
    def _engine(self) -> Engine:
        return self._require_open()

    def _require_open(self) -> Engine:
        if self._opened is None:
            raise SettingsError(
                "these views are closed: make others with Views(url), or close these later"
            )
        return self._opened

    @contextmanager
    def _open_engine(self, *, create: bool) -> Iterator[Engine]:
        self._require_open()
        engine = open_engine(self._url, create=create)
        try:
            with translate_errors(engine):
                yield engine
        finally:
            engine.dispose()

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        with translate_errors(self._engine):
            self._check_revision()
            with self._engine.connect() as connection:
                yield connection

    def _own_tables(self) -> Sequence[Table]:
        return own_tables(self._projections)

    def _database_files(self) -> list[Path]:
        files = [getattr(self._store, "file", None)]
        if self._engine.dialect.name == "sqlite":
            files.append(self._engine.url.database)
        return [Path(it) for it in files if it]

    def _require_costs(self) -> None:
        require_prices(self._prices is not None)

    def _check_prices(self) -> None:
        """Raises PricesDiffer where the database is priced with other settings."""
        with translate_errors(self._engine):
            _, refusal = split_by_settings(self._engine, self._projections)
        if refusal is not None:
            raise refusal

    def _read_pruned_before(self) -> datetime | None:
        with self._connect() as connection:
            return read_pruned_before(connection)

    def _check_revision(self) -> None:
        if not self._is_checked:
            migrations.check(self._engine)
            if any(it.is_own for it in self._projections):
                with self._engine.connect() as connection:
                    check_own_tables(connection, self._projections)
            self._is_checked = True
