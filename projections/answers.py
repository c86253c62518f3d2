"""The questions that the tables answer, for current and for replayed tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, Unpack

from sqlalchemy import Connection, Table

from projections.export.atomic_files import make_folder, open_atomic, refuse_database
from projections.export.formats import Format, format_of
from projections.export.rows import Rows
from projections.export.tables import (
    TABLES,
    RowProgress,
    TableExport,
    export_tables,
    table_query,
)
from projections.queries.costs import find_unpriced_models, sum_costs
from projections.queries.failures import count_failures
from projections.queries.filters import RunFilters, parse_filters
from projections.queries.grouping import By, parse_grouping
from projections.queries.open_runs import find_open_runs
from projections.queries.open_usage import sum_open_usage
from projections.queries.run_cursor import Order, parse_order
from projections.queries.run_search import Search, find_runs
from projections.queries.runs import (
    count_statuses,
    find_actions,
    find_phases,
    find_run,
    find_steps,
)
from projections.queries.session_usage import read_session_usage
from projections.queries.stuck import find_stuck
from projections.queries.timing import measure_phases
from projections.queries.usage import sum_usage
from projections.row_types import (
    ActionRow,
    CostRow,
    FailureRow,
    OpenRunRow,
    OpenUsage,
    PhaseRow,
    RunRow,
    SessionUsageRow,
    StatusCount,
    StepRow,
    StuckRow,
    TimingRow,
    UnpricedRow,
    UsageRow,
)


class Answers(ABC):
    """Typed, immutable answers from the tables of one database.

    Most are `Rows`: lists that convert to tables with `to_pandas`, `to_polars` and `to_arrow`.
    `since` and `until` are aware datetimes that limit the runs by their creation: from `since` on,
    and before `until`. `by` is one name or several: a column of the runs (`source`,
    `assistant_id`, `model`, `outcome`, `status`, `thread_id`, `subagent_id`, `service_tier`),
    `metadata.KEY`, or `day` or `hour` of their creation in the time zone `tz`. A day is a date, an
    hour an aware datetime in `tz`. The filters are described at `RunFilters`.

    Answers by source, assistant, model, outcome, status, day and hour, and all but `timing` by
    service tier, come from rollups, and take the same time however many runs there are; so do
    filters of these. Others read the runs one by one: those of a thread by an index, and for
    metadata all runs of the time. With `newest=10_000` only so many of the newest runs count, which
    bounds the time. None stands for an unknown value, and for an empty text.

    All methods raise SettingsError for an invalid argument, SchemaError if `upgrade()` is needed,
    and StoreUnavailable if the database cannot be reached.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Releases the connections and files that the answers use."""

    @abstractmethod
    def _connect(self) -> AbstractContextManager[Connection]:
        """Yields a connection to the tables."""

    @abstractmethod
    def _require_costs(self) -> None:
        """Raises SettingsError unless the tables of costs are maintained."""

    def export(
        self,
        table: str,
        file: str | PathLike[str] | BinaryIO,
        *,
        format: Format | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        progress: RowProgress = lambda rows: None,
    ) -> int:
        """Writes a table or view to a file, and returns the number of rows.

        `table` is one of `TABLES` of `projections.export.tables`, or one of your own. The format is
        `format`, or else the suffix of the file: JSON lines, plain (`.jsonl`) or gzip
        (`.jsonl.gz`), or `.parquet`.
        The rows are those of one snapshot, ordered by key; they are streamed, not held in memory.
        An existing file is replaced when the new one is complete. `since` and `until` apply to
        tables of runs. `progress` is called with the number of rows written so far. Raises
        SettingsError where the file cannot be written or is the database itself, or pyarrow is
        missing for Parquet.
        """
        opened: AbstractContextManager[BinaryIO]
        if isinstance(file, str | PathLike):
            chosen, opened = format_of(Path(file), format), open_atomic(Path(file))
        else:
            chosen, opened = format_of(None, format), nullcontext(file)
        now = self._now()
        with self._connect() as connection:
            if isinstance(file, str | PathLike):
                self._refuse_databases(Path(file))
            query = table_query(connection, table, now, since, until, self._own_tables())
            [count] = export_tables(connection, [TableExport(query, opened)], chosen, progress)
        return count

    def export_all(
        self,
        folder: str | PathLike[str],
        *,
        format: Format = "jsonl",
        progress: RowProgress = lambda rows: None,
    ) -> dict[str, int]:
        """Writes every table and view to a file of its name in a folder, all from one snapshot.

        The folder is created if needed. Existing files are replaced together, when the last new
        one is complete. Returns the number of rows of each table. Otherwise as `export`.
        """
        path, chosen, now = Path(folder), format_of(None, format), self._now()
        with self._connect() as connection:
            make_folder(path)
            own = self._own_tables()
            names = (*TABLES, *(it.name for it in own))
            files = {it: path / f"{it}.{chosen}" for it in names}
            for file in files.values():
                self._refuse_databases(file)
            exports = [
                TableExport(table_query(connection, table, now, own=own), open_atomic(file))
                for table, file in files.items()
            ]
            counts = export_tables(connection, exports, chosen, progress)
        return dict(zip(names, counts, strict=True))

    def _own_tables(self) -> Sequence[Table]:
        """Returns the tables of the application's own projections."""
        return ()

    @abstractmethod
    def _database_files(self) -> Sequence[Path]:
        """Returns the files of the databases that the answers come from."""

    def _now(self) -> datetime:
        """Returns the time at which the ages of open runs are measured."""
        return datetime.now(UTC)

    def runs(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        order: Order = "newest",
        limit: int | None = 100,
        cursor: str | None = None,
        **filters: Unpack[RunFilters],
    ) -> Rows[RunRow]:
        """Returns a page of the runs that match all filters; `RunFilters` describes these.

        `order` is `newest`, `oldest`, `slowest`, `dearest` or `most_tokens`; the last three leave
        out the runs of which that is not known. While `next_cursor` of the answer is not None,
        other runs follow: pass it as `cursor`, with the same order and filters.

        A page takes a bounded time: where no index leads to the runs that match, 10,000 of them are
        read, in the order, and `note` says so. The page may then be short of runs, or have none,
        and `next_cursor` goes on. With `limit=None` all runs that match are returned, however long
        that takes.
        """
        search = Search(parse_filters(**filters), since, until, parse_order(order), cursor, limit)
        with self._connect() as connection:
            found = find_runs(connection, search)
        note = None
        if found.searched is not None:
            which = "with most tokens" if order == "most_tokens" else order
            note = f"only the {found.searched:,} runs {which} were searched"
        return Rows(RunRow, found.rows, next_cursor=found.next_cursor, note=note)

    def open_runs(
        self,
        *,
        now: datetime | None = None,
        limit: int | None = 100,
        **filters: Unpack[RunFilters],
    ) -> Rows[OpenRunRow]:
        """Returns the runs that have not ended, with their phases, oldest first.

        Their ages are those at `now`. The filters are columns of the view `open_runs`.
        """
        chosen = parse_filters(**filters)
        with self._connect() as connection:
            return Rows(OpenRunRow, find_open_runs(connection, chosen, now or self._now(), limit))

    def failures(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = 10,
        **filters: Unpack[RunFilters],
    ) -> Rows[FailureRow]:
        """Returns the failed runs by their error codes, those of most runs first.

        The newest 50,000 of the failed runs count, with filters 10,000; `note` says where there
        are more.
        """
        chosen = parse_filters(**filters)
        with self._connect() as connection:
            rows, most = count_failures(connection, chosen, since, until, limit)
        note = None if most is None else f"of the newest {most:,} failed runs"
        return Rows(FailureRow, rows, note=note)

    def run(self, run_id: str, source: str | None = None) -> RunRow:
        """Returns one run, by its id or its key. Raises UnknownRun: a web service answers 404.

        Raises SettingsError, which names them, if several sources have a run with that id and
        `source` is not given.
        """
        with self._connect() as connection:
            return find_run(connection, run_id, source)

    def phases(self, run_id: str, source: str | None = None) -> Rows[PhaseRow]:
        """Returns the phases of one run, first to last. Raises as `run` does."""
        with self._connect() as connection:
            run = find_run(connection, run_id, source)
            return Rows(PhaseRow, find_phases(connection, run.run_key))

    def actions(
        self,
        run_id: str | None = None,
        source: str | None = None,
        *,
        waiting: bool = False,
        limit: int | None = 100,
    ) -> Rows[ActionRow]:
        """Returns the calls that runs waited for, oldest first; of one run if `run_id` is given.

        With `waiting`, only those that are still open. Raises as `run` does. `limit` is that of
        all runs together; None for all calls.
        """
        with self._connect() as connection:
            run_key = None if run_id is None else find_run(connection, run_id, source).run_key
            return Rows(ActionRow, find_actions(connection, run_key, waiting, limit))

    def steps(self, run_id: str, source: str | None = None) -> Rows[StepRow]:
        """Returns the recorded steps of one run, first to last. Raises as `run` does."""
        with self._connect() as connection:
            run = find_run(connection, run_id, source)
            return Rows(StepRow, find_steps(connection, run.run_key))

    def timing(
        self,
        by: By = None,
        percentiles: Sequence[float] = (50, 95, 99),
        since: datetime | None = None,
        until: datetime | None = None,
        tz: str = "UTC",
        *,
        newest: int | None = None,
        **filters: Unpack[RunFilters],
    ) -> Rows[TimingRow]:
        """Returns how long the ended runs of each group were queued, ran, waited, and took in all.

        A run counts only for the phases that it had, not as zero for the others.
        """
        grouping = parse_grouping(by, since, until, tz, parse_filters(**filters), newest)
        with self._connect() as connection:
            found = measure_phases(connection, grouping, percentiles)
        return Rows(TimingRow, found, groups=grouping.names, percentiles=percentiles)

    def stuck(self, now: datetime | None = None, limit: int | None = None) -> Rows[StuckRow]:
        """Returns the open runs that should have ended by `now`, oldest first; see `StuckRow`."""
        with self._connect() as connection:
            return Rows(StuckRow, find_stuck(connection, now or self._now(), limit))

    def usage(
        self,
        by: By = ("model",),
        since: datetime | None = None,
        until: datetime | None = None,
        tz: str = "UTC",
        *,
        newest: int | None = None,
        **filters: Unpack[RunFilters],
    ) -> Rows[UsageRow]:
        """Returns the tokens of the ended runs of each group; see also `open_usage`."""
        grouping = parse_grouping(by, since, until, tz, parse_filters(**filters), newest)
        with self._connect() as connection:
            return Rows(UsageRow, sum_usage(connection, grouping), groups=grouping.names)

    def open_usage(self, since: datetime | None = None, until: datetime | None = None) -> OpenUsage:
        """Returns the tokens of runs that have not ended, which `usage` and `cost` leave out.

        These are above all responses that wait for the outputs of their calls.
        """
        with self._connect() as connection:
            return sum_open_usage(connection, since, until)

    def session_usage(self, thread_id: str, source: str | None = None) -> Rows[SessionUsageRow]:
        """Returns the tokens of a session by parts, open runs included; see `SessionUsageRow`.

        Raises UnknownRun for a thread without runs, and SettingsError, which names them, if several
        sources have it and `source` is not given.
        """
        with self._connect() as connection:
            found = read_session_usage(connection, thread_id, source)
        return Rows(SessionUsageRow, found)

    def cost(
        self,
        by: By = ("model",),
        since: datetime | None = None,
        until: datetime | None = None,
        tz: str = "UTC",
        *,
        newest: int | None = None,
        **filters: Unpack[RunFilters],
    ) -> Rows[CostRow]:
        """Returns the costs of the ended runs of each group, at the prices of their creation.

        Raises SettingsError if no price list is installed: `pip install "runfold[cost]"`.
        """
        self._require_costs()
        grouping = parse_grouping(by, since, until, tz, parse_filters(**filters), newest)
        with self._connect() as connection:
            return Rows(CostRow, sum_costs(connection, grouping), groups=grouping.names)

    def unpriced(self) -> Rows[UnpricedRow]:
        """Returns the models and service tiers without a price, those of most runs first.

        Raises as `cost` does.
        """
        self._require_costs()
        with self._connect() as connection:
            return Rows(UnpricedRow, find_unpriced_models(connection))

    def status_counts(
        self,
        by: By = None,
        since: datetime | None = None,
        until: datetime | None = None,
        tz: str = "UTC",
        *,
        newest: int | None = None,
        **filters: Unpack[RunFilters],
    ) -> Rows[StatusCount]:
        """Returns the number of runs of each group in each status, ended ones included."""
        grouping = parse_grouping(by, since, until, tz, parse_filters(**filters), newest)
        with self._connect() as connection:
            return Rows(StatusCount, count_statuses(connection, grouping), groups=grouping.names)

    def _refuse_databases(self, file: Path) -> None:
        for database in self._database_files():
            refuse_database(file, database)
