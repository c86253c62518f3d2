"""Rebuilds that are killed, run twice at once, or run beside other work."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, select, text

from projections import Views
from projections.database.engine import open_engine
from projections.database.migrations import begin_exclusive
from projections.database.schema import SHADOW_PREFIX, checkpoints
from projections.runner import rebuild as rebuilding
from tests.support.paths import ROOT
from tests.support.reference_fold import fold_tables, many_runs, read_tables
from tracker.errors import SchemaError
from tracker.event_store import EventStore, open_event_store

pytestmark = pytest.mark.integration

RUNS = 60

# Kills itself before or after a commit, in the middle of a rebuild in small batches.
REBUILDER = """
import os, signal, sys
from functools import partial
from sqlalchemy import event
import projections.runner.rebuild as rebuilding
from projections import Views
rebuilding.catch_up = partial(rebuilding.catch_up, batch=20)
left, before = int(sys.argv[2]), sys.argv[3] == "before"
def step(*_):
    global left
    left -= 1
    if left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
with Views(sys.argv[1]) as views:
    if before:
        # Two commits prepare the rebuild.
        left += 2
        event.listen(views._engine, "commit", step)
        views.rebuild()
    else:
        views.rebuild(progress=step)
"""


@pytest.fixture
def store(database_url: str) -> EventStore:
    store = open_event_store(database_url)
    steps = many_runs(RUNS)
    for start in range(0, len(steps), 200):
        store.append(steps[start : start + 200])
    with Views(database_url) as views:
        views.upgrade()
        views.catch_up()
    return store


def read_rebuilds(engine: Engine) -> dict[str, int]:
    """Returns the position of each unfinished rebuild."""
    columns = checkpoints.c["projection", "position"]
    with engine.connect() as connection:
        found = {row.projection: row.position for row in connection.execute(select(*columns))}
    return {name: position for name, position in found.items() if name.endswith(" (rebuild)")}


def check(url: str, engine: Engine, store: EventStore) -> None:
    with Views(url) as views:
        views.catch_up()
        assert views.verify() == []
    found, expected = read_tables(engine), fold_tables(store)
    # Prices differ from release to release; `verify` above has checked the costs.
    for name in ("run_costs", "cost_hourly", "cost_totals"):
        del found[name], expected[name]
    assert found == expected
    assert read_rebuilds(engine) == {}
    assert not [it for it in inspect(engine).get_table_names() if it.startswith(SHADOW_PREFIX)]


@pytest.mark.kills
def test_a_rebuild_that_is_killed_goes_on_where_it_was(
    database_url: str, store: EventStore
) -> None:
    engine, chance = open_engine(database_url), random.Random()
    before, reached = read_tables(engine), 0
    for round_ in range(6):
        place = ("after", "before")[round_ % 2]
        command = [sys.executable, "-c", REBUILDER, database_url]
        process = subprocess.run(
            [*command, str(chance.randint(1, 2)), place], cwd=ROOT, timeout=300
        )
        assert process.returncode == -signal.SIGKILL
        assert read_tables(engine) == before
        positions = read_rebuilds(engine)
        assert len(positions) == 7
        # It never restarts, and has advanced if a commit succeeded.
        assert min(positions.values()) >= reached + (20 if place == "after" else 0)
        reached = min(positions.values())
    assert 3 * 20 <= reached < store.last_position()
    seen: list[int] = []
    with Views(database_url) as views:
        views.rebuild(progress=lambda position, last: seen.append(position))
    assert seen[0] > reached
    check(database_url, engine, store)
    engine.dispose()
    store.close()


def _rebuild(url: str) -> None:
    with Views(url) as views:
        for _ in range(2):
            views.rebuild()
    os._exit(0)


def test_two_rebuilds_beside_an_appender_and_a_follower(
    database_url: str, store: EventStore
) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_rebuild, args=(database_url,)) for _ in range(2)]
    for process in processes:
        process.start()
    more = [it._replace(stream=f"{it.stream}_more") for it in many_runs(RUNS)]
    with Views(database_url) as views:
        while more or any(process.is_alive() for process in processes):
            store.append(more[:7])
            more = more[7:]
            views.catch_up()
            assert len(views.runs(limit=None)) >= RUNS
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    engine = open_engine(database_url)
    check(database_url, engine, store)
    engine.dispose()
    store.close()


def test_a_rebuild_that_others_have_begun_is_not_swapped_in_unfinished(
    database_url: str, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(database_url)

    def catch_up_and_be_overtaken(*arguments: Any, **more: Any) -> int:
        monkeypatch.undo()
        applied = rebuilding.catch_up(*arguments, **more)
        # Another process finishes this rebuild first, and begins one more.
        with Views(database_url) as others:
            others.rebuild()
        with begin_exclusive(engine) as connection:
            for projection in others._projections:
                rebuilding._prepare(connection, projection, store.last_position())
        return applied

    before = read_tables(engine)
    monkeypatch.setattr(rebuilding, "catch_up", catch_up_and_be_overtaken)
    with Views(database_url) as views:
        views.rebuild()
    assert read_tables(engine) == before
    check(database_url, engine, store)
    engine.dispose()
    store.close()


def test_views_of_others_stay(database_url: str, store: EventStore) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE VIEW of_mine AS SELECT runs.run_id, run_phases.seq FROM runs "
                "JOIN run_phases ON run_phases.run_key = runs.run_key"
            )
        )
    query = text("SELECT run_id, seq FROM of_mine ORDER BY run_id, seq")
    with engine.connect() as connection:
        before = connection.execute(query).all()
    with Views(database_url) as views:
        views.rebuild()
        views.rebuild("runs")
    with engine.connect() as connection:
        assert connection.execute(query).all() == before != []
        assert connection.execute(text("SELECT count(*) FROM open_runs")).scalar() == 0
    engine.dispose()
    store.close()


def test_a_reader_holds_nobody_up(database_url: str, store: EventStore) -> None:
    engine = open_engine(database_url)
    is_reading, is_written = threading.Event(), threading.Event()
    counts: list[tuple[object, bool]] = []

    def read() -> None:
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            else:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            query = text("SELECT count(*), sum(version) FROM runs")
            while True:
                was_written = is_written.is_set()
                counts.append((tuple(connection.execute(query).one()), was_written))
                is_reading.set()
                if was_written:
                    return

    reader = threading.Thread(target=read)
    reader.start()
    assert is_reading.wait(120)
    # The reader does not end before all of this is done.
    more = [it._replace(stream=f"{it.stream}_more") for it in many_runs(RUNS)]
    with Views(database_url) as views:
        for start in range(0, len(more), 60):
            store.append(more[start : start + 60])
            views.catch_up()
        views.rebuild()
        assert len(views.runs(limit=None)) == 2 * RUNS
    is_written.set()
    reader.join(120)
    assert not reader.is_alive()
    assert {it for it, _ in counts} == {(RUNS, 5 * RUNS)}
    check(database_url, engine, store)
    engine.dispose()
    store.close()


def test_another_version_of_a_projection(database_url: str, store: EventStore) -> None:
    engine = open_engine(database_url)
    older = (
        "UPDATE runfold_checkpoints SET version = version - 1 WHERE projection IN ('runs', 'steps')"
    )
    with engine.begin() as connection:
        connection.execute(text("UPDATE runs SET model = 'as the older one had it'"))
        connection.execute(text(older))
    with Views(database_url) as views:
        assert views.catch_up() == 0
    check(database_url, engine, store)
    newer = "UPDATE runfold_checkpoints SET version = 99 WHERE projection = 'timing'"
    with engine.begin() as connection:
        connection.execute(text(newer))
    with Views(database_url) as views:
        with pytest.raises(SchemaError, match=r"version 99, .*newer release"):
            views.catch_up()
        assert [it.state for it in views.doctor().projections].count("newer") == 1
    engine.dispose()
    store.close()
