"""Exported files: complete or absent, after an error or a kill, and of any length."""

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyarrow import parquet
from sqlalchemy import insert, text

from projections import Views
from projections.database.engine import open_engine
from projections.database.schema import run_phases
from projections.export.formats import FORMATS, Format
from tests.support.command_line import SECONDS, environment
from tests.support.run_builder import BIRTH, created, ended, started
from tracker.core import events as e
from tracker.event_store import Append, open_event_store

pytestmark = pytest.mark.integration


@pytest.fixture
def views(database_url: str) -> Iterator[Views]:
    """Yields views of one run with two phases."""
    store = open_event_store("memory://")
    story = [created(), started(2, stamp=1, since=1), ended(e.RunCompleted, 20, stamp=11, since=8)]
    store.append([Append("assistants:run_1", 0, story)])
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
        yield views


def test_a_file_is_there_when_it_is_whole(views: Views, tmp_path: Path) -> None:
    file = tmp_path / "runs.parquet"
    file.write_bytes(b"of yesterday")

    def fail(rows: int) -> None:
        assert [it.name for it in tmp_path.glob("*.part")] == ["runs.parquet.part"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        views.export("runs", file, progress=fail)
    assert file.read_bytes() == b"of yesterday"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("format", FORMATS)
def test_a_kill_leaves_the_file_that_was_there(
    views: Views, database_url: str, tmp_path: Path, format: Format
) -> None:
    file = tmp_path / f"runs.{format}"
    file.write_bytes(b"of yesterday")
    program = (
        "import os, sys; from projections import Views; "
        "Views(sys.argv[1]).export('runs', sys.argv[2], progress=lambda rows: os._exit(9))"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, database_url, str(file)],
        env=environment(),
        timeout=SECONDS,
    )
    assert killed.returncode == 9
    assert file.read_bytes() == b"of yesterday"
    assert views.export("runs", file) == 1
    assert file.read_bytes() != b"of yesterday"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("format", FORMATS)
def test_it_does_not_grow_with_the_number_of_rows(
    views: Views, database_url: str, tmp_path: Path, format: Format
) -> None:
    number = 20_000
    engine = open_engine(database_url)
    with engine.begin() as connection:
        many = [
            {"run_key": "assistants:run_4", "seq": seq, "status": "queued", "basis": "server"}
            | {"entered_at": BIRTH + timedelta(seconds=seq)}
            for seq in range(number)
        ]
        connection.execute(insert(run_phases), many)
    del many
    statements: set[str] = set()

    def watch(rows: int) -> None:
        if engine.dialect.name == "postgresql" and not statements:
            with engine.connect() as connection:
                found = connection.execute(text("SELECT query FROM pg_stat_activity")).scalars()
                statements.update(filter(None, found))

    tracemalloc.start()
    try:
        count = views.export("run_phases", tmp_path / f"phases.{format}", progress=watch)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    engine.dispose()
    assert count == number + 2
    # The rows take over 14 MB as objects.
    assert most < 6_000_000
    if engine.dialect.name == "postgresql":
        assert any(it.startswith("FETCH FORWARD ") for it in statements), statements
    if format == "parquet":
        last = parquet.read_table(tmp_path / "phases.parquet").slice(count - 1).to_pylist()
        assert last[0]["entered_at"] == datetime(2026, 1, 1, 17, 33, 19, tzinfo=UTC)
