"""Failures of the views: their messages, and the state that they leave."""

from pathlib import Path

import pytest
from sqlalchemy import select, text

from projections import Views
from projections.database.engine import open_engine
from projections.database.migrations import downgrade, upgrade
from projections.database.schema import REVISION, runs
from projections.projectors.phases import PhasesProjection
from projections.projectors.runs import RunsProjection
from projections.runner.catch_up import catch_up
from tests.support.run_builder import created, created_runs, started
from tracker.errors import (
    SchemaError,
    StoreUnavailable,
    ViewsError,
)
from tracker.event_store import Append, EventStore, open_event_store

pytestmark = pytest.mark.integration


def test_reading_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "missing.db"
    with Views(f"sqlite:///{path}") as views:
        for call in (views.runs, views.catch_up, views.usage):
            with pytest.raises(StoreUnavailable, match=f"no database at {path}"):
                call()
        assert not path.exists()
        views.upgrade()
        assert views.runs(limit=None) == []


def test_old_tables_are_refused_with_the_cure(database_url: str) -> None:
    engine = open_engine(database_url, create=True)
    upgrade(engine)
    downgrade(engine, "base")
    with Views(database_url) as views:
        words = (
            f"the tables are at no revision, this release needs {REVISION}: run `runfold upgrade"
        )
        for call in (views.runs, views.catch_up):
            with pytest.raises(SchemaError, match=words):
                call()
        views.upgrade()
        assert views.runs(limit=None) == []
    engine.dispose()


def test_an_unreachable_server_is_named_without_its_password() -> None:
    for url in (
        "postgresql://ann:s3cret@127.0.0.1:1/runs",
        "postgresql://ann@127.0.0.1:1/runs?password=s3cret",
    ):
        with Views(url) as views, pytest.raises(StoreUnavailable) as caught:
            views.runs(limit=None)
        assert "ann@127.0.0.1:1/runs" in str(caught.value)
        shown = [str(caught.value), str(caught.value.__cause__), repr(caught.value.__context__)]
        assert "s3cret" not in " ".join(shown)


def test_a_missing_database_and_a_file_that_is_none(postgres_url: str, tmp_path: Path) -> None:
    none = postgres_url.removesuffix("postgres") + "none"
    missing = pytest.raises(StoreUnavailable, match='database "none" does not exist')
    with Views(none) as views, missing:
        views.runs(limit=None)
    path = tmp_path / "notes.txt"
    path.write_text("These are no tables, but notes." * 100)
    with Views(f"sqlite:///{path}") as views:
        for call in (views.runs, views.upgrade):
            with pytest.raises(ViewsError, match="file is not a database"):
                call()
    refused = pytest.raises(StoreUnavailable, match="unable to open")
    with Views(f"sqlite:///{tmp_path}/no/folder/runs.db") as views, refused:
        views.upgrade()


def test_a_row_that_somebody_deleted_is_made_again_of_its_events(database_url: str) -> None:
    store = open_event_store("memory://")
    store.append(created_runs(1))
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
        engine = open_engine(database_url)
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM runs"))
        engine.dispose()
        store.append([Append("assistants:run_0", 1, [started(2, 1, 1)])])
        views.catch_up()
        assert [(row.run_id, row.version) for row in views.runs(limit=None)] == [("run_0", 2)]


def test_tables_ahead_of_their_events_are_refused(database_url: str) -> None:
    full, empty = open_event_store("memory://"), open_event_store("memory://")
    full.append(created_runs(3))
    with Views(database_url, store=full) as views:
        views.upgrade()
        views.catch_up()
    refused = pytest.raises(ViewsError, match=r"ahead of the event store .*rebuild")
    with Views(database_url, store=empty) as views, refused:
        views.catch_up()


def test_tables_of_another_version_of_the_projection_are_refused(database_url: str) -> None:
    class NextRelease(RunsProjection):
        version = 99

    engine, store = open_engine(database_url, create=True), open_event_store("memory://")
    upgrade(engine)
    catch_up(engine, store, [RunsProjection()])
    with pytest.raises(SchemaError, match=r"by its version 1, .* has version 99: .*rebuild runs"):
        catch_up(engine, store, [NextRelease()])
    engine.dispose()


def test_events_and_tables_share_one_database(database_url: str) -> None:
    store = open_event_store(database_url)
    with Views(database_url) as views:
        views.upgrade()
        for number in range(3):
            run_id = f"run_{number}"
            store.append([Append(f"assistants:{run_id}", 0, [created(run_id=run_id)])])
            assert views.catch_up() == 1
        assert views.catch_up() == 0
        assert len(views.runs(limit=None)) == 3
    store.close()


def test_text_that_postgresql_has_no_place_for_does_not_stop_it(database_url: str) -> None:
    store = open_event_store("memory://")
    nasty = {"a\x00b": "\x00", "deep": [{"x": "\\u0000"}]}
    event = created(metadata=nasty, thread_id="t\x00" * 5000, model="m\x00")
    store.append([Append("assistants:run_1", 0, [event])])
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
        run = views.run("run_1")
    assert run.metadata == {"a\ufffdb": "\ufffd", "deep": [{"x": "\\u0000"}]}
    assert run.model == "m\ufffd"


class AdvancingStore:
    """An event store in which another runner applies more right after its last position is read."""

    def __init__(self, store: EventStore, url: str) -> None:
        self._store, self._url = store, url

    def last_position(self) -> int:
        last = self._store.last_position()
        if last < 5:
            run_id = f"run_of_another_{last}"
            self._store.append([Append(f"assistants:{run_id}", 0, [created(run_id=run_id)])])
            with Views(self._url, store=self._store) as other:
                other.catch_up()
        return last

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_a_runner_that_is_overtaken_is_not_ahead(database_url: str) -> None:
    store = open_event_store("memory://")
    store.append(created_runs(3))
    advancing: EventStore = AdvancingStore(store, database_url)  # type: ignore[assignment]
    with Views(database_url, store=advancing) as views:
        views.upgrade()
        views.catch_up()
        views.catch_up()
        assert len(views.runs(limit=None)) == store.last_position() == 5


def test_rows_that_should_be_new_and_are_there_are_overwritten(database_url: str) -> None:
    # As if somebody had set a checkpoint back.
    engine, store = open_engine(database_url, create=True), open_event_store("memory://")
    upgrade(engine)
    store.append(created_runs(100))
    projections = (RunsProjection(), PhasesProjection())
    assert catch_up(engine, store, projections) == 100
    with engine.begin() as connection:
        connection.execute(text("UPDATE runfold_checkpoints SET position = 0"))
        connection.execute(text("DELETE FROM runs WHERE run_id = 'run_7'"))
        connection.execute(text("UPDATE run_phases SET status = 'odd'"))
    assert catch_up(engine, store, projections) == 100
    with engine.connect() as connection:
        assert len(connection.execute(select(runs)).all()) == 100
        odd = text("SELECT count(*) FROM run_phases WHERE status = 'odd'")
        assert connection.execute(odd).scalar() == 0
    engine.dispose()
