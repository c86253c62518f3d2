"""Runs that cannot be read, applied or stored: set aside, while all others are applied."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, select, text

from projections import Views
from projections.database.engine import open_engine
from projections.database.schema import metadata, set_aside
from projections.folding.batch_fold import BatchFold
from projections.maintenance.retrying import Retried, retry
from projections.maintenance.verify import verify
from projections.projectors.runs import RunsBatch, RunsProjection
from projections.row_types import RunRow
from projections.runner.catch_up import catch_up
from projections.runner.rebuild import rebuild
from projections.runner.set_aside import find_set_aside
from tests.support.cost_fixtures import price_list
from tests.support.examples import examples
from tests.support.raw_events import GARBAGE, nested, plant_event, replace_event
from tests.support.reference_fold import (
    ALL,
    Tables,
    appends,
    fold_tables,
    many_runs,
    open_migrated,
    read_tables,
    rollups,
)
from tests.support.run_builder import created, ended, second, started
from tracker.core import events as e
from tracker.errors import UnknownRun
from tracker.event_store import Append, EventStore, open_event_store
from tracker.forgetting import forget_run

pytestmark = pytest.mark.integration

BAD = "assistants:bad"
PRICES = price_list("gpt-4o")
END = ended(e.RunCompleted, 20, stamp=19, since=12)


def tables_of_others(tables: Tables, stream: str = BAD) -> Tables:
    """Returns the tables of runs without those of one run."""
    return {
        name: [row for row in rows if row[0] != stream]
        for name, rows in tables.items()
        if name.startswith("run")
    }


def rollups_of_rows(tables: Tables) -> Tables:
    """Returns the sums over the rows that stand."""
    return rollups([run for row in tables["runs"] if (run := RunRow(*row)).outcome is not None])


def good_store() -> EventStore:
    """Returns a store with the good runs of `many_runs` alone."""
    store = open_event_store("memory://")
    store.append(many_runs(7))
    return store


@pytest.mark.parametrize("state", [GARBAGE, nested(250), b"[]", b"{}", b""])
def test_an_event_that_cannot_be_read(database_url: str, state: bytes) -> None:
    store, expected = open_event_store(database_url), fold_tables(good_store())
    plant_event(database_url, BAD, 1, state, "run.created/1")
    store.append(many_runs(7))
    with Views(database_url, prices=PRICES) as views:
        views.upgrade()
        assert views.catch_up() == store.last_position()
        found = views.doctor()
        assert not found.is_healthy
        [run] = found.set_aside
        assert (run.run_key, run.position, found.runs_set_aside) == (BAD, 0, 1)
        assert len(run.projections) == len(ALL)
        assert "version 1 (position 1): an event of topic 'run.created/1'" in run.reason
        assert run.cure.startswith(f"runfold retry {BAD}, or else runfold forget --run {BAD}")
        assert views.verify() == []
        # Later events of it are left out, and it is noted once.
        store.append([Append(BAD, 1, [started(2, 1, 1)])])
        assert views.catch_up() == 1
        assert views.doctor().set_aside == found.set_aside
        views.rebuild()
        assert [it.run_key for it in views.doctor().set_aside] == [BAD]
        assert views.catch_up() == 0
        assert views.verify() == []
    engine = open_engine(database_url)
    assert tables_of_others(read_tables(engine)) == tables_of_others(expected)
    assert rollups_of_rows(read_tables(engine)).items() <= read_tables(engine).items()
    replace_event(database_url, BAD, 1, created(run_id="bad"))
    with Views(database_url, prices=PRICES) as views:
        assert views.retry("bad") == Retried(1, ())
        assert views.doctor().is_healthy
        assert views.run("bad").version == 2
        assert views.verify() == []
        with pytest.raises(UnknownRun, match="no run bad is set aside"):
            views.retry("bad")
    assert read_tables(engine) == fold_tables(store)
    engine.dispose()
    store.close()


def test_an_open_run_whose_next_event_cannot_be_read_keeps_its_rows(database_url: str) -> None:
    store = open_event_store(database_url)
    store.append([Append(BAD, 0, [created(run_id="bad"), started(2, 1, 1)])])
    with Views(database_url) as views:
        views.upgrade()
        views.catch_up()
        before = views.run("bad")
        plant_event(database_url, BAD, 3)
        store.append([Append(BAD, 3, [END]), *many_runs(3)])
        views.catch_up()
        assert views.run("bad") == before
        assert len(views.runs(limit=None)) == 4
        assert sum(row.runs for row in views.usage(by=None)) == 3
        assert views.verify() == []
        retried = views.retry()
        assert (retried.completed, [it.run_key for it in retried.set_aside]) == (0, [BAD])
        assert views.run("bad") == before
        changed = e.RunTimesChanged(observed_at=second(4), expires_at=second(700))
        replace_event(database_url, BAD, 3, changed)
        assert views.retry().completed == 1
        assert views.run("bad").outcome == "completed"
        assert sum(row.runs for row in views.usage(by=None)) == 4
        assert views.verify() == []
    store.close()


def refuse(engine: Engine, table: str, *, until: bool = False) -> None:
    """Makes the database refuse the rows of the bad run in a table, or no longer."""
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            for verb in ("INSERT", "UPDATE"):
                connection.execute(
                    text(
                        f"DROP TRIGGER fussy_{verb}"
                        if until
                        else f"CREATE TRIGGER fussy_{verb} BEFORE {verb} ON {table} "
                        f"WHEN new.run_key = '{BAD}' "
                        "BEGIN SELECT RAISE(ABORT, 'not this one'); END"
                    )
                )
        elif until:
            connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT fussy"))
        else:
            condition = f"CHECK (run_key <> '{BAD}') NOT VALID"
            connection.execute(text(f"ALTER TABLE {table} ADD CONSTRAINT fussy {condition}"))


@pytest.mark.parametrize("table", ["runs", "run_phases", "run_steps", "run_costs"])
@pytest.mark.parametrize("batch", [3, 20_000])
def test_a_row_that_the_database_refuses(database_url: str, table: str, batch: int) -> None:
    engine, store = open_migrated(database_url), open_event_store("memory://")
    runs = many_runs(60)
    step = e.RunStepRecorded(observed_at=second(2), step_id="s", type="t", status="completed")
    store.append([*runs[:100], Append(BAD, 0, [created(run_id="bad"), step, END]), *runs[100:]])
    refuse(engine, table)
    assert catch_up(engine, store, ALL, batch=batch) == store.last_position()
    with engine.connect() as connection:
        [found] = find_set_aside(connection)
    assert found.run_key == BAD
    assert "the database refuses a row of it" in found.reason
    expected = open_event_store("memory://")
    expected.append(runs)
    tables, whole = read_tables(engine), fold_tables(expected)
    assert tables_of_others(tables) == tables_of_others(whole)
    assert rollups_of_rows(tables).items() <= tables.items()
    assert verify(engine, store, ALL) == []
    assert retry(engine, store, ALL, None, None).completed == 0
    refuse(engine, table, until=True)
    assert retry(engine, store, ALL, "bad", None) == Retried(1, ())
    assert read_tables(engine) == fold_tables(store)
    engine.dispose()


def test_a_key_that_is_too_long_for_an_index(postgres_db: str) -> None:
    store = open_event_store(postgres_db)
    chance = random.Random(1)
    source = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9000))
    store.append([Append(BAD, 0, [created(run_id="bad", source=source), END]), *many_runs(3)])
    with Views(postgres_db) as views:
        views.upgrade()
        views.catch_up()
        assert len(views.runs(limit=None)) == 3
        [run] = views.doctor().set_aside
        assert "index row" in run.reason
        assert views.verify() == []
        forget_run(store, BAD, on_forgotten=views.remove_runs)
        assert views.doctor().is_healthy
        assert views.verify() == []
    store.close()


class FailingProjection(RunsProjection):
    """A projection that cannot make the row of one run."""

    def start_batch(self, fold: BatchFold) -> RunsBatch:
        return FailingBatch(fold)


class FailingBatch(RunsBatch):
    def write(self, *arguments: object) -> None:
        if any(run.key == "assistants:run_700" for run in self.fold.runs()):
            raise ZeroDivisionError("not this one")
        super().write(*arguments)  # type: ignore[arg-type]


class NextRelease(RunsProjection):
    """The same projection in a release that folds events differently."""

    version = RunsProjection.version + 1


def test_a_projection_that_cannot_make_the_row_of_a_run_until_its_next_release(
    database_url: str,
) -> None:
    engine, store = open_migrated(database_url), open_event_store("memory://")
    store.append(many_runs(1000)[:1000])
    assert catch_up(engine, store, [*ALL[1:], FailingProjection()]) == 1000
    assert len(read_tables(engine)["runs"]) == len(read_tables(engine)["run_phases"]) == 999
    with engine.connect() as connection:
        [found] = find_set_aside(connection)
    assert found.reason == "its rows cannot be made: ZeroDivisionError: not this one"
    # The rows are made again of all events; the others keep it aside until it is retried.
    rebuild(engine, store, [NextRelease()])
    assert len(read_tables(engine)["runs"]) == 1000
    store.append([Append(f"assistants:run_{it}", 1, [started(4, 2, 1)]) for it in (699, 700)])
    projections = [*ALL[1:], NextRelease()]
    assert catch_up(engine, store, projections) == 2
    assert len(read_tables(engine)["run_phases"]) == 999 + 1
    assert retry(engine, store, projections, None, None).completed == 1
    assert read_tables(engine) == fold_tables(store)
    engine.dispose()


def test_a_run_is_forgotten_with_its_note_and_no_other(database_url: str) -> None:
    store = open_event_store(database_url)
    store.append(many_runs(2))
    plant_event(database_url, BAD, 1)
    plant_event(database_url, "assistants:other", 1)
    with Views(database_url) as views:
        views.upgrade()
        views.catch_up()
        assert forget_run(store, "bad", on_forgotten=views.remove_runs) == (1, 1)
        assert [it.run_key for it in views.doctor().set_aside] == ["assistants:other"]
        # Rows of runs that have events stay.
        assert views.remove_runs(["assistants:run_0", "assistants:other"]).runs == 0
        assert len(views.runs(limit=None)) == 2
    store.close()


class InterruptedStore:
    """An event store during whose reads a run is retried, once."""

    def __init__(self, store: EventStore, engine: Engine) -> None:
        self._store, self._engine = store, engine
        self.is_done = False

    def read_all(self, after: int = 0, limit: int = 1000) -> list[e.Event]:
        page = self._store.read_all(after, limit)
        if page and not self.is_done:
            self.is_done = True
            assert retry(self._engine, self._store, ALL, None, None).completed == 1
        return page  # type: ignore[return-value]

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_a_retry_while_a_batch_leaves_the_run_out(database_url: str) -> None:
    engine, store = open_migrated(database_url), open_event_store("memory://")
    store.append([Append(BAD, 0, [created(run_id="bad")])])
    refuse(engine, "runs")
    catch_up(engine, store, ALL)
    refuse(engine, "runs", until=True)
    store.append([*many_runs(3), Append(BAD, 1, [started(2, 1, 1)])])
    interrupted: EventStore = InterruptedStore(store, engine)  # type: ignore[assignment]
    catch_up(engine, interrupted, ALL)
    assert read_tables(engine) == fold_tables(store)
    engine.dispose()


class SpoiltStore:
    """An event store in which some events cannot be read, by stream and version."""

    def __init__(self, store: EventStore, spoilt: dict[str, int]) -> None:
        self._store, self.spoilt = store, spoilt

    def read_all(self, after: int = 0, limit: int = 1000) -> list[object]:
        return [self._spoil(it) for it in self._store.read_all(after, limit)]

    def read(self, stream: str, after: int = 0) -> list[object]:
        return [self._spoil(it) for it in self._store.read(stream, after)]

    def read_many(self, streams: Sequence[str]) -> dict[str, list[object]]:
        found = self._store.read_many(streams)
        return {stream: [self._spoil(it) for it in events] for stream, events in found.items()}

    def _spoil(self, recorded: object) -> object:
        if self.spoilt.get(recorded.stream) != recorded.version:  # type: ignore[attr-defined]
            return recorded
        event = e.Unreadable(stored_topic="t", state=b"", reason="spoilt")
        return recorded._replace(event=event)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def compare(engine: Engine, steps: list[Append], data: st.DataObject) -> None:
    """Applies good and bad runs in random batches, and compares the good ones and the sums."""
    good, store = open_event_store("memory://"), open_event_store("memory://")
    good.append(steps)
    with engine.begin() as connection:
        for table in metadata.tables.values():
            connection.execute(delete(table))
    spoilt: dict[str, int] = {}
    mixed = list(steps)
    for number in range(data.draw(st.integers(1, 4))):
        story = [created(run_id=f"bad_{number}"), started(2, 1, 1), END]
        at = 0
        for version, event in enumerate(story):
            at = data.draw(st.integers(at, len(mixed)))
            mixed.insert(at, Append(f"assistants:bad_{number}", version, [event]))
            at += 1
        spoilt[f"assistants:bad_{number}"] = data.draw(st.integers(1, 3))
    spoiling = SpoiltStore(store, spoilt)
    events: EventStore = spoiling  # type: ignore[assignment]
    left = mixed
    while left:
        count = data.draw(st.integers(1, len(left)))
        store.append(left[:count])
        left = left[count:]
        catch_up(engine, events, ALL, batch=data.draw(st.integers(1, 9)))
        if data.draw(st.booleans()):
            retry(engine, events, ALL, None, None)
    if data.draw(st.booleans()):
        rebuild(engine, events, ALL)
    found, expected = read_tables(engine), fold_tables(good)
    for name in ("runs", "run_phases", "run_actions", "run_steps", "run_costs"):
        assert [row for row in found[name] if row[0] not in spoilt] == expected[name]
    assert rollups_of_rows(found).items() <= found.items()
    with engine.connect() as connection:
        assert set(connection.execute(select(set_aside.c.run_key)).scalars()) == set(spoilt)
    assert verify(engine, events, ALL) == []
    spoiling.spoilt = {}
    assert retry(engine, events, ALL, None, None).completed == len(spoilt)
    assert read_tables(engine) == fold_tables(store)


any_number = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return open_migrated(f"sqlite:///{tmp_path_factory.mktemp('aside') / 'runs.db'}")


@settings(any_number, max_examples=examples(12))
@given(appends(), st.data())
def test_bad_runs_among_good_ones_on_sqlite(
    sqlite_engine: Engine, steps: list[Append], data: st.DataObject
) -> None:
    compare(sqlite_engine, steps, data)
    sqlite_engine.dispose()


def test_bad_runs_among_good_ones_on_postgresql(postgres_db: str) -> None:
    engine = open_migrated(postgres_db)

    @settings(any_number, max_examples=examples(4))
    @given(appends(), st.data())
    def check(steps: list[Append], data: st.DataObject) -> None:
        compare(engine, steps, data)

    check()
    engine.dispose()
