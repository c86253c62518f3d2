"""Tables and views exported: each value as stored, on both databases."""

import gzip
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet
from sqlalchemy import Connection, select, text

from projections import Views, metadata
from projections.database.engine import open_engine
from projections.database.schema import STATE_TABLES
from projections.export.formats import FORMATS, Format
from projections.export.tables import TABLES
from tests.support.cost_fixtures import price_list
from tests.support.run_builder import BIRTH, created, ended, second, started, waiting
from tracker import EventStore
from tracker.core import events as e
from tracker.core.usage import Usage
from tracker.event_store import Append, open_event_store

pytestmark = pytest.mark.integration

STEP = e.RunStepRecorded(
    observed_at=second(21),
    step_id="step_1",
    type="tool_calls",
    status="completed",
    tools=("price", "file_search"),
    created_at=second(9),
    usage=Usage(prompt_tokens=5),
)
MOMENT = pyarrow.timestamp("us", tz="UTC")
DOCUMENTS = {"metadata": {"user": "ann", "ü": None, "nested": [1, {"a": "\n"}]}}


def append_completed(run_id: str, **more: Any) -> Append:
    usage = Usage(prompt_tokens=7, completion_tokens=2, total_tokens=9)
    end = ended(e.RunCompleted, 20, stamp=11, since=8, usage=usage)
    story = [created(run_id=run_id, **more), started(2, stamp=1, since=1), end, STEP]
    return Append(f"assistants:{run_id}", 0, story)


@pytest.fixture
def store() -> EventStore:
    """Returns one ended run, an overdue one that waits for an action, and one of another hour."""
    store = open_event_store("memory://")
    store.append([append_completed("run_2", model="gpt-4o", **DOCUMENTS)])
    open_run = [created(run_id="run_1"), started(2, stamp=1, since=1), waiting(10, since=8)]
    store.append([Append("assistants:run_1", 0, open_run)])
    later = {"occurred_at": second(4000.5), "observed_at": second(4001), "expires_at": None}
    store.append([Append("assistants:Run_3", 0, [created(run_id="Run_3", **later)])])
    return store


@pytest.fixture
def views(database_url: str, store: EventStore) -> Iterator[Views]:
    with Views(database_url, store=store, prices=price_list("gpt-4o")) as views:
        views.upgrade()
        views.catch_up()
        yield views


@pytest.fixture
def connection(views: Views, database_url: str) -> Iterator[Connection]:
    engine = open_engine(database_url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def read_lines(file: Path) -> list[dict[str, Any]]:
    content = file.read_bytes()
    if file.name.endswith(".gz"):
        content = gzip.decompress(content)
    return [json.loads(line) for line in content.splitlines()]


def read_table(connection: Connection, name: str) -> list[dict[str, Any]]:
    """Returns the rows by a plain query, ordered by their keys in Python."""
    table = metadata.tables[name]
    public = [column for column in table.c if not column.name.startswith("_")]
    rows = [dict(row._mapping) for row in connection.execute(select(*public))]
    return sorted(rows, key=lambda row: tuple(row[column.name] for column in table.primary_key))


ROWS = [name for name in TABLES if name in metadata.tables]


def test_there_is_each_table_that_is_public() -> None:
    assert [*ROWS, *STATE_TABLES] == list(metadata.tables)
    assert set(TABLES) - set(ROWS) == {"open_runs", "stuck_runs"}


def test_parquet_has_each_value_of_each_table(
    views: Views, connection: Connection, tmp_path: Path
) -> None:
    counts = views.export_all(tmp_path / "all", format="parquet")
    assert list(counts) == list(TABLES)
    for name in ROWS:
        rows = read_table(connection, name)
        table = parquet.read_table(tmp_path / "all" / f"{name}.parquet")
        found = table.to_pylist()
        if name == "runs":
            for row in found:
                row["metadata"] = json.loads(row["metadata"])
        assert found == rows
        assert counts[name] == len(rows) > 0
        public = [it.name for it in metadata.tables[name].c if not it.name.startswith("_")]
        assert table.schema.names == public
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("format", ["jsonl", "jsonl.gz"])
def test_lines_have_each_value_of_each_table(
    views: Views, connection: Connection, tmp_path: Path, format: Format
) -> None:
    views.export_all(tmp_path, format=format)
    for name in ROWS:
        rows = read_table(connection, name)
        found = read_lines(tmp_path / f"{name}.{format}")
        for line, row in zip(found, rows, strict=True):
            assert list(line) == list(row)
            for key, value in row.items():
                if isinstance(value, datetime):
                    assert line[key].endswith("Z")
                    assert datetime.fromisoformat(line[key]) == value
                else:
                    assert line[key] == value


def test_the_types_are_the_same_where_there_is_no_row(
    views: Views, database_url: str, tmp_path: Path
) -> None:
    views.export("runs", tmp_path / "full.parquet")
    assert views.export("runs", tmp_path / "empty.parquet", since=second(9_000)) == 0
    schema = parquet.read_schema(tmp_path / "full.parquet")
    assert parquet.read_schema(tmp_path / "empty.parquet") == schema
    assert schema.field("created_at").type == MOMENT
    assert schema.field("prompt_tokens").type == pyarrow.int64()
    assert schema.field("queued_seconds").type == pyarrow.float64()
    assert schema.field("metadata").type == pyarrow.string()
    *columns, cost = views.runs(limit=None).to_arrow().schema
    assert ([*schema], cost.name) == (columns, "total_dollars")
    views.export("run_steps", tmp_path / "steps.parquet")
    steps = parquet.read_schema(tmp_path / "steps.parquet")
    assert steps.field("tools").type == pyarrow.list_(pyarrow.string())


def test_what_is_stuck_and_open(views: Views, connection: Connection, tmp_path: Path) -> None:
    views.export("stuck_runs", tmp_path / "stuck.parquet")
    views.export("open_runs", tmp_path / "open.parquet")
    stuck = parquet.read_table(tmp_path / "stuck.parquet")
    [row] = stuck.to_pylist()
    [expected] = views.stuck().to_arrow().to_pylist()
    ages = {"age_seconds", "silent_seconds"}
    assert {k: row[k] for k in row.keys() - ages} == {k: expected[k] for k in row.keys() - ages}
    for name in ages:
        assert expected[name] - 60 < row[name] <= expected[name]
    assert stuck.schema == views.stuck().to_arrow().schema
    for name, table in (
        ("stuck_runs", stuck),
        ("open_runs", parquet.read_table(tmp_path / "open.parquet")),
    ):
        view = connection.execute(text(f"SELECT * FROM {name} ORDER BY created_at DESC"))
        assert table.schema.names == list(view.keys())
        assert table.column("run_key").to_pylist() == [it.run_key for it in view]
        assert table.schema.field("age_seconds").type == pyarrow.float64()


def test_the_rows_are_in_the_order_of_their_keys(views: Views, tmp_path: Path) -> None:
    first, again = tmp_path / "first.jsonl.gz", tmp_path / "again.jsonl.gz"
    views.export("runs", first)
    views.export("runs", again)
    # By code point: upper case first, whatever the locale of the server.
    keys = ["assistants:Run_3", "assistants:run_1", "assistants:run_2"]
    assert [row["run_key"] for row in read_lines(first)] == keys
    assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize(
    ("table", "count"),
    [("runs", 2), ("run_phases", 5), ("run_actions", 1), ("run_steps", 1), ("run_costs", 1)],
)
def test_only_runs_that_were_created_between(
    views: Views, tmp_path: Path, table: str, count: int
) -> None:
    file = tmp_path / "some.jsonl"
    assert views.export(table, file, until=second(4000)) == count
    assert views.export(table, file, since=BIRTH, until=second(4000)) == count
    assert {it["run_key"] for it in read_lines(file)} <= {"assistants:run_1", "assistants:run_2"}
    assert views.export(table, file, until=BIRTH) == 0
    assert views.export(table, file, since=second(4000)) == (table in ("runs", "run_phases"))
    assert views.export("open_runs", file, since=second(4000)) == 1
    assert views.export("stuck_runs", file, since=second(4000)) == 0


@pytest.mark.parametrize("format", FORMATS)
def test_all_tables_are_of_one_moment(
    views: Views, database_url: str, store: EventStore, tmp_path: Path, format: Format
) -> None:
    before = views.export_all(tmp_path, format=format)
    told: list[int] = []

    def meanwhile(rows: int) -> None:
        told.append(rows)
        with Views(database_url, store=store, prices=price_list("gpt-4o")) as others:
            store.append([append_completed(f"new_{len(told)}", model="gpt-4o")])
            assert others.catch_up() > 0

    assert views.export_all(tmp_path, format=format, progress=meanwhile) == before
    assert told[0] == before["runs"] == 3
    assert told == sorted(told)
    assert told[-1] == sum(before.values())
    assert len(views.runs(limit=None)) == 3 + len(told)


def test_as_of_a_moment(views: Views, tmp_path: Path) -> None:
    with views.as_of(second(3)) as past:
        assert past.export("runs", tmp_path / "runs.jsonl") == 2
        counts = past.export_all(tmp_path)
    assert counts["run_actions"] == counts["run_costs"] == 0
    assert {row["status"] for row in read_lines(tmp_path / "runs.jsonl")} == {"in_progress"}
    [aged, _] = read_lines(tmp_path / "open_runs.jsonl")
    assert aged["age_seconds"] == pytest.approx(3, abs=0.001)
