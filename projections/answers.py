"""The questions that the tables answer, for current and for replayed tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from sqlalchemy import Connection

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
from projections.queries.grouping import By, parse_grouping
from projections.queries.open_usage import sum_open_usage
from projections.queries.runs import (
    Filter,
    count_statuses,
    find_actions,
    find_phases,
    find_run,
    find_runs,
    find_steps,
)
from projections.queries.stuck import find_stuck
from projections.queries.timing import measure_phases
from projections.queries.usage import sum_usage
from projections.row_types import (
    ActionRow,
    CostRow,
    OpenUsage,
    PhaseRow,
    RunRow,
    StatusCount,
    StepRow,
    StuckRow,
    TimingRow,
    UnpricedRow,
    UsageRow,
)


class Answers(ABC):
    """Typed, immutable answers from the tables of one database.

    Most are `Rows`: lists that convert to tables with `to_arrow` and `to_polars`. `since` and
    `until` are aware datetimes that limit the runs by their creation: from `since` on, and before
    `until`. `by` is one name or several: a column of the runs (`source`, `assistant_id`, `model`,
    `outcome`, `status`, `thread_id`, `service_tier`), `metadata.KEY`, or `day` or `hour` of their
    creation in the time zone `tz`. A day is a date, an hour an aware datetime in `tz`. Answers by
    source, assistant, model, outcome, status, day and hour, and all but `timing` by service tier,
    come from rollups, and take the same time however many runs there are; others read the runs one
    by one.
    None stands for an unknown value, and for an empty text.

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

        `table` is one of `TABLES` of `projections.export.tables`. The format is `format`, or else
        the suffix of the file: JSON lines, plain (`.jsonl`) or gzip (`.jsonl.gz`), or `.parquet`.
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
                _refuse_database(connection, Path(file))
            query = table_query(connection, table, now, since, until)
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
            files = {it: path / f"{it}.{chosen}" for it in TABLES}
            for file in files.values():
                _refuse_database(connection, file)
            exports = [
                TableExport(table_query(connection, table, now), open_atomic(file))
                for table, file in files.items()
            ]
            counts = export_tables(connection, exports, chosen, progress)
        return dict(zip(TABLES, counts, strict=True))

    def _now(self) -> datetime:
        """Returns the time at which the ages of open runs are measured."""
        return datetime.now(UTC)

    def runs(
        self,
        *,
        status: Filter = None,
        outcome: Filter = None,
        source: Filter = None,
        thread_id: Filter = None,
        assistant_id: Filter = None,
        limit: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Rows[RunRow]:
        """Returns the runs that match all filters, newest first.

        A filter is one value, or a sequence of values of which one must match.
        """
        filters = {
            "status": status,
            "outcome": outcome,
            "source": source,
            "thread_id": thread_id,
            "assistant_id": assistant_id,
        }
        with self._connect() as connection:
            return Rows(RunRow, find_runs(connection, filters, since, until, limit))

    def run(self, run_id: str, source: str | None = None) -> RunRow:
        """Returns one run. Raises UnknownRun.

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
        limit: int | None = None,
    ) -> Rows[ActionRow]:
        """Returns the calls that runs waited for, oldest first; of one run if `run_id` is given.

        With `waiting`, only those that are still open. Raises as `run` does.
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
    ) -> Rows[TimingRow]:
        """Returns how long the ended runs of each group were queued, ran, waited, and took in all.

        A run counts only for the phases that it had, not as zero for the others.
        """
        grouping = parse_grouping(by, since, until, tz)
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
    ) -> Rows[UsageRow]:
        """Returns the tokens of the ended runs of each group; see also `open_usage`."""
        grouping = parse_grouping(by, since, until, tz)
        with self._connect() as connection:
            return Rows(UsageRow, sum_usage(connection, grouping), groups=grouping.names)

    def open_usage(self, since: datetime | None = None, until: datetime | None = None) -> OpenUsage:
        """Returns the tokens of runs that have not ended, which `usage` and `cost` leave out.

        These are above all responses that wait for the outputs of their calls.
        """
        with self._connect() as connection:
            return sum_open_usage(connection, since, until)

    def cost(
        self,
        by: By = ("model",),
        since: datetime | None = None,
        until: datetime | None = None,
        tz: str = "UTC",
    ) -> Rows[CostRow]:
        """Returns the costs of the ended runs of each group, at the prices of their creation.

        Raises SettingsError if no price list is installed: `pip install "runfold[cost]"`.
        """
        self._require_costs()
        grouping = parse_grouping(by, since, until, tz)
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
    ) -> Rows[StatusCount]:
        """Returns the number of runs of each group in each status, ended ones included."""
        grouping = parse_grouping(by, since, until, tz)
        with self._connect() as connection:
            return Rows(StatusCount, count_statuses(connection, grouping), groups=grouping.names)


def _refuse_database(connection: Connection, file: Path) -> None:
    if connection.dialect.name == "sqlite" and connection.engine.url.database:
        refuse_database(file, Path(connection.engine.url.database))
