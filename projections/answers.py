"""The questions that the tables answer, whichever tables they are."""

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

from projections.export.atomic_files import make_folder, whole_file
from projections.export.formats import Format, format_of
from projections.export.rows import Rows
from projections.export.tables import TABLES, Exported, Target, export_tables, table_query
from projections.projectors.prices import require_prices
from projections.queries.costs import find_unpriced, sum_costs
from projections.queries.grouping import By, group_names
from projections.queries.runs import (
    Choice,
    count_statuses,
    find_actions,
    find_phases,
    find_run,
    find_runs,
    find_steps,
)
from projections.queries.stuck import find_stuck
from projections.queries.timing import measure
from projections.queries.usage import sum_usage
from projections.row_types import (
    ActionRow,
    CostRow,
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
    """Typed, frozen answers from the tables of one database.

    Most are `Rows`: lists that are made Arrow or Polars tables with `to_arrow` and `to_polars`.
    `since` and `until` are aware datetimes and limit by creation: from `since` on, before
    `until`. `by` is a column of a run's (`source`, `assistant_id`, `model`, `outcome`, `status`,
    `thread_id`), `metadata.KEY`, `day` or `hour` of its creation in the time zone `tz`, or
    several of these. A day is a date, an hour an aware datetime in `tz`, each as long as it is
    there. Answers by source, assistant, model, outcome, day and hour come from rollups, and cost
    the same however many runs there are; others read the runs one by one.

    All methods raise SettingsError for an argument that cannot be used, SchemaError where
    `upgrade()` is needed, StoreUnavailable where the database cannot be reached.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Gives back what answering needs."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Connection]:
        """A connection to the tables."""

    @abstractmethod
    def _has_costs(self) -> bool:
        """Whether the tables of costs are kept."""

    def export(
        self,
        table: str,
        file: str | PathLike[str] | BinaryIO,
        *,
        format: Format | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        progress: Exported = lambda rows: None,
    ) -> int:
        """Writes a table or view, one of `TABLES` of `projections.export.tables`, to a file.

        As lines of JSON, packed or not, or as Parquet: as `format` says, else as the name ends
        (`.jsonl`, `.jsonl.gz`, `.parquet`). The rows are those of one snapshot, in the order of
        their keys; they are not held in memory, however many they are. The file is in its place
        once it is whole. `since` and `until` are for tables of runs. `progress` is told how many
        rows were written; gives how many there were. Raises SettingsError where the file cannot
        be written, or pyarrow is missing for Parquet.
        """
        opened: AbstractContextManager[BinaryIO]
        if isinstance(file, str | PathLike):
            chosen, opened = format_of(Path(file), format), whole_file(Path(file))
        else:
            chosen, opened = format_of(None, format), nullcontext(file)
        now = self._now()
        with self._reading() as connection:
            target = Target(table_query(connection, table, now, since, until), opened)
            [count] = export_tables(connection, [target], chosen, progress)
        return count

    def export_all(
        self,
        folder: str | PathLike[str],
        *,
        format: Format = "jsonl",
        progress: Exported = lambda rows: None,
    ) -> dict[str, int]:
        """Writes every table and view to a file of its name in a folder, all of one snapshot.

        The folder is made where there is none. The files come into their places together, when
        the last one is whole. Gives how many rows each table has. Otherwise as `export`.
        """
        place, chosen, now = Path(folder), format_of(None, format), self._now()
        with self._reading() as connection:
            make_folder(place)
            targets = [
                Target(table_query(connection, it, now), whole_file(place / f"{it}.{chosen}"))
                for it in TABLES
            ]
            counts = export_tables(connection, targets, chosen, progress)
        return dict(zip(TABLES, counts, strict=True))

    def _now(self) -> datetime:
        """The moment that open runs are as old as they are at."""
        return datetime.now(UTC)

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
    ) -> Rows[RunRow]:
        """The runs with these values, or one of several for each; newest first."""
        choices = {
            "status": status,
            "outcome": outcome,
            "source": source,
            "thread_id": thread_id,
            "assistant_id": assistant_id,
        }
        with self._reading() as connection:
            return Rows(RunRow, find_runs(connection, choices, since, until, limit))

    def run(self, run_id: str, source: str | None = None) -> RunRow:
        """One run. Raises UnknownRun; `source` is needed where several have a run of that id."""
        with self._reading() as connection:
            return find_run(connection, run_id, source)

    def phases(self, run_id: str, source: str | None = None) -> Rows[PhaseRow]:
        """The phases of one run, first to last. Raises as `run` does."""
        with self._reading() as connection:
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
        """What runs waited for, call by call, oldest first; of one run where it is named.

        With `waiting`, only what still waits. Raises as `run` does.
        """
        with self._reading() as connection:
            run_key = None if run_id is None else find_run(connection, run_id, source).run_key
            return Rows(ActionRow, find_actions(connection, run_key, waiting, limit))

    def steps(self, run_id: str, source: str | None = None) -> Rows[StepRow]:
        """The steps of one run that were recorded, first to last. Raises as `run` does."""
        with self._reading() as connection:
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
        """How long ended runs queued, ran, waited for action and took in total, for each group.

        A phase that a run never had is not counted as zero but not at all.
        """
        with self._reading() as connection:
            found = measure(connection, by, percentiles, since, until, tz)
        return Rows(TimingRow, found, groups=group_names(by), percentiles=percentiles)

    def stuck(self, now: datetime | None = None, limit: int | None = None) -> Rows[StuckRow]:
        """The open runs that should have ended by `now`, the oldest first; see `StuckRow`."""
        with self._reading() as connection:
            return Rows(StuckRow, find_stuck(connection, now or self._now(), limit))

    def usage(
        self,
        by: By = ("model",),
        since: datetime | None = None,
        until: datetime | None = None,
        tz: str = "UTC",
    ) -> Rows[UsageRow]:
        """The tokens of the ended runs of each group."""
        with self._reading() as connection:
            found = sum_usage(connection, by, since, until, tz)
        return Rows(UsageRow, found, groups=group_names(by))

    def cost(
        self,
        by: By = ("model",),
        since: datetime | None = None,
        until: datetime | None = None,
        tz: str = "UTC",
    ) -> Rows[CostRow]:
        """What the ended runs of each group cost, at the prices of the time of their creation.

        Raises SettingsError where no price list is installed: `pip install "runfold[cost]"`.
        """
        require_prices(self._has_costs())
        with self._reading() as connection:
            found = sum_costs(connection, by, since, until, tz)
        return Rows(CostRow, found, groups=group_names(by))

    def unpriced(self) -> Rows[UnpricedRow]:
        """The models that had no price, that of most runs first. Raises as `cost` does."""
        require_prices(self._has_costs())
        with self._reading() as connection:
            return Rows(UnpricedRow, find_unpriced(connection))

    def status_counts(
        self,
        by: By = None,
        since: datetime | None = None,
        until: datetime | None = None,
        tz: str = "UTC",
    ) -> Rows[StatusCount]:
        """How many runs are in each status, for each group; all that ever ended among them."""
        with self._reading() as connection:
            found = count_statuses(connection, by, since, until, tz)
        return Rows(StatusCount, found, groups=group_names(by))
